import Compute

/// A drafter that can tell its distribution of the next token at any node of a tree.
public protocol DistributionSource: AnyObject {
  /// The processed distributions after `nodes` of `tree` (`TokenTree.root` for the root), all of
  /// one level, in one pass of its model.
  func distributions(
    after nodes: [Int], of tree: TokenTree, context: DraftContext
  ) throws -> [DraftDistribution]
}

/// Grows the tree of one step from a drafter's distributions.
///
/// What a builder decides may depend on the distributions, and on the values of draws, but not on
/// which token a draw gave before that token is in the tree: otherwise verification by rejection
/// would be biased. A token that was drawn stays.
public protocol TreeBuilder: AnyObject {
  /// Adds at most `budget.nodes` nodes, at most `budget.depth` deep.
  func build(
    _ budget: DraftBudget, from source: any DistributionSource, context: DraftContext,
    into tree: inout TokenTree
  ) throws
}

/// The tokens of a distribution in the order in which they are drawn without replacement.
///
/// Gumbel-top-k: the tokens by descending log-probability plus Gumbel noise are a draw without
/// replacement (Vieira, 2014; Kool et al., arXiv 1903.06059). At temperature 0 there is no noise:
/// the order is that of the probabilities. Under coupled verification the noise is the target's at
/// that position, so the first token is the one that the target takes wherever the two
/// distributions lead to the same maximum. Under rejection every node has noise of its own: what
/// is decided by values at one node must say nothing of the tokens at another.
public struct SiblingOrder {
  /// Tokens, first drawn first.
  public let tokens: [Int32]
  /// Log-probability of each.
  public let logProbabilities: [Double]
  /// Log-probability plus noise of each, descending.
  public let keys: [Double]

  /// Draws the first `count` tokens.
  ///
  /// - Parameters:
  ///   - node: where they are drawn, in the tree so far.
  ///   - position: of the tokens that are drawn.
  public init(
    _ distribution: DraftDistribution, count: Int, node: Int, position: Int, context: DraftContext
  ) {
    let noise = Self.noise(of: node, context)
    let entries = distribution.tokens.indices.map { index in
      let token = distribution.tokens[index]
      let logProbability = ElementaryFunctions.log(distribution.probabilities[index])
      let gumbel = noise?.gumbel(position: position, token: Int(token)) ?? 0
      return (token: token, logProbability: logProbability, key: logProbability + gumbel)
    }
    let ordered = entries.sorted { ($0.key, $1.token) > ($1.key, $0.token) }.prefix(count)
    tokens = ordered.map(\.token)
    logProbabilities = ordered.map(\.logProbability)
    keys = ordered.map(\.key)
  }

  private static func noise(of node: Int, _ context: DraftContext) -> RandomStream? {
    if context.sampling.isGreedy { return nil }
    return context.needsDistributions ? context.noise(of: node) : context.noise
  }
}

/// One draw from a distribution, whatever else was drawn there.
struct IndependentDraw {
  let id: Int32
  let probability: Double

  /// - Parameter round: number of the draw at this node.
  init(
    _ distribution: DraftDistribution, node: Int, round: Int, position: Int, context: DraftContext
  ) {
    // Under coupled verification the first draw is the target's own.
    let noise =
      context.needsDistributions || round > 0
      ? context.noise(of: node, round: round) : context.noise
    var best = (score: -Double.infinity, index: 0)
    for index in distribution.tokens.indices {
      let score =
        ElementaryFunctions.log(distribution.probabilities[index])
        + noise.gumbel(position: position, token: Int(distribution.tokens[index]))
      if score > best.score { best = (score, index) }
    }
    id = distribution.tokens[best.index]
    probability = distribution.probabilities[best.index]
  }
}

extension DraftContext {
  /// Noise that belongs to one node, and to one round of draws there.
  func noise(of node: Int, round: Int = 0) -> RandomStream {
    let place = UInt64(bitPattern: Int64(node + 2)) << 20 | UInt64(round + 1)
    return RandomStream(
      seed: noise.seed ^ (place &* 0x9E37_79B9_7F4A_7C15), purpose: noise.purpose)
  }
}

extension TokenTree {
  /// Position of the tokens below `node`, where the root's own children have `position`.
  func position(below node: Int, root position: Int) -> Int {
    node < 0 ? position : position + Int(depths[node]) + 1
  }

  /// Says what the children of `node` are drawn from, where the verifier asks for it.
  mutating func declare(
    _ distribution: DraftDistribution, below node: Int, context: DraftContext,
    law: SiblingLaw = .withoutReplacement
  ) {
    guard context.needsDistributions, !context.sampling.isGreedy else { return }
    setDistribution(distribution, below: node, law: law)
  }
}
