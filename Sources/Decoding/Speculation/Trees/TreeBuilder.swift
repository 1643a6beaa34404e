import Compute

/// A drafter that can tell its distribution of the next token at any node of a tree.
public protocol DistributionSource: AnyObject {
  /// The processed distributions after `nodes` of `tree` (`TokenTree.root` for the root), all of
  /// one level, in one pass of its model. Empty where nothing is to be drafted, as below the end
  /// of the text.
  ///
  /// At temperature 0 they are those of temperature 1: what is likely is asked for, not one token.
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

  /// Learns from a step.
  func observe(_ step: DraftObservation)
}

extension TreeBuilder {
  /// Nothing to learn.
  public func observe(_ step: DraftObservation) {}
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
    var best = LargestKeys(count)
    if let noise = Self.noise(of: node, context) {
      best.offer(distribution, noise: noise, position: position)
    } else {
      best.offer(distribution)
    }
    tokens = best.entries.map(\.token)
    logProbabilities = best.entries.map(\.logProbability)
    keys = best.entries.map(\.key)
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
    var best = LargestKeys(1)
    best.offer(distribution, noise: noise, position: position)
    let entry = best.entries.first
    id = entry?.token ?? 0
    probability = entry.map { ElementaryFunctions.exp($0.logProbability) } ?? 0
  }
}

/// The few tokens of a distribution with the largest log-probabilities, noise added.
private struct LargestKeys {
  typealias Entry = (token: Int32, logProbability: Double, key: Double)
  private(set) var entries: [Entry] = []
  private let count: Int

  init(_ count: Int) { self.count = max(count, 0) }

  /// Every token that reaches `bound` is in, if there is room.
  private var bound: Double { entries.count < count ? -.infinity : entries.last?.key ?? .infinity }

  mutating func offer(_ distribution: DraftDistribution) {
    var least = 0.0
    for (token, probability) in zip(distribution.tokens, distribution.probabilities)
    where probability > least {
      let logProbability = ElementaryFunctions.log(probability)
      insert((token, logProbability, logProbability))
      if entries.count == count { least = ElementaryFunctions.exp(bound) * 0.999_999 }
    }
  }

  /// Noise, and logarithms, are computed only where they can lead to one of the largest keys: with
  /// z leading zeros in the complement of a number's bits the noise is at most (z + 1) log 2.
  mutating func offer(_ distribution: DraftDistribution, noise: RandomStream, position: Int) {
    var block = -1
    var bits = SIMD4<UInt32>.zero
    var least = 0.0
    for index in distribution.tokens.indices {
      let token = distribution.tokens[index]
      let probability = distribution.probabilities[index]
      if Int(token) >> 2 != block {
        block = Int(token) >> 2
        bits = noise.bits(position: position, block: block)
      }
      let own = bits[Int(token) & 3]
      let factor = Double(UInt64(2) << UInt64((~own).leadingZeroBitCount))
      guard probability * factor >= least else { continue }
      let logProbability = ElementaryFunctions.log(probability)
      insert((token, logProbability, logProbability + RandomStream.gumbel(own)))
      if entries.count == count { least = ElementaryFunctions.exp(bound) * 0.999_999 }
    }
  }

  /// Of equal keys the lower token stands first; tokens come in ascending order.
  private mutating func insert(_ entry: Entry) {
    guard count > 0, entries.count < count || entry.key > bound else { return }
    var place = entries.count
    while place > 0, entries[place - 1].key < entry.key { place -= 1 }
    entries.insert(entry, at: place)
    if entries.count > count { entries.removeLast() }
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
