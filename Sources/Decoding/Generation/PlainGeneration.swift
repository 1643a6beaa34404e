import Tokenization
import Transformers

/// Plain decoding as a sequence of short synchronous steps: one forward pass each.
///
/// Between two steps nothing points into the engine's buffers, so generations of one engine may
/// take turns.
final class PlainGeneration {
  private let engine: ForwardEngine
  private let conversation: Conversation
  private let prompt: [Int32]
  private let options: GenerationOptions
  private let processor: LogitsProcessor
  private let stops: Set<Int32>
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant

  private var output: OutputText
  private var history: TokenHistory
  private var batch = ForwardBatch()
  private var events: [GenerationEvent] = []
  private var decodeStart: ContinuousClock.Instant?
  private(set) var summary: GenerationSummary
  private(set) var isFinished = false

  /// Checks everything that can be checked before the first forward pass, and drops from the
  /// conversation what the prompt does not share.
  ///
  /// - Throws: `GenerationError`, `SamplingError`, `MethodError` or `ForwardError`.
  init(
    engine: ForwardEngine, tokenizer: Tokenizer, conversation: Conversation, prompt: [Int32],
    options: GenerationOptions
  ) throws {
    let vocabularyCount = engine.model.configuration.vocabularyCount
    try options.validate(vocabularyCount: vocabularyCount)
    guard !prompt.isEmpty else { throw GenerationError.emptyPrompt }
    guard prompt.count <= engine.contextLimit else {
      throw GenerationError.promptTooLong(tokens: prompt.count, limit: engine.contextLimit)
    }
    if let unknown = prompt.first(where: { $0 < 0 || Int($0) >= vocabularyCount }) {
      throw ForwardError.unknownToken(unknown, vocabulary: vocabularyCount)
    }
    let ends = tokenizer.endOfGenerationTokens
    var sampling = options.sampling
    if options.ignoresEndOfText {
      for token in ends { sampling.logitBias[token] = -.infinity }
    }
    // 32 bits, so that a seed survives JSON readers that keep numbers as doubles.
    let seed = sampling.seed ?? UInt64(UInt32.random(in: 0...UInt32.max))
    let method = try options.method()
    self.engine = engine
    self.conversation = conversation
    self.prompt = prompt
    self.options = options
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: vocabularyCount, seed: seed)
    stops = Set(options.stopTokens + (options.ignoresEndOfText ? [] : ends))
    output = OutputText(tokenizer, options: options)
    let room = min(options.maxTokens ?? .max, engine.contextLimit - prompt.count + 1)
    history = TokenHistory(prompt, capacity: prompt.count + room)
    start = clock.now
    let reused = try conversation.keepCommonPrefix(with: prompt)
    summary = GenerationSummary(
      finishReason: .length, promptTokens: prompt.count, reusedTokens: reused, generatedTokens: 0,
      forwards: 0, forwardRows: 0, draftedTokens: 0, acceptedTokens: 0, prefillMilliseconds: 0,
      decodeMilliseconds: 0, method: method.card, guarantee: method.guarantee, seed: seed)
  }

  /// Runs one forward pass, and returns what there is to report.
  func advance() throws -> [GenerationEvent] {
    events.removeAll(keepingCapacity: true)
    let committed = conversation.tokens.count
    if committed < prompt.count {
      try prefill(prompt[committed..<min(committed + options.prefillChunk, prompt.count)])
    } else if committed >= engine.contextLimit {
      finish(.contextFull(limit: engine.contextLimit))
    } else {
      try decode()
    }
    return events
  }

  /// Ends the generation from outside, and returns the last events.
  func end(_ reason: FinishReason) -> [GenerationEvent] {
    events.removeAll(keepingCapacity: true)
    if !isFinished { finish(reason) }
    return events
  }

  // MARK: Steps

  private func prefill(_ chunk: ArraySlice<Int32>) throws {
    let isLast = chunk.endIndex == prompt.count
    let began = clock.now
    let output = try forward(chunk, logits: isLast ? .last : .none)
    events.append(
      .prompt(
        PromptProgress(
          processed: chunk.endIndex, total: prompt.count, reused: summary.reusedTokens)))
    guard isLast else { return }
    summary.prefillMilliseconds = Self.milliseconds(start.duration(to: clock.now))
    decodeStart = clock.now
    if options.maxTokens == 0 {
      finish(.length)
    } else {
      try choose(output, rows: chunk.count, began: began)
    }
  }

  private func decode() throws {
    let began = clock.now
    // The latest token is the only one whose keys and values are not in the cache yet.
    let last = history.tokens[(history.count - 1)...]
    try choose(try forward(last, logits: .last), rows: 1, began: began)
  }

  private func forward(
    _ tokens: ArraySlice<Int32>, logits: ForwardBatch.LogitsChoice
  ) throws -> ForwardOutput {
    batch.removeAll()
    batch.append(chain: tokens, to: conversation.cache, logits: logits)
    let output = try engine.forward(batch)
    try conversation.commit(tokens)
    summary.forwards += 1
    summary.forwardRows += tokens.count
    return output
  }

  private func choose(
    _ forwardOutput: ForwardOutput, rows: Int, began: ContinuousClock.Instant
  ) throws {
    let logits = forwardOutput.logits(0)
    let passed = clock.now
    let token = try processor.chooseToken(logits: logits, history: history)
    let entry = try options.logProbabilities.map {
      try TokenLogProbabilities(
        logits: logits, token: token, topCount: $0, position: history.count)
    }
    let isStop = stops.contains(token)
    events.append(
      .step(
        StepTrace(
          position: history.count, emitted: [token], outcome: isStop ? .stopped : .plain,
          costs: StepCosts(
            forwardRows: rows,
            forwardMicroseconds: Self.microseconds(began.duration(to: passed)),
            verifyMicroseconds: Self.microseconds(passed.duration(to: clock.now))))))
    if isStop { finish(.stopToken(token)) } else { take(token, entry) }
  }

  private func take(_ token: Int32, _ entry: TokenLogProbabilities?) {
    history.append(token)
    summary.generatedTokens += 1
    let (piece, stop) = output.append(token, logProbabilities: entry)
    if let piece { events.append(.text(piece)) }
    if let stop {
      finish(.stopString(stop), flushesText: false)
    } else if summary.generatedTokens == options.maxTokens {
      finish(.length)
    }
  }

  private func finish(_ reason: FinishReason, flushesText: Bool = true) {
    isFinished = true
    summary.finishReason = reason
    if flushesText {
      let (piece, stop) = output.finish()
      if let piece { events.append(.text(piece)) }
      if let stop { summary.finishReason = .stopString(stop) }
    }
    if let decodeStart {
      summary.decodeMilliseconds = Self.milliseconds(decodeStart.duration(to: clock.now))
    }
    events.append(.finish(summary))
  }

  // MARK: Time

  private static func microseconds(_ duration: Duration) -> Int { Int(duration / .microseconds(1)) }

  private static func milliseconds(_ duration: Duration) -> Double {
    duration / .milliseconds(1)
  }
}
