import Compute

/// DySpec: grows the tree where the drafter is confident (Xiong et al., "DySpec: Faster Speculative
/// Decoding with Dynamic Token Tree Structure", arXiv 2410.11744).
///
/// A slot is a place where one more sibling may be drawn. Its value is the probability that the
/// target gets there, by the drafter's own probabilities: of its parent times what the siblings
/// before it leave over. The most valuable slot is filled first; a filled slot opens one for the
/// next sibling and one for the first child.
///
/// Two forms that build the same tree: `greedy` fills the best slot of all, one pass of the drafter
/// for each node that gets children; `threshold` fills every slot above a value, level by level, one
/// pass for each level. The threshold follows the budget by itself.
public final class DySpecBuilder: TreeBuilder {
  /// How slots are picked.
  public enum Form: Sendable {
    /// The best slot of all, one at a time.
    case greedy
    /// All slots of at least this value, level by level; nil for a value that is steered towards
    /// the budget.
    case threshold(Double?)
  }

  private let form: Form
  private var steered: Double?

  /// A builder; the steered threshold is kept between steps.
  public init(_ form: Form = .threshold(nil)) { self.form = form }

  /// The threshold in force: the given one, or the steered one after the first step.
  public var threshold: Double? {
    if case .threshold(let given?) = form { return given }
    return steered
  }

  /// Fills slots until the budget is used up or none is worth it.
  public func build(
    _ budget: DraftBudget, from source: any DistributionSource, context: DraftContext,
    into tree: inout TokenTree
  ) throws {
    switch form {
    case .greedy: try buildGreedily(budget, source, context, &tree)
    case .threshold(let given):
      let least = given ?? steered ?? 1 / Double(max(budget.nodes, 1))
      // Where the planner knows what a node costs, none is taken that is worth less.
      let priced = max(least, Double(budget.leastPathProbability))
      try buildByLevel(budget, least: priced, source, context, &tree)
      guard given == nil, priced == least else { return }
      let size = Double(max(budget.nodes, 1))
      let factor = (Double(max(tree.count, 1)) / size).squareRoot()
      steered = min(max(least * factor, 1 / (8 * size)), 2 / size)
    }
  }

  /// Siblings below one node that were not drawn yet.
  private struct Slot {
    var node: Int
    var order: SiblingOrder
    var next = 0
    /// Value of the next sibling.
    var value: Double
    /// What the siblings before leave over of the distribution.
    var left = 1.0
    let parentValue: Double

    init(_ node: Int, _ order: SiblingOrder, value: Double) {
      self.node = node
      self.order = order
      self.value = value
      parentValue = value
    }

    var isEmpty: Bool { next >= order.tokens.count || left <= 1e-9 }

    /// Draws the next sibling and returns it with the value of its own children's slot.
    mutating func fill(_ tree: inout TokenTree) -> (node: Int, value: Double) {
      let probability = ElementaryFunctions.exp(order.logProbabilities[next])
      let child = tree.append(order.tokens[next], below: node, probability: Float(probability))
      let childValue = parentValue * probability
      next += 1
      left -= probability
      value = parentValue * max(left, 0)
      return (child, childValue)
    }
  }

  private func slots(
    below nodes: [(node: Int, value: Double)], _ budget: DraftBudget,
    _ source: any DistributionSource, _ context: DraftContext, _ tree: inout TokenTree
  ) throws -> [Slot] {
    let distributions = try source.distributions(
      after: nodes.map(\.node), of: tree, context: context)
    return zip(nodes, distributions).compactMap { parent, distribution in
      if distribution.isEmpty { return nil }
      tree.declare(distribution, below: parent.node, context: context)
      let order = SiblingOrder(
        distribution, count: budget.nodes, node: parent.node,
        position: tree.position(below: parent.node, root: context.position), context: context)
      return Slot(parent.node, order, value: parent.value)
    }
  }

  private func buildGreedily(
    _ budget: DraftBudget, _ source: any DistributionSource, _ context: DraftContext,
    _ tree: inout TokenTree
  ) throws {
    // Nodes whose first child's slot is open, and slots whose distribution is known. A node's
    // distribution is asked for when its slot comes up, not when it opens.
    var open: [(node: Int, value: Double)] = [(TokenTree.root, 1)]
    var known: [Slot] = []
    while tree.count < budget.nodes {
      let bestOpen = open.indices.max { (open[$0].value, $1) < (open[$1].value, $0) }
      let bestKnown = known.indices.max { (known[$0].value, $1) < (known[$1].value, $0) }
      let openValue = bestOpen.map { open[$0].value } ?? -1
      let knownValue = bestKnown.map { known[$0].value } ?? -1
      guard max(openValue, knownValue) > 0 else { return }
      if let bestOpen, openValue >= knownValue {
        let node = open.remove(at: bestOpen)
        known += try slots(below: [node], budget, source, context, &tree)
        continue
      }
      guard let bestKnown else { return }
      let child = known[bestKnown].fill(&tree)
      if known[bestKnown].isEmpty { known.remove(at: bestKnown) }
      if Int(tree.depths[child.node]) + 1 < budget.depth { open.append(child) }
    }
  }

  private func buildByLevel(
    _ budget: DraftBudget, least: Double, _ source: any DistributionSource,
    _ context: DraftContext, _ tree: inout TokenTree
  ) throws {
    var level: [(node: Int, value: Double)] = [(TokenTree.root, 1)]
    for _ in 0..<budget.depth {
      level.removeAll { $0.value < least }
      guard !level.isEmpty, tree.count < budget.nodes else { return }
      var next: [(node: Int, value: Double)] = []
      for var slot in try slots(below: level, budget, source, context, &tree) {
        while tree.count < budget.nodes, !slot.isEmpty, slot.value >= least {
          next.append(slot.fill(&tree))
        }
      }
      level = next
    }
  }
}
