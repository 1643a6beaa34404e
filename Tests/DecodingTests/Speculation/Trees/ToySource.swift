import Compute
import Transformers

@testable import Decoding

/// A toy target's tables as a drafter that knows its distribution everywhere.
final class ToySource: DistributionSource {
  private let target: ToyTarget
  private(set) var passes = 0
  private(set) var rows = 0

  init(_ target: ToyTarget) { self.target = target }

  func distributions(
    after nodes: [Int], of tree: TokenTree, context: DraftContext
  ) throws -> [DraftDistribution] {
    passes += 1
    rows += nodes.count
    guard Set(nodes.map { $0 < 0 ? -1 : Int(tree.depths[$0]) }).count <= 1 else {
      throw BrokenInvariant(what: "a pass of the drafter is one level")
    }
    let latest = context.tokens.suffix(2)
    let (before, root) = (latest.first ?? 0, latest.last ?? 0)
    return nodes.map { node in
      let parent = node < 0 ? -1 : Int(tree.parents[node])
      let pair =
        node < 0
        ? (before, root) : (parent < 0 ? root : tree.tokens[parent], tree.tokens[node])
      let row = target.probabilities(after: pair.0, pair.1)
      return DraftDistribution(tokens: row.indices.map { Int32($0) }, weights: row)
    }
  }
}

/// Drafts with a builder over a toy.
final class BuilderDrafter: Drafter {
  let name = "builder"
  let source: ToySource
  private let builder: any TreeBuilder

  init(_ builder: any TreeBuilder, _ target: ToyTarget) {
    self.builder = builder
    source = ToySource(target)
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) throws {
    try builder.build(budget, from: source, context: context, into: &tree)
  }
}

/// Every builder, in a few sizes.
enum BuilderCase: CaseIterable, Sendable {
  case chain, independent222, specTr4, constant222, constant311
  case dySpecGreedy, dySpecThreshold, dySpecSteered
  case beam2, beam4, sequoia

  func make() -> any TreeBuilder {
    switch self {
    case .chain: ChildCountsBuilder([1, 1, 1], law: .withoutReplacement)
    case .independent222: ChildCountsBuilder([2, 2, 2], law: .independent)
    case .specTr4: ChildCountsBuilder([4, 1, 1], law: .independent)
    case .constant222: ChildCountsBuilder([2, 2, 2], law: .withoutReplacement)
    case .constant311: ChildCountsBuilder([3, 1, 1], law: .withoutReplacement)
    case .dySpecGreedy: DySpecBuilder(.greedy)
    case .dySpecThreshold: DySpecBuilder(.threshold(0.08))
    case .dySpecSteered: DySpecBuilder()
    case .beam2: StochasticBeamBuilder(width: 2)
    case .beam4: StochasticBeamBuilder(width: 4)
    case .sequoia:
      ShapeBuilder { budget in
        SequoiaShapes(acceptance: [0.6, 0.2, 0.1], nodes: budget.nodes, depth: budget.depth)
          .shape(nodes: budget.nodes)
      }
    }
  }
}
