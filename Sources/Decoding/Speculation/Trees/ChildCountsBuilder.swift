import Compute

/// Trees of a fixed shape, with as many children at each node as a list says level by level.
///
/// With siblings drawn without replacement this is RSD-C, constant branching by Gumbel-top-k (Jeon
/// et al., "Recursive Speculative Decoding", arXiv 2402.14160); with independent draws, of which
/// repeated ones share a node, it is the expansion of SpecInfer (Miao et al., arXiv 2305.09781) and
/// the setting that SpecTr assumes where only the first level branches (arXiv 2310.15141).
///
/// Cost: one pass of the drafter for each level.
public final class ChildCountsBuilder: TreeBuilder {
  /// How siblings are drawn.
  public let law: SiblingLaw
  private let counts: (DraftBudget) -> [Int]

  /// Trees of one shape, whatever the budget.
  /// - Parameter counts: one number for each level, 1 or more.
  public convenience init(_ counts: [Int], law: SiblingLaw) { self.init(law: law) { _ in counts } }

  /// Trees whose shape follows the budget.
  /// - Parameter counts: children of each node, by level.
  public init(law: SiblingLaw, counts: @escaping (DraftBudget) -> [Int]) {
    self.law = law
    self.counts = counts
  }

  /// Adds whole levels, and of the last one as many nodes as the budget has left.
  public func build(
    _ budget: DraftBudget, from source: any DistributionSource, context: DraftContext,
    into tree: inout TokenTree
  ) throws {
    // Independent draws come together in shared nodes: `draws` is how many run through each.
    var level = [(node: TokenTree.root, draws: 1)]
    for count in counts(budget).prefix(budget.depth).map({ max($0, 1) }) {
      guard tree.count < budget.nodes, !level.isEmpty else { return }
      let distributions = try source.distributions(
        after: level.map(\.node), of: tree, context: context)
      var next: [(node: Int, draws: Int)] = []
      for (parent, distribution) in zip(level, distributions) {
        guard tree.count < budget.nodes else { break }
        guard !distribution.isEmpty else { continue }
        let room = budget.nodes - tree.count
        if law == .independent, !context.sampling.isGreedy {
          next += drawIndependently(
            count * parent.draws, distribution, below: parent.node, room: room, context, &tree)
        } else {
          next += draw(min(count, room), distribution, below: parent.node, context, &tree)
        }
      }
      level = next
    }
  }

  private func draw(
    _ count: Int, _ distribution: DraftDistribution, below node: Int, _ context: DraftContext,
    _ tree: inout TokenTree
  ) -> [(node: Int, draws: Int)] {
    let order = SiblingOrder(
      distribution, count: count, node: node,
      position: tree.position(below: node, root: context.position), context: context)
    tree.declare(distribution, below: node, context: context)
    return zip(order.tokens, order.logProbabilities).map { token, logProbability in
      let child = tree.append(
        token, below: node, probability: Float(ElementaryFunctions.exp(logProbability)))
      return (child, 1)
    }
  }

  private func drawIndependently(
    _ count: Int, _ distribution: DraftDistribution, below node: Int, room: Int,
    _ context: DraftContext, _ tree: inout TokenTree
  ) -> [(node: Int, draws: Int)] {
    tree.declare(distribution, below: node, context: context, law: .independent)
    var children: [(node: Int, draws: Int)] = []
    let position = tree.position(below: node, root: context.position)
    // As many rounds as there is room for, decided before any token is known.
    for round in 0..<min(count, room) {
      let token = IndependentDraw(
        distribution, node: node, round: round, position: position, context: context)
      let child = tree.append(token.id, below: node, probability: Float(token.probability))
      tree.noteDraw(of: child)
      if let known = children.firstIndex(where: { $0.node == child }) {
        children[known].draws += 1
      } else {
        children.append((child, 1))
      }
    }
    return children
  }
}
