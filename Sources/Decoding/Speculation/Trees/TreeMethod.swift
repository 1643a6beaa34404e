/// Shapes of drafted trees, by the name that `--tree` takes.
public enum TreeMethod: String, Sendable, Codable, CaseIterable {
  /// One path: speculative decoding as it was first published.
  case chain
  /// Several paths that part at the root: SpecTr's drafts (Sun et al., arXiv 2310.15141), and the
  /// expansion of SpecInfer (Miao et al., arXiv 2305.09781) at the first level.
  case `static`
  /// The best shape for how often the first, second, … sibling is accepted (Sequoia, Chen et al.,
  /// arXiv 2402.12374).
  case sequoia
  /// Grown where the drafter is confident, level by level (DySpec's threshold form, Xiong et al.,
  /// arXiv 2410.11744).
  case dyspec
  /// Grown where the drafter is confident, one pass of the drafter for each node with children
  /// (DySpec's greedy form).
  case dySpecGreedy = "dyspec-greedy"
  /// As many different children at each node of a level (RSD-C, Jeon et al., arXiv 2402.14160).
  case rsdC = "rsd-c"
  /// A stochastic beam: whole paths without replacement (RSD-S).
  case rsdS = "rsd-s"

  /// Nodes of a step where neither planner nor `maximumDraft` say another number: of the papers'
  /// settings the one that is nearest to what a processor can run.
  var paperNodes: Int {
    switch self {
    case .chain: DraftModelDrafter.paperLength
    case .static: 32
    case .sequoia, .dyspec, .dySpecGreedy: 64
    case .rsdC: 14
    case .rsdS: 30
    }
  }

  /// Verifiers that test its nodes as they are drawn, beside the greedy and the coupled one, which
  /// take any tree.
  public var verifiers: [VerificationMethod] {
    switch self {
    case .chain: [.rejection, .specinfer, .spectr, .recursive]
    case .static: [.specinfer, .spectr]
    case .sequoia, .dyspec, .dySpecGreedy, .rsdC, .rsdS: [.recursive]
    }
  }

  /// The tree that a verifier was made for, where the options name none.
  static func usual(for verification: VerificationMethod?) -> TreeMethod {
    switch verification {
    case .specinfer, .spectr: .static
    case .recursive: .rsdS
    case .greedy, .coupled, .rejection, nil: .chain
    }
  }

  /// A builder for one generation.
  ///
  /// - Parameters:
  ///   - law: how the siblings of static trees are drawn; all others are drawn without replacement.
  ///   - usesWholeDepth: true if trees are to be as deep as their budgets; false for a depth that
  ///     suits the number of nodes.
  func builder(law: SiblingLaw, usesWholeDepth: Bool) -> any TreeBuilder {
    func depth(_ budget: DraftBudget) -> Int {
      let usual = self == .static ? Self.staticDepth(budget.nodes) : Self.depth(budget.nodes)
      return min(usesWholeDepth ? budget.depth : min(usual, budget.depth), budget.nodes)
    }
    switch self {
    case .chain:
      return ChildCountsBuilder(law: law) { Array(repeating: 1, count: $0.depth) }
    case .static:
      return ChildCountsBuilder(law: law) { budget in
        let depth = max(depth(budget), 1)
        return [Self.width(budget.nodes, levels: depth)]
          + Array(repeating: 1, count: depth - 1)
      }
    case .sequoia: return SequoiaBuilder()
    case .dyspec: return DySpecBuilder()
    case .dySpecGreedy: return DySpecBuilder(.greedy)
    case .rsdC:
      let shapes = BranchingFactors(acceptance: RankAcceptance.measured)
      return ChildCountsBuilder(law: .withoutReplacement) { budget in
        shapes.best(nodes: budget.nodes, depth: depth(budget), exactly: usesWholeDepth)
      }
    case .rsdS:
      return StochasticBeamBuilder { budget in
        Self.width(budget.nodes, levels: max(depth(budget), 1))
      }
    }
  }

  /// Nodes of a level where the planner decides how many levels there are and drawn nodes cannot be
  /// dropped: those of the given sizes, else two, which is where trees begin.
  func plannedWidth(_ nodes: Int?, _ depth: Int?) -> Double {
    nodes.map { max(Double($0) / Double(max(depth ?? Self.depth($0), 1)), 1) } ?? 2
  }

  /// As many nodes for each level as use up the budget, but leave some for the last one.
  private static func width(_ nodes: Int, levels: Int) -> Int {
    let width = (nodes + levels - 1) / levels
    return width * (levels - 1) < nodes ? width : max(nodes / levels, 1)
  }

  /// Depths that RSD's paper gives its budgets: 3 for 6 nodes, 4 for 10, 5 for 14, 6 for 21.
  private static func depth(_ nodes: Int) -> Int {
    max(Int((1.5 * Double(nodes)).squareRoot().rounded()), min(nodes, 2))
  }

  /// SpecTr's drafts have four tokens, eight of them 32.
  private static func staticDepth(_ nodes: Int) -> Int { min(depth(nodes), 4) }
}

/// Children of each node level by level, chosen for a budget.
final class BranchingFactors {
  private let acceptance: [Double]
  private var known: [DraftBudget: [Int]] = [:]

  /// - Parameter acceptance: probability that the child of each rank is the accepted one.
  init(acceptance: [Double]) { self.acceptance = acceptance }

  /// The list of factors, none larger than the one before, of the largest expected number of
  /// accepted nodes.
  ///
  /// - Parameters:
  ///   - nodes: most nodes of the tree.
  ///   - depth: most levels.
  ///   - exactly: true for that many levels, if there are as many nodes.
  func best(nodes: Int, depth: Int, exactly: Bool) -> [Int] {
    let depth = min(depth, nodes)
    let budget = DraftBudget(nodes: nodes, depth: depth)
    if let known = known[budget] { return known }
    var best = (value: -1.0, factors: [Int]())
    func extend(_ factors: [Int], level: Int, left: Int, reach: Double, value: Double) {
      if value > best.value, !exactly || factors.count == depth { best = (value, factors) }
      // What is left must give every level that is still to come one child for each node.
      let below = depth - factors.count
      guard below > 0 else { return }
      let most = min(factors.last ?? acceptance.count, left / level)
      for count in stride(from: most, through: 1, by: -1) {
        let width = level * count
        if exactly, width * below > left { continue }
        let next = reach * acceptance.prefix(count).reduce(0, +)
        extend(
          factors + [count], level: width, left: left - width, reach: next, value: value + next)
      }
    }
    extend([], level: 1, left: nodes, reach: 1, value: 0)
    known[budget] = best.factors
    return best.factors
  }
}
