import Transformers

/// Entropy Adaptive Decoding: a small and a large model of one vocabulary write one text in turns; the
/// large one takes over where the rolling entropy says that the small one is unsure.
///
/// Simonds, "Entropy Adaptive Decoding: Dynamic Model Switching for Efficient Inference", arXiv
/// 2502.06833.
///
/// Each token is chosen from the active model's logits as in plain decoding. The entropy of these
/// logits (temperature 1, in bits) goes into a window; after at least `leastStretch` tokens of one
/// model its mean decides who writes the next token (`EntropySwitch`). A model that becomes active
/// first reads what the other one wrote, in one pass where it fits: each model reads every token at
/// most once, and a model that never becomes active reads nothing, the prompt included.
///
/// Guarantee: `approximate`. With the threshold at infinity it is plain decoding with the small
/// model, at 0 with the large one, token by token for the same seed.
///
/// Cost: a pass of the active model for each token, and after a switch one over what it has not read
/// (the summary's figures have both).
final class EntropyAdaptiveDecoding: DecodingStrategy {
  /// The strategy runs what each model reads, the prompt included.
  let runsPrompt = true

  private let small: SmallLane
  private let processor: LogitsProcessor
  private let tokenCount: Int
  private var turns: EntropySwitch
  private var entropy: TokenEntropy
  private var large = 0
  private var isCatchingUp = false
  private let clock = ContinuousClock()

  /// Figures of the summary: tokens of the large model and their share, how often the other model
  /// took over, passes and rows of the small model, rows and time of reading what the other one
  /// wrote.
  private static let figures = [
    "large_tokens", "large_share", "switches", "small_forwards", "small_rows", "catch_up_rows",
    "catch_up_ms",
  ]
  private var isPromptRead = false

  /// - Throws: `DraftModelError.missing`, `GenerationError.promptTooLong`, `SamplingError`.
  init(_ run: DecodingRun, _ options: EADOptions) throws {
    guard let model = run.draftModel else {
      throw DraftModelError.notLoaded(method: "--decode entropy-adaptive")
    }
    small = try SmallLane(model, run)
    let vocabulary = model.engine.model.configuration.vocabularyCount
    tokenCount = run.tokenizer.vocabularyCount
    var sampling = run.processor.options
    sampling.logitBias = sampling.logitBias.filter { $0.key < vocabulary }
    // Rows that pad the smaller model's head are no tokens.
    if tokenCount < vocabulary {
      for token in tokenCount..<vocabulary { sampling.logitBias[Int32(token)] = -.infinity }
    }
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: vocabulary, seed: run.seed)
    entropy = TokenEntropy(vocabularyCount: tokenCount)
    turns = EntropySwitch(options)
    for figure in Self.figures { run.note(figure, 0) }
    if turns.active == .small { run.noteReused(run.prompt.count - small.missing(run)) }
  }

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {}

  func step(_ run: DecodingRun) throws {
    guard run.history.count <= small.contextLimit else {
      run.finish(.contextFull(limit: small.contextLimit))
      return
    }
    let lane = turns.active
    guard let logits = try read(run, lane) else { return }
    isCatchingUp = false
    if !isPromptRead {
      isPromptRead = true
      run.promptDone()
      if run.options.maxTokens == 0 { return run.finish(.length) }
    }
    try write(run, lane, logits)
  }

  /// Reads what the model has not read yet, at most one pass of it; the logits after the last token,
  /// or nil if there is more to read.
  private func read(
    _ run: DecodingRun, _ lane: EADOptions.Lane
  ) throws -> UnsafeBufferPointer<Float>? {
    let begin = clock.now
    let missing = lane == .large ? run.missing : small.missing(run)
    let rows = min(missing, run.options.prefillChunk)
    let logits =
      lane == .large ? try run.catchUp(rows: rows) : try small.catchUp(run, rows: rows)
    if lane == .small {
      run.count("small_forwards")
      run.count("small_rows", Double(rows))
    }
    if isCatchingUp {
      run.count("catch_up_rows", Double(rows))
      run.count("catch_up_ms", begin.duration(to: clock.now) / .milliseconds(1))
    }
    if !isPromptRead { run.reportPrompt(processed: run.prompt.count - (missing - rows)) }
    return rows == missing ? logits : nil
  }

  private func write(
    _ run: DecodingRun, _ lane: EADOptions.Lane, _ logits: UnsafeBufferPointer<Float>
  ) throws {
    let words = UnsafeBufferPointer(rebasing: logits[..<min(tokenCount, logits.count)])
    let bits = try entropy.bits(words, position: run.history.count)
    let chooser = lane == .large ? run.processor : processor
    let token = try chooser.chooseToken(logits: logits, history: run.history)
    let before = run.summary.generatedTokens
    try run.emit(token, logits: logits)
    let written = run.summary.generatedTokens - before
    if lane == .large { large += written }
    run.note("large_tokens", Double(large))
    run.note("large_share", Double(large) / Double(max(run.summary.generatedTokens, 1)))
    guard !run.isFinished, turns.observe(bits) else { return }
    run.count("switches")
    isCatchingUp = true
  }
}

/// The smaller model's side of the text.
private final class SmallLane {
  private let sequence: DraftSequence
  let contextLimit: Int

  init(_ model: DraftModel, _ run: DecodingRun) throws {
    contextLimit = min(model.engine.contextLimit, run.engine.contextLimit)
    guard run.prompt.count <= contextLimit else {
      throw GenerationError.promptTooLong(tokens: run.prompt.count, limit: contextLimit)
    }
    let vocabulary = model.engine.model.configuration.vocabularyCount
    if let unknown = run.prompt.first(where: { Int($0) >= vocabulary }) {
      throw ForwardError.unknownToken(unknown, vocabulary: vocabulary)
    }
    // The drafter of the same model keeps its text here too: whoever comes next goes on from it.
    sequence = run.conversation.drafterMemory.value("draft-model") { DraftSequence(model.engine) }
    sequence.beginGeneration()
  }

  func missing(_ run: DecodingRun) -> Int { sequence.missing(run.history.tokens) }

  /// Reads the next tokens; the logits after the last of them, valid until the model's next pass.
  func catchUp(_ run: DecodingRun, rows: Int) throws -> UnsafeBufferPointer<Float> {
    let missing = missing(run)
    let tokens = run.history.tokens
    return try run.timingDraft {
      try sequence.follow(rows == missing ? tokens : Array(tokens.dropLast(missing - rows)))
    }
  }
}

extension DecodingRun {
  /// Tokens of the text that the target has not read: one at least, for its logits.
  var missing: Int { max(history.count - conversation.tokens.count, 1) }

  /// Runs and commits the next tokens that the target has not read; the logits after the last of
  /// them, valid until the next pass.
  func catchUp(rows: Int) throws -> UnsafeBufferPointer<Float> {
    let begin = conversation.tokens.count
    var batch = ForwardBatch()
    let run = history.tokens[begin..<begin + rows]
    batch.append(chain: run, to: conversation.cache)
    let output = try forward(batch)
    try conversation.commit(run)
    return output.logits(0)
  }
}

extension DecodingKind {
  static let entropyAdaptive = DecodingKind(
    name: "entropy-adaptive", abilities: [.samples, .needsDraftModel],
    validate: { try $0.adaptive.validate() },
    make: { try EntropyAdaptiveDecoding($0, $0.options.search.adaptive) })
}
