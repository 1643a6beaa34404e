import Compute
import Testing

@testable import Decoding

@Suite struct PlannerTests {
  typealias Simulation = SimulatedDecoding

  @Test(
    "where speculation cannot pay, nothing is drafted beyond the probes", arguments: [false, true])
  func hopeless(runsModel: Bool) {
    for acceptance in [0.0, 0.3, 0.9, 1.0] {
      var simulation = Simulation(machine: .hopeless, acceptance: { _, _ in acceptance })
      if runsModel { simulation.levelCost = 700 }
      let found = simulation.planned(12_000)
      let asked = runsModel ? found.proposals : found.draftedSteps
      #expect(Double(asked) < 0.02 * Double(found.steps), "\(acceptance): \(asked)")
      // Never slower than plain decoding by more than the probes cost.
      let plain = 2000.0 * Double(found.tokens)
      #expect(found.microseconds < 1.02 * plain, "\(acceptance): \(found.microseconds / plain)")
    }
  }

  @Test("a drafter that is always wrong costs its probes and no more")
  func useless() {
    for machine in [CostCurve.twoCores, .eightCores] {
      for level in [nil, 700.0] {
        var simulation = Simulation(machine: machine, acceptance: { _, _ in 0 })
        simulation.levelCost = level
        let found = simulation.planned(12_000)
        let plain = machine.microseconds(rows: 1) * Double(found.tokens)
        #expect(found.microseconds < 1.02 * plain, "\(found.microseconds / plain)")
      }
    }
  }

  @Test(
    "where speculation pays, the planner is within 5% of the best fixed size",
    arguments: [0.3, 0.5, 0.7, 0.8, 0.9, 0.97], [false, true])
  func nearBest(acceptance: Double, runsModel: Bool) {
    for machine in [CostCurve.twoCores, .eightCores] {
      var simulation = Simulation(machine: machine, acceptance: { _, _ in acceptance })
      if runsModel { simulation.levelCost = 0.2 * machine.microseconds(rows: 1) }
      let best = simulation.bestFixed(12_000)
      let found = simulation.planned(12_000)
      #expect(found.rate > 0.95 * best.rate, "\(best.size): \(found.rate / best.rate)")
    }
  }

  @Test("interruptions of passes do not lead it astray")
  func interruptions() {
    var simulation = Simulation(acceptance: { _, _ in 0.85 })
    simulation.interruption = 6
    let best = simulation.bestFixed(12_000)
    let found = simulation.planned(12_000)
    #expect(found.rate > 0.94 * best.rate, "\(found.rate / best.rate)")
  }

  @Test("a wrong cost curve is put right while decoding")
  func wrongCurve() {
    let simulation = Simulation(machine: .eightCores, acceptance: { _, _ in 0.8 })
    let best = simulation.bestFixed(12_000)
    // Measured while a neighbour was busy: all slower, many rows more so.
    let believed = CostCurve(memory: 2600, fixed: 600, perRow: 200)
    let found = simulation.planned(4000, believed: believed)
    #expect(found.rate > 0.9 * best.rate, "\(found.rate / best.rate)")
    let dear = Simulation(machine: .hopeless, acceptance: { _, _ in 0.8 })
    let fooled = dear.planned(4000, believed: .eightCores)
    let plain = 2000.0 * Double(fooled.tokens)
    #expect(fooled.microseconds < 1.15 * plain, "\(fooled.microseconds / plain)")
  }

  @Test(
    "it recovers when drafts turn bad, and when they turn good again", arguments: [false, true])
  func regimes(runsModel: Bool) {
    let good = { (_: Int, _: Int) in 0.9 }
    var simulation = Simulation(machine: .eightCores)
    if runsModel { simulation.levelCost = 100 }
    simulation.acceptance = { position, _ in (2000..<4000).contains(position) ? 0.02 : 0.9 }
    let whole = simulation.planned(8000)
    var steady = simulation
    steady.acceptance = good
    let best = steady.bestFixed(2000).rate
    // Time by thirds: what the good parts take at the best rate and the bad one plainly.
    let plain = 1 / CostCurve.eightCores.microseconds(rows: 1)
    let ideal = 6000 / best + 2000 / plain
    #expect(whole.microseconds < 1.1 * ideal, "\(whole.microseconds / ideal)")
  }

  @Test("the same trees grow by themselves on a machine with more cores")
  func growth() {
    var simulation = Simulation(acceptance: { _, _ in 0.6 }, siblings: 2)
    simulation.machine = .twoCores
    let small = simulation.planned(3000)
    simulation.machine = .eightCores
    let large = simulation.planned(3000)
    let (few, many) = (mean(small), mean(large))
    #expect(few > 0.5 && few < 4, "\(few)")
    #expect(many > 2.5 * few, "\(few) \(many)")
    #expect(large.rate * 1720 > small.rate * 2070 * 1.2)
  }

  @Test("a draft model is asked for the nodes that could pay, one for each level at least")
  func affordableNodes() {
    func budget(_ machine: CostCurve) -> DraftBudget {
      MeasuredPlanner(costs: CostModel(machine), record: DrafterRecord()).budget(
        for: PricedDrafter(level: 0.1 * machine.microseconds(rows: 1)),
        context: DraftContext(
          history: TokenHistory([0]), promptCount: 1, sampling: .greedy,
          noise: RandomStream(seed: 1), needsDistributions: false),
        limit: DraftBudget(nodes: 64, depth: 64))
    }
    let free = budget(CostCurve(memory: 2000, fixed: 1, perRow: 1))
    let (small, large) = (budget(.twoCores), budget(.eightCores))
    #expect(free.nodes == 64 && free.depth > 4)
    #expect(small.depth > 0 && small.nodes >= small.depth && small.nodes < 32, "\(small)")
    #expect(large.nodes > small.nodes && large.nodes < 64, "\(large)")
    #expect(budget(.hopeless).nodes <= 1 || budget(.hopeless).isEmpty)
  }

  /// Runs a model, and says what that costs.
  private final class PricedDrafter: Drafter {
    let name = "priced"
    let requirements = DrafterRequirements(runsModel: true)
    let level: Double
    init(level: Double) { self.level = level }
    func price(_ context: DraftContext) -> DraftPrice? { DraftPrice(catchUp: 0, level: level) }
    func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {}
  }

  private func mean(_ result: Simulation.Result) -> Double {
    Double(result.nodes) / Double(result.steps)
  }

  @Test("confidence is used: better than any fixed size where drafts are sure now and then")
  func confidence() {
    let surety = RandomStream(seed: 12)
    for machine in [CostCurve.twoCores, .eightCores] {
      let simulation = Simulation(
        machine: machine,
        acceptance: { position, _ in surety.uniform(position: position, token: 0) < 0.3 ? 0.96 : 0.1
        },
        tellsProbability: true)
      let best = simulation.bestFixed(12_000)
      let found = simulation.planned(12_000)
      #expect(found.rate > 1.03 * best.rate, "\(best.size): \(found.rate / best.rate)")
    }
  }

  @Test("overconfident drafters are seen through")
  func overconfidence() {
    // Says 0.97 and is right in a tenth of the cases: the bucket's own count decides.
    var simulation = Simulation(machine: .twoCores, acceptance: { _, _ in 0.1 })
    simulation.tellsProbability = false
    let memory = DrafterRecord()
    for _ in 0..<300 {
      memory.acceptance.record(depth: 0, rank: 0, probability: 1, accepted: true)
    }
    let found = simulation.planned(3000, memory: memory)
    let plain = 2070.0 * Double(found.tokens)
    #expect(found.microseconds < 1.03 * plain, "\(found.microseconds / plain)")
  }

  @Test("a step's expected tokens are those that come, counted once")
  func calibration() {
    for siblings in [0, 2] {
      for acceptance in [0.4, 0.7, 0.9] {
        let simulation = Simulation(
          machine: .eightCores, acceptance: { _, _ in acceptance }, siblings: siblings)
        let found = simulation.planned(6000)
        let ratio = found.expected / Double(found.tokens)
        #expect((0.95...1.05).contains(ratio), "\(siblings) \(acceptance): \(ratio)")
      }
    }
  }

  @Test("what other generations learnt of a drafter is there from the first step")
  func memory() {
    let record = DrafterRecord()
    let simulation = Simulation(machine: .twoCores, acceptance: { _, _ in 0.9 })
    let first = simulation.planned(3000, memory: record)
    let second = simulation.planned(200, memory: record)
    #expect(second.sizes.prefix(3).allSatisfy { $0 >= 4 }, "\(second.sizes.prefix(5))")
    #expect(first.sizes[0] < 4, "\(first.sizes[0])")
  }

  @Test("the same inputs give the same decisions, and the limit holds")
  func determinism() {
    let simulation = Simulation(
      machine: .eightCores, acceptance: { position, _ in position % 3 == 0 ? 0.9 : 0.6 },
      siblings: 1)
    #expect(simulation.planned(1500) == simulation.planned(1500))
    for most in [2, 4, 6] {
      let found = simulation.planned(1000, most: most)
      #expect(found.sizes.allSatisfy { $0 <= most })
      #expect(found.sizes.contains(most))
    }
  }

  @Test("drawn trees are limited before they are drawn, and kept whole")
  func drawn() {
    for acceptance in [0.05, 0.8] {
      var simulation = Simulation(machine: .eightCores, acceptance: { _, _ in acceptance })
      simulation.isDrawn = true
      let best = simulation.bestFixed(12_000)
      let found = simulation.planned(12_000)
      #expect(found.rate > 0.95 * best.rate, "\(best.size): \(found.rate / best.rate)")
    }
  }

  @Test("an expensive look-up is made as often as it pays")
  func expensiveProposals() {
    // A proposal takes a tenth of a pass.
    var simulation = Simulation(machine: .eightCores, acceptance: { _, _ in 0.01 })
    simulation.proposalCost = 170
    let bad = simulation.planned(4000)
    let plain = 1720.0 * Double(bad.tokens)
    #expect(bad.microseconds < 1.02 * plain, "\(bad.microseconds / plain)")
    simulation.acceptance = { _, _ in 0.8 }
    let good = simulation.planned(4000)
    #expect(good.rate > 0.95 * simulation.bestFixed(4000).rate)
  }

  @Test("catching up on a long text is an investment that has to pay within an answer")
  func catchingUp() {
    final class Late: Drafter {
      let name = "late"
      let requirements = DrafterRequirements(runsModel: true)
      let catchUp: Double
      init(_ catchUp: Double) { self.catchUp = catchUp }
      func price(_ context: DraftContext) -> DraftPrice? {
        DraftPrice(catchUp: catchUp, level: 170)
      }
      func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {}
    }
    func depth(_ catchUp: Double, written: Int, remaining: Int = 10_000) -> Int {
      var context = DraftContext(
        history: TokenHistory([Int32](repeating: 1, count: 3 + written)), promptCount: 3,
        sampling: .greedy, noise: .init(seed: 1), needsDistributions: false)
      context.remaining = remaining
      return MeasuredPlanner(costs: CostModel(.eightCores), record: DrafterRecord()).budget(
        for: Late(catchUp), context: context, limit: DraftBudget(nodes: 64, depth: 64)
      ).depth
    }
    #expect(depth(0, written: 0) >= 3)
    // A text that has lasted will last, unless it may not.
    #expect(depth(50_000, written: 0) == 0)
    #expect(depth(50_000, written: 400) >= 3)
    #expect(depth(50_000, written: 400, remaining: 8) == 0)
    #expect(depth(5_000_000, written: 400) == 0)
  }
}
