import Compute

/// The target's processed distribution at a node, from which verifiers by rejection take away what
/// they have tested.
struct TargetWeights {
  /// Ascending token ids.
  private(set) var tokens: [Int32] = []
  /// Weight of each; they sum to `total`.
  private(set) var weights: [Double] = []
  private(set) var total = 0.0

  /// Takes the distribution after the walk's node.
  /// - Throws: `SamplingError`.
  mutating func load(
    _ input: VerificationInput, _ walk: TreeWalk, _ processor: LogitsProcessor
  ) throws {
    tokens.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
    try walk.path.withUnsafeBufferPointer { path in
      try processor.withDistribution(
        logits: input.logits[walk.node], history: input.history, path: path
      ) { ids, probabilities in
        for index in ids.indices where probabilities[index] > 0 {
          tokens.append(ids[index])
          weights.append(probabilities[index])
        }
      }
    }
    total = weights.reduce(0, +)
  }

  /// Takes the given distribution.
  mutating func load(_ distribution: DraftDistribution) {
    tokens = distribution.tokens
    weights = distribution.probabilities
    total = weights.reduce(0, +)
  }

  func probability(of token: Int32) -> Double {
    SortedTokens.index(of: token, in: tokens).map { weights[$0] / total } ?? 0
  }

  /// P := (P - Q)+, renormalised by `total`.
  ///
  /// - Parameters:
  ///   - shares: what to subtract from each of `ids`, as probabilities.
  /// - Returns: false, and P as it was, if nothing is left: then P and Q differ by rounding only.
  mutating func subtract(_ ids: [Int32], _ shares: (Int) -> Double) -> Bool {
    var changes: [(index: Int, weight: Double)] = []
    var sum = total
    for (place, token) in ids.enumerated() {
      let share = shares(place)
      guard share > 0, let index = SortedTokens.index(of: token, in: tokens) else { continue }
      let weight = max(weights[index] - share * total, 0)
      sum -= weights[index] - weight
      changes.append((index, weight))
    }
    guard sum > 1e-12 * total else { return false }
    for (index, weight) in changes { weights[index] = weight }
    // Summed anew: what is left may be a small difference of large numbers.
    total = weights.reduce(0, +)
    return total > 0
  }

  /// Takes a token out of P. False, and P as it was, if nothing else is left.
  mutating func remove(_ token: Int32) -> Bool {
    guard let index = SortedTokens.index(of: token, in: tokens) else { return true }
    let rest = weights.indices.reduce(0) { $1 == index ? $0 : $0 + weights[$1] }
    guard rest > 1e-12 * total else { return false }
    weights[index] = 0
    total = rest
    return true
  }

  /// A draw from P: Gumbel-max with the noise of `stream` at this position.
  func draw(_ stream: RandomStream, position: Int) -> Int32 {
    var best = (score: -Double.infinity, token: tokens.first ?? 0)
    for (token, weight) in zip(tokens, weights) where weight > 0 {
      let score =
        ElementaryFunctions.log(weight) + stream.gumbel(position: position, token: Int(token))
      if score > best.score { best = (score, token) }
    }
    return best.token
  }
}

/// A draft distribution from which tokens are taken out one by one.
struct ShrinkingDistribution {
  let tokens: [Int32]
  private(set) var weights: [Double]
  private(set) var total: Double

  init(_ distribution: DraftDistribution) {
    tokens = distribution.tokens
    weights = distribution.probabilities
    total = weights.reduce(0, +)
  }

  func probability(of token: Int32) -> Double {
    SortedTokens.index(of: token, in: tokens).map { weights[$0] / total } ?? 0
  }

  /// False if nothing is left to draw from.
  mutating func remove(_ token: Int32) -> Bool {
    guard let index = SortedTokens.index(of: token, in: tokens) else { return true }
    weights[index] = 0
    total = weights.reduce(0, +)
    return total > 0
  }
}

/// Look-up in ascending token ids.
enum SortedTokens {
  static func index(of token: Int32, in tokens: [Int32]) -> Int? {
    var low = 0
    var high = tokens.count
    while low < high {
      let middle = (low + high) / 2
      if tokens[middle] < token { low = middle + 1 } else { high = middle }
    }
    return low < tokens.count && tokens[low] == token ? low : nil
  }
}
