import Tokenization
import Transformers

/// What a decoding strategy works with: the model, the prompt's cache, the output so far.
///
/// Everything that is the same for all strategies is here: counting passes, putting text together,
/// stop tokens and strings, limits, the events.
final class DecodingRun {
  let engine: ForwardEngine
  let tokenizer: Tokenizer
  /// The prompt and, for strategies that go on in the same cache, what was emitted.
  let conversation: Conversation
  let prompt: [Int32]
  let options: GenerationOptions
  /// Bias, penalties, and truncation where the strategy samples.
  let processor: LogitsProcessor
  /// Tokens that end the text.
  let stops: Set<Int32>
  /// Key of the noise.
  let seed: UInt64
  /// The smaller model that was loaded beside the target, if one was.
  let draftModel: DraftModel?

  /// The prompt and the emitted tokens.
  private(set) var history: TokenHistory
  private(set) var summary: GenerationSummary
  private(set) var isFinished = false

  private let limit: Int
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var stepStart: ContinuousClock.Instant
  private var decodeStart: ContinuousClock.Instant?
  private var output: OutputText
  private var events: [GenerationEvent] = []
  private var stepTokens: [Int32] = []
  private var stepRows = 0
  private var stepForward = Duration.zero
  private var stepDraft = Duration.zero

  /// Checks everything that can be checked before the first pass.
  /// - Throws: `GenerationError`, `SamplingError`, `MethodError`, `ForwardError`.
  init(
    engine: ForwardEngine, tokenizer: Tokenizer, conversation: Conversation, prompt: [Int32],
    options: GenerationOptions, draftModel: DraftModel?
  ) throws {
    try Generation.check(prompt, options: options, engine: engine)
    let ends = tokenizer.endOfGenerationTokens
    var sampling = options.sampling
    if options.ignoresEndOfText {
      for token in ends { sampling.logitBias[token] = -.infinity }
    }
    // 32 bits, so that a seed survives JSON readers that keep numbers as doubles.
    seed = sampling.seed ?? UInt64(UInt32.random(in: 0...UInt32.max))
    self.engine = engine
    self.tokenizer = tokenizer
    self.conversation = conversation
    self.prompt = prompt
    self.options = options
    self.draftModel = draftModel
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: engine.model.configuration.vocabularyCount, seed: seed)
    stops = Set(options.stopTokens + (options.ignoresEndOfText ? [] : ends))
    limit = min(options.maxTokens ?? .max, engine.contextLimit - prompt.count + 1)
    history = TokenHistory(prompt, capacity: prompt.count + limit)
    output = OutputText(tokenizer, options: options)
    start = clock.now
    stepStart = start
    let method = try options.method()
    summary = GenerationSummary(
      finishReason: .length, promptTokens: prompt.count, reusedTokens: 0, generatedTokens: 0,
      forwards: 0, forwardRows: 0, draftedTokens: 0, acceptedTokens: 0, prefillMilliseconds: 0,
      decodeMilliseconds: 0, method: method.card, guarantee: method.guarantee, seed: seed)
  }

  // MARK: What is left

  /// Tokens that may still be emitted: up to the maximum asked for and the end of the context.
  var tokensLeft: Int { limit - summary.generatedTokens }

  /// Why a text of as many tokens as there is room for ends.
  var limitReason: FinishReason {
    limit == options.maxTokens ? .length : .contextFull(limit: engine.contextLimit)
  }

  /// An empty text, for sequences that a strategy compares: finds stop strings as the output does.
  func makeText() -> OutputText { OutputText(tokenizer, options: options) }

  // MARK: Passes

  /// Runs a pass of the target, and counts it. The new nodes are pending in their caches.
  func forward(
    _ batch: ForwardBatch, options: ForwardOptions = .plain
  ) throws -> ForwardOutput {
    let began = clock.now
    let output = try engine.forward(batch, options: options)
    stepForward += began.duration(to: clock.now)
    stepRows += batch.rowCount
    summary.forwards += 1
    summary.forwardRows += batch.rowCount
    return output
  }

  /// Continues several sequences in one pass of the target, as a forest on their shared pages, and
  /// commits what they are continued with. Nothing is run if there is nothing to continue.
  ///
  /// - Parameters:
  ///   - sequences: caches, each once (`KVCache.fork` makes them), and what follows in each: one
  ///     token or more. Together at most `ForwardEngine.maximumRows`.
  ///   - options: taps have one row for each token, in the order given here.
  /// - Returns: logits of the last token of each sequence, in order.
  func extend(
    _ sequences: [(cache: KVCache, tokens: [Int32])], options: ForwardOptions = .plain
  ) throws -> ForwardOutput {
    var batch = ForwardBatch()
    for (cache, tokens) in sequences { batch.append(chain: tokens, to: cache, logits: .last) }
    let output = try forward(batch, options: options)
    for (cache, _) in sequences { try cache.commitAll() }
    return output
  }

  /// Time that the smaller model takes, which is not the target's.
  func timingDraft<Result>(_ body: () throws -> Result) rethrows -> Result {
    let began = clock.now
    defer { stepDraft += began.duration(to: clock.now) }
    return try body()
  }

  // MARK: Figures

  /// Adds to one of the method's own figures (`GenerationSummary.figures`).
  func count(_ figure: String, _ value: Double = 1) {
    summary.figures = (summary.figures ?? [:]).merging([figure: value], uniquingKeysWith: +)
  }

  /// Sets one of the method's own figures.
  func note(_ figure: String, _ value: Double) {
    summary.figures = (summary.figures ?? [:]).merging([figure: value]) { $1 }
  }

  // MARK: Output, token by token

  /// Gives a token out. False if the text ends with it: then the run is finished.
  ///
  /// - Parameter logits: the raw ones that it was chosen from, for its log-probability.
  @discardableResult
  func emit(_ token: Int32, logits: UnsafeBufferPointer<Float>) throws -> Bool {
    guard !isFinished else { return false }
    let entry = try logProbabilities(token, logits: logits, position: history.count)
    return emit(token, entry)
  }

  /// Gives a token out with the log-probabilities that `logProbabilities` gave earlier.
  @discardableResult
  func emit(_ token: Int32, _ entry: TokenLogProbabilities?) -> Bool {
    guard !isFinished else { return false }
    stepTokens.append(token)
    if stops.contains(token) {
      finish(.stopToken(token))
      return false
    }
    history.append(token)
    summary.generatedTokens += 1
    let (piece, stop) = output.append(token, logProbabilities: entry)
    if let piece { events.append(.text(piece)) }
    if let stop {
      finish(.stopString(stop), flushesText: false)
    } else if tokensLeft <= 0 {
      finish(limitReason)
    }
    return !isFinished
  }

  /// Log-probabilities of a token that may be given out later; nil if none were asked for.
  func logProbabilities(
    _ token: Int32, logits: UnsafeBufferPointer<Float>, position: Int
  ) throws -> TokenLogProbabilities? {
    try options.logProbabilities.map {
      try TokenLogProbabilities(
        logits: logits, token: token, topCount: $0, position: position)
    }
  }

  /// Ends the output.
  func finish(_ reason: FinishReason) { finish(reason, flushesText: true) }

  private func finish(_ reason: FinishReason, flushesText: Bool) {
    guard !isFinished else { return }
    isFinished = true
    summary.finishReason = reason
    guard flushesText else { return }
    let (piece, stop) = output.finish()
    if let piece { events.append(.text(piece)) }
    if let stop { summary.finishReason = .stopString(stop) }
  }

  // MARK: Output, several texts

  /// Ends the run with the texts that were found, best first: the first one is given out as the
  /// text, all of those asked for are listed in the summary.
  ///
  /// - Parameters:
  ///   - found: at least one; tokens without the one that ended the text.
  ///   - listed: how many to list at least, where fewer were asked for.
  func finish(candidates found: [FoundText], listing listed: Int = 1) {
    guard !isFinished, let best = found.first else { return }
    summary.candidates = found.prefix(max(options.search.results, listed)).map(candidate)
    let entries = best.logProbabilities
    for (index, token) in best.tokens.enumerated() {
      guard emit(token, entries.indices.contains(index) ? entries[index] : nil) else { break }
    }
    if case .stopToken(let token) = best.reason { stepTokens.append(token) }
    finish(best.reason)
    summary.finishReason = best.reason
  }

  private func candidate(_ found: FoundText) -> GenerationCandidate {
    var text = makeText()
    var pieces = ""
    var stop: String?
    for token in found.tokens where stop == nil {
      let (piece, found) = text.append(token, logProbabilities: nil)
      pieces += piece?.text ?? ""
      stop = found
    }
    if stop == nil { pieces += text.finish().piece?.text ?? "" }
    return GenerationCandidate(
      text: pieces, tokens: found.tokens, score: found.score,
      logProbability: found.logProbability, finishReason: found.reason, group: found.group,
      passageRange: found.passageRange)
  }

  // MARK: For the generation that drives the run

  /// Notes how much of the prompt was in the cache.
  func noteReused(_ tokens: Int) { summary.reusedTokens = tokens }

  /// Reports a chunk of the prompt.
  func reportPrompt(processed: Int) {
    events.append(
      .prompt(
        PromptProgress(
          processed: processed, total: prompt.count, reused: summary.reusedTokens)))
  }

  /// The prompt is through; what follows counts as decoding.
  func promptDone() {
    summary.prefillMilliseconds = start.duration(to: clock.now) / .milliseconds(1)
    decodeStart = clock.now
  }

  /// Begins a step, so that its cost is known.
  func beginStep() {
    stepStart = clock.now
    stepTokens.removeAll(keepingCapacity: true)
    (stepRows, stepForward, stepDraft) = (0, .zero, .zero)
  }

  /// Ends a step: its trace comes before the text that it gave.
  func endStep(position: Int) {
    guard stepRows > 0 || stepDraft > .zero || !stepTokens.isEmpty else { return }
    let all = Int(stepStart.duration(to: clock.now) / .microseconds(1))
    let forward = Int(stepForward / .microseconds(1))
    let draft = Int(stepDraft / .microseconds(1))
    let isStopped = stepTokens.last.map(stops.contains) ?? false
    let trace = StepTrace(
      position: position, emitted: stepTokens, outcome: isStopped ? .stopped : .plain,
      costs: StepCosts(
        forwardRows: stepRows, draftMicroseconds: draft, forwardMicroseconds: forward,
        verifyMicroseconds: all - draft - forward))
    let place = events.firstIndex { if case .text = $0 { true } else { false } }
    events.insert(.step(trace), at: place ?? events.count)
  }

  /// The events since the last call; the finish event once.
  func takeEvents() -> [GenerationEvent] {
    if isFinished {
      if let decodeStart {
        summary.decodeMilliseconds = decodeStart.duration(to: clock.now) / .milliseconds(1)
      }
      events.append(.finish(summary))
    }
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }
}

/// A text that a search found.
struct FoundText {
  /// Without the token that ended it.
  var tokens: [Int32]
  var score: Double
  var logProbability: Double
  var reason: FinishReason
  /// One for each token, if log-probabilities were asked for.
  var logProbabilities: [TokenLogProbabilities] = []
  var group: Int?
  var passageRange: Range<Int>?
}
