import Compute

/// Speculative sampling: accepts each draft with a probability that makes the output a sample of
/// the target's own distribution, and draws from what is left of it where none is accepted.
///
/// At a node with target distribution P and children that were drawn from Q: a child x is accepted
/// with probability min(1, P(x) / Q(x)); on rejection P becomes (P - Q)+ and Q loses x, both
/// renormalised, and the next child is tested; after the last, a token is drawn from what P has
/// become. With one child for each node this is speculative sampling (Leviathan et al., arXiv
/// 2211.17192; Chen et al., arXiv 2302.01318), with several, drawn without replacement, its
/// recursive form (Jeon et al., arXiv 2402.14160). Children that were chosen, not drawn, have one
/// point of Q each: accepted with probability P(x), else taken out of P.
///
/// Exact for the processed distribution; another sample than plain decoding with the same seed,
/// except at temperature 0. Decisions, draws after a rejection and the drafters' own draws use
/// independent streams of noise.
///
/// Cost: O(support of P) for each node that is looked at.
public final class RejectionVerifier: Verifier {
  private let decisions: RandomStream
  private let draws: RandomStream
  private var tokens: [Int32] = []  // P: ascending tokens and their weights, which sum to `total`
  private var weights: [Double] = []
  private var total = 0.0

  /// A verifier whose decisions depend on `seed`.
  public init(seed: UInt64) {
    decisions = RandomStream(seed: seed, purpose: .verification)
    draws = RandomStream(seed: seed, purpose: .target)
  }

  /// A sample of the same distribution.
  public var guarantee: MethodGuarantee { .distribution }
  /// The ratio needs the probabilities that drafts were drawn with.
  public var needsDistributions: Bool { true }

  /// Walks down from the root.
  public func verify(
    _ input: VerificationInput, processor: LogitsProcessor
  ) throws -> Verification {
    var walk = TreeWalk(input)
    repeat {
      try loadTarget(input, walk, processor)
      let position = input.history.count + walk.path.count
      let accepted = testChildren(of: walk.node, in: input.tree, position: position)
      walk.take(accepted ?? draw(position: position), otherwise: .rejected)
    } while !walk.isOver
    return walk.result
  }

  private func loadTarget(
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

  /// The token of the first child that is accepted; nil if none is, and P is what is left then.
  private func testChildren(of node: Int, in tree: TokenTree, position: Int) -> Int32? {
    var draft = tree.distribution(below: node).map { ShrinkingDistribution($0) }
    var next = tree.firstChild(below: node)
    while let child = next {
      let token = tree.tokens[child]
      let chance = decisions.uniform(position: position, token: Int(tree.ranks[child]))
      let own = probability(of: token)
      // u < P / Q without the division. Chosen children stand for a Q of one point.
      if chance * (draft?.probability(of: token) ?? 1) < own { return token }
      let left = draft.map { subtract($0) } ?? remove(token)
      guard left, draft?.remove(token) ?? true else { return nil }
      next = tree.sibling(after: child)
    }
    return nil
  }

  private func probability(of token: Int32) -> Double {
    SortedTokens.index(of: token, in: tokens).map { weights[$0] / total } ?? 0
  }

  /// P := (P - Q)+. False, and P as it was, if nothing is left: P and Q differ by rounding only.
  private func subtract(_ draft: ShrinkingDistribution) -> Bool {
    var changes: [(index: Int, weight: Double)] = []
    var sum = total
    for (token, share) in zip(draft.tokens, draft.weights) where share > 0 {
      guard let index = SortedTokens.index(of: token, in: tokens) else { continue }
      let weight = max(weights[index] - share / draft.total * total, 0)
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
  private func remove(_ token: Int32) -> Bool {
    guard let index = SortedTokens.index(of: token, in: tokens) else { return true }
    let rest = weights.indices.reduce(0) { $1 == index ? $0 : $0 + weights[$1] }
    guard rest > 1e-12 * total else { return false }
    weights[index] = 0
    total = rest
    return true
  }

  /// A draw from P: Gumbel-max with the noise that plain decoding uses at this position.
  private func draw(position: Int) -> Int32 {
    var best = (score: -Double.infinity, token: tokens.first ?? 0)
    for (token, weight) in zip(tokens, weights) where weight > 0 {
      let score =
        ElementaryFunctions.log(weight) + draws.gumbel(position: position, token: Int(token))
      if score > best.score { best = (score, token) }
    }
    return best.token
  }
}

/// A draft distribution from which tokens are taken out one by one.
private struct ShrinkingDistribution {
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
