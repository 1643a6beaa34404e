import Tokenization
import Transformers

/// A generation as a sequence of short synchronous steps: one forward pass of the target each.
///
/// A step runs the latest token and what is drafted below it, lets the verifier walk the tree, and
/// commits the accepted path. Plain decoding is the case of an empty tree. Between two steps
/// nothing points into the engine's buffers, so generations of one engine may take turns.
final class Generation {
  private let engine: ForwardEngine
  private let conversation: Conversation
  private let prompt: [Int32]
  private let options: GenerationOptions
  private let processor: LogitsProcessor
  private let verifier: any Verifier
  private let speculation: Speculation?
  private let alignment: AlignedSample?
  private let passOptions: ForwardOptions
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
  /// - Parameters:
  ///   - memory: what drafters share between the generations of the model.
  ///   - planning: what planners share between them.
  ///   - draftModel: the smaller model that was loaded beside the target.
  /// - Throws: `GenerationError`, `SamplingError`, `MethodError`, `ForwardError`, or what making a
  ///   drafter throws.
  init(
    engine: ForwardEngine, tokenizer: Tokenizer, conversation: Conversation, prompt: [Int32],
    options: GenerationOptions, memory: DrafterMemory, planning: PlanningMemory,
    draftModel: DraftModel?
  ) throws {
    let vocabularyCount = engine.model.configuration.vocabularyCount
    try Self.check(prompt, options: options, engine: engine)
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
    let setup = DrafterSetup(
      options: options, vocabularyCount: vocabularyCount, tokenizer: tokenizer,
      modelMemory: memory, conversationMemory: conversation.drafterMemory,
      draftModel: draftModel)
    let constraint = try options.constraintTracker(in: memory, setup, promptCount: prompt.count)
    alignment = options.alignedSample(
      constraint, prompt: prompt, in: conversation.drafterMemory)
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: vocabularyCount, seed: seed, constraint: constraint,
      alignment: alignment)
    speculation = try options.speculation(
      setup, constraint: constraint, promptCount: prompt.count, sampling: sampling, seed: seed, planning: planning,
      engine: engine)
    verifier = speculation?.verifier ?? CoupledVerifier()
    passOptions = ForwardOptions(taps: speculation?.drafter.requirements.taps ?? [])
    stops = Set(options.stopTokens + (options.ignoresEndOfText ? [] : ends))
    output = OutputText(tokenizer, options: options)
    let room = min(options.maxTokens ?? .max, engine.contextLimit - prompt.count + 1)
    history = TokenHistory(prompt, capacity: prompt.count + room)
    start = clock.now
    let reused = try conversation.keepCommonPrefix(with: prompt)
    summary = GenerationSummary(
      finishReason: .length, promptTokens: prompt.count, reusedTokens: reused, generatedTokens: 0,
      forwards: 0, forwardRows: 0, draftedTokens: 0, acceptedTokens: 0, prefillMilliseconds: 0,
      decodeMilliseconds: 0, method: options.customDrafter?.name ?? method.card,
      guarantee: sampling.isGreedy ? method.guarantee : min(method.guarantee, verifier.guarantee),
      seed: seed)
  }

  private static func check(
    _ prompt: [Int32], options: GenerationOptions, engine: ForwardEngine
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

  /// Lets the drafter keep what it learnt. Call it once, after the last event.
  func close() throws { try speculation?.end() }

  // MARK: Steps

  private func prefill(_ chunk: ArraySlice<Int32>) throws {
    let isLast = chunk.endIndex == prompt.count
    let began = clock.now
    batch.removeAll()
    batch.append(chain: chunk, to: conversation.cache, logits: isLast ? .last : .none)
    let output = try forward()
    try conversation.commit(chunk)
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
      try settle(output, rows: chunk.count, began: began, drafted: began)
    }
  }

  private func decode() throws {
    let began = clock.now
    try speculation?.draft(history, room: draftRoom)
    let drafted = clock.now
    // The latest token is the only one whose keys and values are not in the cache yet.
    batch.removeAll()
    batch.append(
      root: history.tokens[history.count - 1], tree: speculation?.tree, to: conversation.cache)
    let rows = batch.rowCount
    let output = try forward()
    let accepted = try settle(output, rows: rows, began: began, drafted: drafted)
    try conversation.commit(accepted, of: history)
  }

  /// Most nodes of a drafted path: the tokens that are still wanted but for the target's own, and
  /// the positions that are left beside the root's.
  private var draftRoom: Int {
    let wanted = (options.maxTokens ?? .max) - summary.generatedTokens - 1
    return min(wanted, engine.contextLimit - conversation.tokens.count - 1)
  }

  private func forward() throws -> ForwardOutput {
    let output = try engine.forward(batch, options: passOptions)
    summary.forwards += 1
    summary.forwardRows += batch.rowCount
    return output
  }

  /// Verifies what was run, takes the tokens, and lets the drafter learn.
  ///
  /// - Returns: the accepted nodes whose tokens were taken.
  @discardableResult
  private func settle(
    _ forwardOutput: ForwardOutput, rows: Int, began: ContinuousClock.Instant,
    drafted: ContinuousClock.Instant
  ) throws -> ArraySlice<Int32> {
    let passed = clock.now
    let logits = TreeLogits(forwardOutput)
    let tree = speculation?.tree ?? TokenTree()
    let verification = try verifier.verify(
      VerificationInput(
        tree: tree, logits: logits, history: history, stops: stops,
        limit: (options.maxTokens ?? .max) - summary.generatedTokens), processor: processor)
    try alignment?.note(verification, logits, history)
    let entries = try logProbabilities(verification, logits)
    let forwardMicroseconds = Self.microseconds(drafted.duration(to: passed))
    events.append(
      .step(
        StepTrace(
          position: history.count, tree: tree, drafter: speculation?.drafter.name,
          verification: verification,
          costs: StepCosts(
            forwardRows: rows, draftMicroseconds: Self.microseconds(began.duration(to: drafted)),
            forwardMicroseconds: forwardMicroseconds,
            verifyMicroseconds: Self.microseconds(passed.duration(to: clock.now))))))
    summary.draftedTokens += tree.count
    summary.acceptedTokens += verification.accepted.count
    let taken = take(verification.emitted, entries)
    try speculation?.observe(
      verification, emitted: Array(verification.emitted.prefix(taken)), logits: logits,
      taps: passOptions.taps.indices.map(forwardOutput.tap), history: history,
      forwardMicroseconds: Double(forwardMicroseconds))
    return verification.accepted.prefix(taken)
  }

  private func logProbabilities(
    _ verification: Verification, _ logits: TreeLogits
  ) throws -> [TokenLogProbabilities]? {
    try options.logProbabilities.map { topCount in
      try verification.emitted.enumerated().map { index, token in
        let node = index == 0 ? TokenTree.root : Int(verification.accepted[index - 1])
        return try TokenLogProbabilities(
          logits: logits[node], token: token, topCount: topCount,
          position: history.count + index)
      }
    }
  }

  /// Takes tokens until one of them ends the generation; returns how many became output.
  private func take(_ tokens: [Int32], _ entries: [TokenLogProbabilities]?) -> Int {
    for (index, token) in tokens.enumerated() {
      if stops.contains(token) {
        finish(.stopToken(token))
        return index
      }
      take(token, entries?[index])
      if isFinished { return index + 1 }
    }
    return tokens.count
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
    alignment?.finish(reason)
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
