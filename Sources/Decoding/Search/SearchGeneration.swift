import Tokenization
import Transformers

/// A generation by a decoding strategy: runs the prompt, then steps until the run is finished.
final class SearchGeneration: SteppedProcess {
  private let run: DecodingRun
  private var strategy: (any DecodingStrategy)?

  var isFinished: Bool { run.isFinished }
  var summary: GenerationSummary { run.summary }

  /// Checks everything that can be checked before the first pass, and drops from the conversation
  /// what the prompt does not share.
  ///
  /// - Throws: `GenerationError`, `SamplingError`, `MethodError`, `ForwardError`, or what making the
  ///   strategy throws.
  init(
    engine: ForwardEngine, tokenizer: Tokenizer, conversation: Conversation, prompt: [Int32],
    options: GenerationOptions, draftModel: DraftModel?
  ) throws {
    run = try DecodingRun(
      engine: engine, tokenizer: tokenizer, conversation: conversation, prompt: prompt,
      options: options, draftModel: draftModel)
    guard let kind = DecodingRegistry.kind(options.decoding.rawValue) else {
      throw MethodError.unknown(
        option: "--decode", value: options.decoding.rawValue,
        available: MethodRegistry.availableValues(of: "--decode"))
    }
    let strategy = try kind.make(run)
    self.strategy = strategy
    let kept = strategy.reusesPrefix ? prompt : []
    run.noteReused(try conversation.keepCommonPrefix(with: kept))
  }

  func advance() throws -> [GenerationEvent] {
    guard let strategy else { return [] }
    let position = run.history.count
    run.beginStep()
    if run.conversation.tokens.count < run.prompt.count, !strategy.runsPrompt {
      guard try prefill(strategy) else { return run.takeEvents() }
    } else {
      try strategy.step(run)
    }
    run.endStep(position: position)
    return run.takeEvents()
  }

  func end(_ reason: FinishReason) -> [GenerationEvent] {
    guard !run.isFinished else { return [] }
    run.finish(reason)
    return run.takeEvents()
  }

  func close() throws { strategy = nil }

  /// Runs the next chunk of the prompt; true if it was the last.
  private func prefill(_ strategy: any DecodingStrategy) throws -> Bool {
    let (conversation, prompt) = (run.conversation, run.prompt)
    let done = conversation.tokens.count
    let chunk = prompt[done..<min(done + run.options.prefillChunk, prompt.count)]
    let isLast = chunk.endIndex == prompt.count
    var batch = ForwardBatch()
    batch.append(chain: chunk, to: conversation.cache, logits: isLast ? .last : .none)
    let output = try run.forward(batch, options: strategy.promptOptions)
    try conversation.commit(chunk)
    run.reportPrompt(processed: chunk.endIndex)
    try strategy.observePrompt(output, rows: chunk.count, run: run)
    guard isLast else { return false }
    run.promptDone()
    if run.options.maxTokens == 0 {
      run.finish(.length)
    } else {
      try strategy.begin(run, logits: output.logits(0))
    }
    return true
  }
}
