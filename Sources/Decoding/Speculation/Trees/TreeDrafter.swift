/// A drafter whose trees a builder grows from the distributions that it tells.
///
/// What is proposed is drawn anew in each step: the drafter's own proposal is not asked for.
final class TreeDrafter: Drafter {
  private let base: any Drafter & DistributionSource
  private let builder: any TreeBuilder

  init(_ base: any Drafter & DistributionSource, _ builder: any TreeBuilder) {
    self.base = base
    self.builder = builder
  }

  var name: String { base.name }
  var requirements: DrafterRequirements { base.requirements }

  func begin(_ context: DraftContext) throws { try base.begin(context) }
  func price(_ context: DraftContext) -> DraftPrice? { base.price(context) }
  func end() throws { try base.end() }

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    guard !budget.isEmpty else { return }
    let source = LikelySource(base, least: budget.leastPathProbability)
    try builder.build(budget, from: source, context: context, into: &tree)
  }

  func observe(_ step: DraftObservation, context: DraftContext) throws {
    builder.observe(step)
    try base.observe(step, context: context)
  }
}

/// Does not go on below paths that the planner would not run.
///
/// That depends on tokens that are in the tree, not on those that are still to be drawn, so that
/// verification by rejection stays exact.
private final class LikelySource: DistributionSource {
  private let base: any DistributionSource
  private let least: Float

  init(_ base: any DistributionSource, least: Float) {
    self.base = base
    self.least = least
  }

  func distributions(
    after nodes: [Int], of tree: TokenTree, context: DraftContext
  ) throws -> [DraftDistribution] {
    let likely = nodes.filter { $0 < 0 || tree.pathProbabilities[$0] >= least }
    guard likely.count < nodes.count else {
      return try base.distributions(after: nodes, of: tree, context: context)
    }
    let known =
      likely.isEmpty
      ? [] : try base.distributions(after: likely, of: tree, context: context)
    let byNode = Dictionary(zip(likely, known)) { first, _ in first }
    return nodes.map { byNode[$0] ?? .empty }
  }
}

extension DrafterKind {
  /// Makes the drafter of one generation, with the tree that its options ask for.
  ///
  /// - Throws: what making the drafter throws.
  func drafter(_ setup: DrafterSetup) throws -> any Drafter {
    let drafter = try make(setup)
    let options = setup.options
    guard let tree = options.shapedTree(for: self),
      let source = drafter as? any Drafter & DistributionSource
    else { return drafter }
    return TreeDrafter(
      source,
      tree.builder(
        law: options.verification?.siblingLaw ?? .withoutReplacement,
        usesWholeDepth: options.planner == .on || options.draftDepth != nil))
  }
}
