import Compute

/// RSD-S: a stochastic beam search drafts whole sequences without replacement and gives unlikely
/// ones up early (Jeon et al., "Recursive Speculative Decoding", arXiv 2402.14160; stochastic beam
/// search: Kool et al., arXiv 1903.06059).
///
/// Every beam carries the largest of the Gumbel-perturbed log-probabilities of its continuations;
/// those of its children are drawn under the condition that their largest is the parent's. The
/// `width` largest of a level survive. The cut looks at values only, which say nothing of the
/// tokens, so that what survives at a node is still a draw without replacement.
///
/// At temperature 0 this is an ordinary beam search by log-probability. Under coupled verification
/// siblings are drawn with the target's noise; that a surviving node is a draw is not needed there.
///
/// Cost: one pass of the drafter for each level.
public final class StochasticBeamBuilder: TreeBuilder {
  private let width: (DraftBudget) -> Int

  /// Beams of one width.
  /// - Parameter width: nodes that survive on each level, 1 or more.
  public convenience init(width: Int) { self.init { _ in width } }

  /// Beams whose width follows the budget.
  /// - Parameter width: nodes that survive on each level.
  public init(width: @escaping (DraftBudget) -> Int) { self.width = width }

  private struct Beam {
    var node: Int
    var logProbability: Double
    var perturbed: Double
  }

  private struct Candidate {
    let parent: Int
    let token: Int32
    let probability: Double
    let logProbability: Double
    let perturbed: Double
  }

  /// Adds up to as many nodes as the beam is wide on each level.
  public func build(
    _ budget: DraftBudget, from source: any DistributionSource, context: DraftContext,
    into tree: inout TokenTree
  ) throws {
    let width = max(width(budget), 1)
    var beams = [Beam(node: TokenTree.root, logProbability: 0, perturbed: 0)]
    for _ in 0..<budget.depth {
      let room = min(width, budget.nodes - tree.count)
      guard room > 0, !beams.isEmpty else { return }
      let distributions = try source.distributions(
        after: beams.map(\.node), of: tree, context: context)
      var candidates: [Candidate] = []
      for (beam, distribution) in zip(beams, distributions) {
        guard !distribution.isEmpty else { continue }
        tree.declare(distribution, below: beam.node, context: context)
        candidates += children(of: beam, distribution, width: width, tree, context)
      }
      // Ties, which only exact arithmetic can make, go to the earlier one.
      let order = candidates.indices.sorted {
        (candidates[$0].perturbed, $1) > (candidates[$1].perturbed, $0)
      }
      // Survivors are added in that order, so siblings stand in descending order as well.
      beams = order.prefix(room).map { index in
        let winner = candidates[index]
        let node = tree.append(
          winner.token, below: winner.parent, probability: Float(winner.probability))
        return Beam(
          node: node, logProbability: winner.logProbability, perturbed: winner.perturbed)
      }
    }
  }

  private func children(
    of beam: Beam, _ distribution: DraftDistribution, width: Int, _ tree: TokenTree,
    _ context: DraftContext
  ) -> [Candidate] {
    // Only the first `width` of a node can be among the first `width` of all.
    let order = SiblingOrder(
      distribution, count: width, node: beam.node,
      position: tree.position(below: beam.node, root: context.position), context: context)
    return order.tokens.indices.map { index in
      let logProbability = beam.logProbability + order.logProbabilities[index]
      let own = beam.logProbability + order.keys[index]
      let largest = beam.logProbability + order.keys[0]
      return Candidate(
        parent: beam.node, token: order.tokens[index],
        probability: ElementaryFunctions.exp(order.logProbabilities[index]),
        logProbability: logProbability,
        perturbed: context.sampling.isGreedy
          ? logProbability
          : Self.conditioned(own, largest: largest, onLargest: beam.perturbed))
    }
  }

  /// `own` as it would be if the largest of its siblings were `target` instead of `largest`:
  /// -log(exp(-target) - exp(-largest) + exp(-own)), in the form that keeps its digits.
  static func conditioned(_ own: Double, largest: Double, onLargest target: Double) -> Double {
    guard own < largest else { return target }
    let shift = target - own + ElementaryFunctions.log(1 - ElementaryFunctions.exp(own - largest))
    let tail = ElementaryFunctions.log(1 + ElementaryFunctions.exp(-abs(shift)))
    return target - max(0, shift) - tail
  }
}
