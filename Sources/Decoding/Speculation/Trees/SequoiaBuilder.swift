import Compute

/// Sequoia: draws trees of the shape that is best for how often the first, second, … sibling is
/// accepted (Chen et al., arXiv 2402.12374; the shapes are `SequoiaShapes`).
///
/// The paper measures the acceptance beforehand. Here it starts from `RankAcceptance.measured` and
/// follows what the generation's own steps show.
final class SequoiaBuilder: TreeBuilder {
  /// Nodes and depth of the largest tree that is solved for: the time that takes grows with the square
  /// of the nodes.
  private static let most = (nodes: 64, depth: 16)
  /// Solves anew after so many steps.
  private static let interval = 16

  private var acceptance = RankAcceptance()
  private var shapes: SequoiaShapes?

  func build(
    _ budget: DraftBudget, from source: any DistributionSource, context: DraftContext,
    into tree: inout TokenTree
  ) throws {
    let shapes =
      shapes
      ?? SequoiaShapes(
        acceptance: acceptance.estimates, nodes: Self.most.nodes, depth: Self.most.depth)
    self.shapes = shapes
    try ShapeBuilder { shapes.shape(nodes: $0.nodes, depth: $0.depth) }
      .build(budget, from: source, context: context, into: &tree)
  }

  func observe(_ step: DraftObservation) {
    acceptance.record(step)
    if acceptance.steps % Self.interval == 0 { shapes = nil }
  }
}

/// How often the first, second, … sibling is the accepted one.
struct RankAcceptance {
  /// What draws without replacement showed with Qwen2.5-Coder 0.5B drafting for 1.5B on HumanEval.
  static let measured = [0.75, 0.1, 0.04, 0.02, 0.012, 0.008, 0.005, 0.004]
  /// Nodes with children that the start counts for.
  private static let weight = 32.0

  private(set) var steps = 0
  private var parents = [Double](repeating: weight, count: measured.count)
  private var accepted = measured.map { $0 * weight }

  /// For each rank the probability that the child of that rank is the accepted one.
  var estimates: [Double] { zip(accepted, parents).map { $0 / $1 } }

  /// Counts the children of the nodes that were reached.
  mutating func record(_ step: DraftObservation) {
    guard !step.tree.isEmpty else { return }
    steps += 1
    for parent in [TokenTree.root] + step.accepted.map({ Int($0) }) {
      var child = step.tree.firstChild(below: parent)
      while let node = child {
        let rank = Int(step.tree.ranks[node])
        if parents.indices.contains(rank) {
          parents[rank] += 1
          if step.accepted.contains(Int32(node)) { accepted[rank] += 1 }
        }
        child = step.tree.sibling(after: node)
      }
    }
  }
}

/// Draws trees of a given shape, siblings without replacement.
///
/// Cost: one pass of the drafter for each level.
public final class ShapeBuilder: TreeBuilder {
  private let shape: (DraftBudget) -> TreeShape

  /// - Parameter shape: what to build within a budget.
  public init(_ shape: @escaping (DraftBudget) -> TreeShape) { self.shape = shape }

  /// Fills the shape level by level; places whose siblings run out stay empty.
  public func build(
    _ budget: DraftBudget, from source: any DistributionSource, context: DraftContext,
    into tree: inout TokenTree
  ) throws {
    let shape = shape(budget)
    var children: [Int: [Int]] = [:]
    for place in shape.parents.indices { children[shape.parents[place], default: []].append(place) }
    var level = [(place: -1, node: TokenTree.root)]
    for _ in 0..<budget.depth {
      level.removeAll { children[$0.place] == nil }
      guard !level.isEmpty else { return }
      let distributions = try source.distributions(
        after: level.map(\.node), of: tree, context: context)
      var next: [(place: Int, node: Int)] = []
      for (parent, distribution) in zip(level, distributions) {
        guard !distribution.isEmpty else { continue }
        let places = children[parent.place] ?? []
        let order = SiblingOrder(
          distribution, count: min(places.count, budget.nodes - tree.count), node: parent.node,
          position: tree.position(below: parent.node, root: context.position), context: context)
        tree.declare(distribution, below: parent.node, context: context)
        for (index, token) in order.tokens.enumerated() {
          let node = tree.append(
            token, below: parent.node,
            probability: Float(ElementaryFunctions.exp(order.logProbabilities[index])))
          next.append((places[index], node))
        }
      }
      level = next
    }
  }
}
