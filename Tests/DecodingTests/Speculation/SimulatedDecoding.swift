import Compute

@testable import Decoding

/// Decoding without a model: a target whose text is known, a drafter that is right as often as it
/// is told to be, and a machine whose passes take what a curve says. Deterministic.
struct SimulatedDecoding {
  /// What the passes really take.
  var machine = CostCurve.twoCores
  /// Probability that a drafted token is right if the ones before it are, by position of the
  /// proposal and depth.
  var acceptance: (_ position: Int, _ depth: Int) -> Double = { _, _ in 0.7 }
  /// Whether the drafter says how sure it is.
  var tellsProbability = false
  /// Wrong siblings beside the main path; each is right with a third of what is left.
  var siblings = 0
  /// Microseconds for each level; the drafter runs a model then.
  var levelCost: Double?
  /// Microseconds of a proposal by table look-up.
  var proposalCost = 4.0
  /// The price of the interruption of every 20th pass, as a factor.
  var interruption = 1.0
  var isDrawn = false

  /// What came of it.
  struct Result: Equatable {
    var tokens = 0
    var microseconds = 0.0
    var steps = 0
    var draftedSteps = 0
    var proposals = 0
    var nodes = 0
    var expected = 0.0
    var sizes: [Int] = []
    /// Tokens per microsecond.
    var rate: Double { Double(tokens) / microseconds }
  }

  /// Plans with the measured planner until `tokens` are written.
  func planned(
    _ tokens: Int, most: Int = 64, memory: DrafterRecord = DrafterRecord(),
    believed: CostCurve? = nil
  ) -> Result {
    let planner = MeasuredPlanner(costs: CostModel(believed ?? machine), record: memory)
    return run(planner, tokens: tokens, most: most) { planner.expectedTokens }
  }

  /// The best rate of all fixed sizes, plain decoding among them, and its size.
  func bestFixed(_ tokens: Int, upTo most: Int = 24) -> (rate: Double, size: Int) {
    let sizes = (0...most).filter { $0 < 8 || $0.isMultiple(of: 2) }
    return sizes.map { (run(FixedPlanner(), tokens: tokens, most: $0).rate, $0) }
      .max { $0.0 < $1.0 } ?? (0, 0)
  }

  func run(
    _ planner: any Planner, tokens: Int, most: Int, expected: () -> Double = { 0 }
  ) -> Result {
    let drafter = SimulatedDrafter(self)
    var result = Result()
    var history = TokenHistory([0], capacity: tokens + 80)
    var tree = TokenTree()
    while result.tokens < tokens {
      let context = DraftContext(
        history: history, promptCount: 1, sampling: .greedy, noise: RandomStream(seed: 1),
        needsDistributions: isDrawn)
      tree.removeAll()
      let budget = planner.budget(
        for: drafter, context: context, limit: DraftBudget(nodes: most, depth: most))
      var draftTime = 0.0
      if !budget.isEmpty {
        drafter.propose(budget, context: context, into: &tree)
        draftTime = levelCost.map { $0 * Double(tree.depth) } ?? proposalCost
        result.proposals += 1
        if !isDrawn { planner.prune(&tree) }
      }
      result.expected += expected()
      // The walk of the verifier: the target's token at position p is p.
      let position = history.count
      var accepted: [Int32] = []
      var emitted = [Int32(position)]
      var node = TokenTree.root
      while let child = tree.child(of: node, token: Int32(position + accepted.count)) {
        accepted.append(Int32(child))
        node = child
        emitted.append(Int32(position + accepted.count))
      }
      let factor = result.steps % 20 == 13 ? interruption : 1
      let forward = machine.microseconds(rows: 1 + tree.count) * factor
      planner.observe(
        PlannedStep(
          position: position, tree: tree, accepted: accepted, emitted: emitted,
          draftMicroseconds: draftTime, forwardMicroseconds: forward))
      for token in emitted { history.append(token) }
      result.tokens += emitted.count
      result.microseconds += forward + draftTime
      result.steps += 1
      result.draftedSteps += tree.isEmpty ? 0 : 1
      result.nodes += tree.count
      result.sizes.append(tree.count)
    }
    return result
  }
}

/// Right as often as the simulation says; what it proposes at a position is always the same.
final class SimulatedDrafter: Drafter {
  let name = "simulated"
  private let world: SimulatedDecoding
  private let luck = RandomStream(seed: 99)

  init(_ world: SimulatedDecoding) { self.world = world }

  var requirements: DrafterRequirements {
    DrafterRequirements(runsModel: world.levelCost != nil)
  }

  func price(_ context: DraftContext) -> DraftPrice? {
    world.levelCost.map { DraftPrice(catchUp: 0, level: $0) }
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    let position = context.position
    var node = TokenTree.root
    for depth in 0..<budget.depth where tree.count + world.siblings < budget.nodes {
      let chance = world.acceptance(position, depth)
      let truth = Int32(position + depth)
      var luck = luck.uniform(position: position, token: depth)
      var share = chance
      let main = luck < chance ? truth : -1
      let probability = world.tellsProbability ? Float(chance) : 1
      let parent = node
      node = tree.append(main, below: parent, probability: probability)
      for sibling in 0..<world.siblings {
        luck -= share
        share = (1 - chance) / 3
        let isRight = luck >= 0 && luck < share
        tree.append(
          isRight ? truth : Int32(-2 - sibling), below: parent,
          probability: world.tellsProbability ? Float(share) : 1)
      }
      if tree.pathProbabilities[node] < budget.leastPathProbability { return }
    }
    if world.isDrawn, !tree.isEmpty {
      tree.setDistribution(
        DraftDistribution(tokens: [0], weights: [1]), below: TokenTree.root)
    }
  }
}

extension CostCurve {
  /// Two cores that turn compute-bound at three rows (microseconds of one large matrix).
  static let twoCores = CostCurve(memory: 2070, fixed: 760, perRow: 570)
  /// Eight cores on two memory channels.
  static let eightCores = CostCurve(memory: 1720, fixed: 150, perRow: 109)
  /// Rows save nothing: speculation cannot pay.
  static let hopeless = CostCurve(memory: 0, fixed: 0, perRow: 2000)
}
