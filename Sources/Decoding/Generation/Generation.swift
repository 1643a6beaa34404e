import Tokenization
import Transformers

/// A generation as a sequence of short synchronous steps: its share of one forward pass each.
///
/// Before a pass it appends its rows: a part of the prompt, or the latest token and what is drafted
/// below it. After the pass it lets the verifier walk the tree, and commits the accepted path. Plain
/// decoding is the case of an empty tree. Whoever else has rows in the pass changes none of its
/// bits. Between two passes nothing points into the engine's buffers.
final class Generation: GenerationProcess {
  private let engine: ForwardEngine
  let conversation: Conversation
  private let prompt: [Int32]
  private let options: GenerationOptions
  private let processor: LogitsProcessor
  private let verifier: any Verifier
  let speculation: Speculation?
  private let alignment: AlignedSample?
  /// What its passes hand over. Generations of the same options can share a pass.
  let passOptions: ForwardOptions
  private let stops: Set<Int32>
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant

  private var output: OutputText
  private var history: TokenHistory
  /// Rows of the pass that is under way.
  private(set) var rows = 0
  private(set) var draftDuration = Duration.zero
  private var isDrafted = false
  private var events: [GenerationEvent] = []
  private var decodeStart: ContinuousClock.Instant?
  private(set) var summary: GenerationSummary
  private(set) var isFinished = false
  private var isReported = false

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
    var setup = DrafterSetup(
      options: options, vocabularyCount: vocabularyCount, tokenizer: tokenizer,
      modelMemory: memory, conversationMemory: conversation.drafterMemory,
      samplesMemory: conversation.samplesMemory, draftModel: draftModel)
    let constraint = try options.constraintTracker(in: memory, setup, promptCount: prompt.count)
    setup.constraint = constraint
    setup.target = engine
    alignment = options.alignedSample(
      constraint, prompt: prompt, in: conversation.samplesMemory)
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: vocabularyCount, seed: seed, constraint: constraint,
      alignment: alignment)
    speculation = try options.speculation(
      setup, promptCount: prompt.count, sampling: sampling, seed: seed,
      planning: planning,
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

  static func check(
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

  /// Ends the generation from outside, and returns the last events.
  func end(_ reason: FinishReason) -> [GenerationEvent] {
    events.removeAll(keepingCapacity: true)
    if !isFinished { finish(reason) }
    report()
    return events
  }

  /// Adds what the drafters have to say; at the end they keep what they learnt, and the summary is
  /// complete.
  private func report() {
    let isLast = isFinished && !isReported
    if isLast { speculation?.end() }
    for warning in speculation?.takeWarnings() ?? [] {
      summary.warnings.append(warning)
      events.append(.warning(warning))
    }
    guard isLast else { return }
    isReported = true
    events.append(.finish(summary))
  }

  /// What drafters learnt is kept already.
  func close() {}

  // MARK: Before a pass

  /// Tokens so far.
  var position: Int { history.count }

  /// Tokens of the prompt that have to be run before anything is decoded.
  var promptTokensLeft: Int { max(prompt.count - conversation.tokens.count, 0) }

  /// Most tokens of the prompt that one pass takes.
  var promptChunk: Int { options.prefillChunk }

  /// Rows of the next step of decoding, once it is drafted, that no planner can take away.
  var fixedRows: Int {
    guard let speculation, speculation.candidates.isEmpty else { return 1 }
    return 1 + speculation.tree.count
  }

  /// Ends the generation, and returns the last events, if the context has no room for another
  /// token; nil if it has.
  func endIfFull() -> [GenerationEvent]? {
    guard conversation.tokens.count >= engine.contextLimit else { return nil }
    return end(.contextFull(limit: engine.contextLimit))
  }

  /// Begins with the keys and values that another sequence has of the same prompt, but for those of
  /// the last token, which is run for its logits.
  func adopt(_ source: Conversation) throws {
    try conversation.adopt(source, count: prompt.count - 1)
    summary.reusedTokens = conversation.tokens.count
  }

  /// Drafts what the next pass runs below the latest token; does nothing if that was drafted for a
  /// pass that had no room.
  ///
  /// - Parameter load: who shares the pass. Where that is others too, `speculation` may have
  ///   candidates, of which the forest's planner keeps some.
  func draft(_ load: PassLoad) {
    if isDrafted { return }
    isDrafted = true
    let began = clock.now
    speculation?.draft(history, room: draftRoom, load: load)
    draftDuration = began.duration(to: clock.now)
  }

  /// Appends the rows of the next pass and returns how many of them have logits.
  ///
  /// - Parameter promptRows: tokens of the prompt to run; 0 once all of them are run.
  func append(to batch: inout ForwardBatch, promptRows: Int) -> Int {
    let committed = conversation.tokens.count
    let before = batch.rowCount
    defer { rows = batch.rowCount - before }
    if committed < prompt.count {
      let end = min(committed + promptRows, prompt.count)
      let isLast = end == prompt.count
      batch.append(
        chain: prompt[committed..<end], to: conversation.cache, logits: isLast ? .last : .none)
      return isLast ? 1 : 0
    }
    // The latest token is the only one whose keys and values are not in the cache yet.
    batch.append(
      root: history.tokens[history.count - 1], tree: speculation?.tree, to: conversation.cache)
    return batch.rowCount - before
  }

  /// Most nodes of a drafted path: the tokens that are still wanted but for the target's own, and
  /// the positions that are left beside the root's.
  private var draftRoom: Int {
    let wanted = (options.maxTokens ?? .max) - summary.generatedTokens - 1
    return min(wanted, engine.contextLimit - conversation.tokens.count - 1)
  }

  // MARK: After a pass

  /// Takes what the pass of the rows that were appended last has given, and returns what there is to
  /// report.
  func settle(_ share: PassShare) throws -> [GenerationEvent] {
    events.removeAll(keepingCapacity: true)
    isDrafted = false
    summary.forwards += 1
    summary.forwardRows += rows
    if conversation.tokens.count < prompt.count {
      try settlePrompt(share)
    } else {
      let accepted = try settleStep(share, draftDuration: draftDuration)
      try conversation.commit(accepted, of: history)
    }
    report()
    return events
  }

  private func settlePrompt(_ share: PassShare) throws {
    let begin = conversation.tokens.count
    let end = begin + rows
    try conversation.commit(prompt[begin..<end])
    events.append(
      .prompt(
        PromptProgress(processed: end, total: prompt.count, reused: summary.reusedTokens)))
    guard end == prompt.count else { return }
    summary.prefillMilliseconds = start.duration(to: clock.now) / .milliseconds(1)
    decodeStart = clock.now
    if options.maxTokens == 0 {
      finish(.length)
    } else {
      try settleStep(share, draftDuration: .zero)
    }
  }

  /// Verifies what was run, takes the tokens, and lets the drafter learn.
  ///
  /// - Returns: the accepted nodes whose tokens were taken.
  @discardableResult
  private func settleStep(
    _ share: PassShare, draftDuration: Duration
  ) throws -> ArraySlice<Int32> {
    let began = clock.now
    let tree = speculation?.tree ?? TokenTree()
    let verification = try verifier.verify(
      VerificationInput(
        tree: tree, logits: share.logits, history: history, stops: stops,
        limit: (options.maxTokens ?? .max) - summary.generatedTokens), processor: processor)
    try alignment?.note(verification, share.logits, history)
    let entries = try logProbabilities(verification, share.logits)
    events.append(
      .step(
        StepTrace(
          position: history.count, tree: tree, drafters: speculation?.drafterNames ?? [],
          verification: verification, plan: speculation?.plan,
          costs: StepCosts(
            forwardRows: rows, draftMicroseconds: Self.microseconds(draftDuration),
            forwardMicroseconds: Self.microseconds(share.duration),
            verifyMicroseconds: Self.microseconds(began.duration(to: clock.now))))))
    summary.draftedTokens += tree.count
    summary.acceptedTokens += verification.accepted.count
    let taken = take(verification.emitted, entries)
    speculation?.observe(
      verification, emitted: Array(verification.emitted.prefix(taken)), share: share,
      history: history)
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
      summary.decodeMilliseconds = decodeStart.duration(to: clock.now) / .milliseconds(1)
    }
  }

  private static func microseconds(_ duration: Duration) -> Int { Int(duration / .microseconds(1)) }
}
