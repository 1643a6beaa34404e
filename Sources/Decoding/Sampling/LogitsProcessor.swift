import Compute

/// Turns a model's logits into the distribution that the next token is drawn from.
///
/// One processor serves one generation. It holds memory for the whole vocabulary, and allocates
/// nothing after it was made. It keeps no state between calls: the distribution is a pure function
/// of the options, the logits' bits and the history, so a verifier may ask for the nodes of a token
/// tree in any order, each with the history that plain decoding would have there.
///
/// Cost: O(vocabulary) per node, without sorting.
public final class LogitsProcessor {
  /// The settings, as they were given.
  public let options: SamplingOptions
  /// Number of tokens of the model.
  public let vocabularyCount: Int

  private let biases: [(token: Int, bias: Float)]
  private var dense: [Float]
  private var occurrences: [Int32]
  private var candidates: CandidateSet
  private let noise: RandomStream
  private let constraint: ConstraintTracker?
  private let alignment: AlignedSample?
  /// True if the token is the one of the largest logit, as it came.
  private let isArgmax: Bool

  /// A processor of its own memory.
  /// - Parameters:
  ///   - options: checked here; throws `SamplingError.invalidOption`.
  ///   - vocabularyCount: number of tokens of the model, above 0.
  ///   - seed: key of the noise.
  public convenience init(options: SamplingOptions, vocabularyCount: Int, seed: UInt64) throws {
    try self.init(
      options: options, vocabularyCount: vocabularyCount, seed: seed, constraint: nil)
  }

  /// A processor that keeps to a constraint.
  /// - Parameters:
  ///   - constraint: bans what does not continue the text.
  ///   - alignment: weighs what is left by what other samples have shown.
  init(
    options: SamplingOptions, vocabularyCount: Int, seed: UInt64, constraint: ConstraintTracker?,
    alignment: AlignedSample? = nil
  ) throws {
    try options.validate(vocabularyCount: vocabularyCount)
    self.options = options
    self.vocabularyCount = vocabularyCount
    biases = options.logitBias.sorted { $0.key < $1.key }.map { (Int($0.key), $0.value) }
    dense = Array(repeating: 0, count: vocabularyCount)
    occurrences = Array(repeating: 0, count: options.hasPenalties ? vocabularyCount : 0)
    candidates = CandidateSet(vocabularyCount: vocabularyCount)
    noise = RandomStream(seed: seed, purpose: .target)
    self.constraint = constraint
    self.alignment = alignment
    isArgmax =
      options.isGreedy && options.typicalP == 1 && !options.hasPenalties && biases.isEmpty
      && constraint == nil && alignment == nil
  }

  /// The token that plain decoding takes at this node: the likeliest one at temperature 0 (of equal
  /// ones the lowest id), else the Gumbel-max sample with the noise of (seed, position, token).
  ///
  /// - Parameters:
  ///   - logits: [vocabulary], raw.
  ///   - history: the committed tokens.
  ///   - path: tokens from below the committed prefix down to the node; empty in plain decoding.
  /// - Throws: `SamplingError` for NaN logits and for an empty distribution.
  public func chooseToken(
    logits: UnsafeBufferPointer<Float>, history: TokenHistory,
    path: UnsafeBufferPointer<Int32> = .init(start: nil, count: 0)
  ) throws -> Int32 {
    try process(logits: logits, history: history, path: path)
    let position = history.count + path.count
    return candidates.withCandidates { ids, logits in
      Sampler.choose(
        ids: ids, logits: logits, temperature: options.temperature, noise: noise,
        position: position)
    }
  }

  /// Calls `body` with the tokens that can be drawn at this node, in ascending order, and their
  /// probabilities, which sum to 1. At temperature 0 this is one token of probability 1.
  /// - Parameters: as for `chooseToken`.
  public func withDistribution<Result>(
    logits: UnsafeBufferPointer<Float>, history: TokenHistory,
    path: UnsafeBufferPointer<Int32> = .init(start: nil, count: 0),
    _ body: (_ tokens: UnsafeBufferPointer<Int32>, _ probabilities: UnsafeBufferPointer<Double>)
      throws -> Result
  ) throws -> Result {
    try process(logits: logits, history: history, path: path)
    return try candidates.withProbabilities(temperature: options.temperature, body)
  }

  /// Calls `body` with the tokens that can be drawn at this node, in ascending order, and their
  /// processed logits, before the division by the temperature.
  /// - Parameters: as for `chooseToken`.
  func withCandidates<Result>(
    logits: UnsafeBufferPointer<Float>, history: TokenHistory, path: UnsafeBufferPointer<Int32>,
    _ body: (_ tokens: UnsafeBufferPointer<Int32>, _ logits: UnsafeBufferPointer<Float>) throws
      -> Result
  ) throws -> Result {
    try process(logits: logits, history: history, path: path)
    return try candidates.withCandidates(body)
  }

  /// Calls `body` with the logits after bias and penalties, before truncation and temperature:
  /// [vocabulary]. What searches compare.
  /// - Parameters: as for `chooseToken`.
  func withAdjustedLogits<Result>(
    logits: UnsafeBufferPointer<Float>, history: TokenHistory,
    path: UnsafeBufferPointer<Int32> = .init(start: nil, count: 0),
    _ body: (UnsafeBufferPointer<Float>) throws -> Result
  ) throws -> Result {
    try load(logits, position: history.count + path.count)
    applyBias()
    applyPenalties(history, path)
    return try dense.withUnsafeBufferPointer(body)
  }

  /// Runs every processor; leaves the result in `candidates`.
  private func process(
    logits: UnsafeBufferPointer<Float>, history: TokenHistory, path: UnsafeBufferPointer<Int32>
  ) throws {
    let position = history.count + path.count
    if isArgmax { return try keepLikeliest(of: logits, position: position) }
    try load(logits, position: position)
    applyBias()
    applyPenalties(history, path)
    try constraint?.mask(&dense, history, path)
    alignment?.align(&dense, history, path)
    if options.isGreedy && options.typicalP == 1 {
      try keepLikeliest(history, position: position)
      return
    }
    dense.withUnsafeBufferPointer { candidates.load($0) }
    guard candidates.count > 0 else { throw noCandidates(history, position: position) }
    truncate()
  }

  private func check(_ logits: UnsafeBufferPointer<Float>) throws {
    guard logits.count == vocabularyCount else {
      throw SamplingError.wrongLogitCount(found: logits.count, expected: vocabularyCount)
    }
  }

  private func load(_ logits: UnsafeBufferPointer<Float>, position: Int) throws {
    try check(logits)
    let firstNaN: Int? = dense.withUnsafeMutableBufferPointer { dense in
      var isDamaged = false
      for token in logits.indices {
        dense[token] = logits[token]
        // `x != x` without an early exit lets the compiler use vector instructions.
        isDamaged = isDamaged || logits[token] != logits[token]
      }
      return isDamaged ? logits.firstIndex { $0.isNaN } : nil
    }
    if let firstNaN { throw SamplingError.notANumber(token: firstNaN, position: position) }
  }

  private func applyBias() {
    for (token, bias) in biases {
      dense[token] = bias == -.infinity ? -.infinity : dense[token] + bias
    }
  }

  /// Penalties of the window's tokens: repetition first, then frequency and presence.
  private func applyPenalties(_ history: TokenHistory, _ path: UnsafeBufferPointer<Int32>) {
    guard options.hasPenalties else { return }
    let vocabulary = 0..<Int32(truncatingIfNeeded: vocabularyCount)
    history.forEach(last: options.penaltyWindow, path: path) { token in
      if vocabulary.contains(token) { occurrences[Int(token)] += 1 }
    }
    // A token met again has had its count taken back to zero, and is left alone.
    history.forEach(last: options.penaltyWindow, path: path) { token in
      guard vocabulary.contains(token), occurrences[Int(token)] > 0 else { return }
      dense[Int(token)] = penalized(dense[Int(token)], occurrences: occurrences[Int(token)])
      occurrences[Int(token)] = 0
    }
  }

  private func penalized(_ logit: Float, occurrences: Int32) -> Float {
    guard logit.isFinite else { return logit }
    let factor = Float(options.repetitionPenalty)
    let scaled = logit > 0 ? logit / factor : logit * factor
    return scaled - Float(occurrences) * Float(options.frequencyPenalty)
      - Float(options.presencePenalty)
  }

  /// Greedy decoding without typical sampling: no truncation removes the likeliest token.
  private func keepLikeliest(_ history: TokenHistory, position: Int) throws {
    let best = dense.withUnsafeBufferPointer { Sampler.likeliest($0) }
    guard let best else { throw noCandidates(history, position: position) }
    candidates.load(onlyToken: Int32(truncatingIfNeeded: best), logit: dense[best])
  }

  /// Greedy decoding where nothing changes the logits: one look at each is enough.
  private func keepLikeliest(of logits: UnsafeBufferPointer<Float>, position: Int) throws {
    try check(logits)
    guard let best = LargestValues.index(of: logits) else {
      throw SamplingError.notANumber(token: logits.firstIndex { $0.isNaN } ?? 0, position: position)
    }
    guard best >= 0, logits[best] > -.infinity else {
      throw SamplingError.noCandidates(position: position)
    }
    candidates.load(onlyToken: Int32(truncatingIfNeeded: best), logit: logits[best])
  }

  private func noCandidates(_ history: TokenHistory, position: Int) -> any Error {
    constraint.map { $0.noToken(history) } ?? SamplingError.noCandidates(position: position)
  }

  private func truncate() {
    if options.topK > 0 { candidates.keepTop(options.topK) }
    if options.typicalP < 1 { candidates.keepTypical(options.typicalP) }
    if options.topP < 1 { candidates.keepNucleus(options.topP) }
    if options.minP > 0 { candidates.keepAbove(ratio: options.minP) }
    if options.isGreedy { candidates.keepTop(1) }
  }
}
