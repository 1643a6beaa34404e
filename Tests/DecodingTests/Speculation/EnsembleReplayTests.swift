import Compute
import Testing

@testable import Decoding

/// `auto` on what real drafters proposed for real texts, at the prices of machines of two and of
/// eight cores. Deterministic.
@Suite struct EnsembleReplayTests {
  /// Time of a pass's kind: what the members take beside a pass of one row.
  private static func time(_ name: String, _ machine: CostCurve) -> ReplayedTime {
    switch name {
    case "draft-model": ReplayedTime(level: 0.4 * machine.microseconds(rows: 1))
    case "aded": ReplayedTime(proposal: 20)
    case "stand": ReplayedTime(proposal: 10)
    default: ReplayedTime(proposal: 3)
    }
  }

  static let names = ["copy", "input", "recycling", "aded", "stand", "draft-model"]

  struct Total: Equatable {
    var microseconds = 0.0
    var tokens = 0
    var steps = 0
  }

  /// Decodes all texts one after another, twice; what is learnt stays, and the second time counts:
  /// tables of a model are warm after its first hours.
  ///
  /// - Parameters:
  ///   - name: a drafter, `auto`, or `none`.
  /// - Returns: totals by category; nil if a text has no such drafter.
  static func replay(
    _ texts: [RecordedProposals.Text], _ name: String, _ machine: CostCurve
  ) throws -> [String: Total] {
    let planning = PlanningMemory()
    var totals: [String: Total] = [:]
    for (index, text) in (texts + texts).enumerated() {
      let clock = ReplayClock()
      func member(_ name: String) -> ReplayedDrafter? {
        text.trees(of: name).map {
          ReplayedDrafter(
            name, $0, promptCount: 1, time: time(name, machine), clock: clock)
        }
      }
      let costs = CostModel(machine)
      let drafter: any Drafter
      let planner: any Planner
      switch name {
      case "none":
        (drafter, planner) = (
          ReplayedDrafter("", [], promptCount: 1, time: .init(proposal: 0), clock: clock),
          FixedPlanner()
        )
      case "auto":
        let ensemble = EnsembleDrafter(
          names.compactMap(member).map { ($0, 64) }, now: { clock.microseconds })
        let own = EnsemblePlanner(
          ensemble, costs: costs, record: planning.ensemble, memberRecord: planning.record)
        ensemble.planner = own
        (drafter, planner) = (ensemble, own)
      default:
        // Where a method cannot draft, it decodes plainly.
        let own =
          member(name)
          ?? ReplayedDrafter(
            name, [], promptCount: 1, time: .init(), clock: clock)
        (drafter, planner) = (own, MeasuredPlanner(costs: costs, record: planning.record(name)))
      }
      let found = try run(text.tokens, drafter, planner, machine, clock)
      guard index >= texts.count else { continue }
      totals[text.category, default: Total()].microseconds += found.microseconds
      totals[text.category, default: Total()].tokens += found.tokens
      totals[text.category, default: Total()].steps += found.steps
    }
    return totals
  }

  private static func run(
    _ tokens: [Int32], _ drafter: any Drafter, _ planner: any Planner, _ machine: CostCurve,
    _ clock: ReplayClock
  ) throws -> Total {
    let whole = [0] + tokens
    var history = TokenHistory(whole[..<2], capacity: whole.count)
    var total = Total()
    func context() -> DraftContext {
      DraftContext(
        history: history, promptCount: 1, sampling: .greedy, noise: RandomStream(seed: 1),
        needsDistributions: false, remaining: whole.count - history.count)
    }
    try drafter.begin(context())
    while history.count < whole.count {
      var tree = TokenTree()
      let room = whole.count - history.count - 1
      let began = clock.microseconds
      let budget = planner.budget(
        for: drafter, context: context(), limit: DraftBudget(nodes: 64, depth: min(64, room)))
      if !budget.isEmpty {
        try drafter.propose(budget, context: context(), into: &tree)
        planner.prune(&tree)
      }
      let position = history.count
      var accepted: [Int32] = []
      var node = TokenTree.root
      while position + accepted.count < whole.count - 1,
        let child = tree.child(of: node, token: whole[position + accepted.count])
      {
        accepted.append(Int32(child))
        node = child
      }
      let emitted = Array(whole[position...(position + accepted.count)])
      for token in emitted { history.append(token) }
      let draftTime = clock.microseconds - began
      let forward = machine.microseconds(rows: 1 + tree.count)
      planner.observe(
        PlannedStep(
          position: position, tree: tree, accepted: accepted, emitted: emitted,
          draftMicroseconds: draftTime, forwardMicroseconds: forward))
      total.microseconds += forward + draftTime
      total.tokens += emitted.count
      total.steps += 1
    }
    return total
  }

  private static func sum(_ totals: [String: Total]) -> Double {
    totals.values.reduce(0) { $0 + $1.microseconds }
  }

  @Test(
    "auto beats every single method on the mix, and is within 5% of each on every kind of text",
    arguments: [2, 8])
  func best(cores: Int) throws {
    let recording = try RecordedProposals.load()
    let models = Set(recording.texts.map(\.model)).sorted()
    #expect(!models.isEmpty)
    for model in models { try best(model, recording, cores: cores) }
  }

  private func best(_ model: String, _ recording: RecordedProposals, cores: Int) throws {
    let machine = cores == 2 ? CostCurve.twoCores : .eightCores
    let texts = recording.texts.filter { $0.model == model }
    #expect(texts.count >= 14)
    let auto = try Self.replay(texts, "auto", machine)
    let singles = try (Self.names + ["none"]).map { ($0, try Self.replay(texts, $0, machine)) }
    for (category, own) in auto {
      for (name, single) in singles {
        let other = try #require(single[category])
        #expect(other.tokens == own.tokens)
        #expect(
          own.microseconds < other.microseconds / 0.95,
          "\(category): \(other.microseconds / own.microseconds) of \(name)")
      }
    }
    for (name, single) in singles {
      #expect(Self.sum(auto) < Self.sum(single), "\(Self.sum(single) / Self.sum(auto)) of \(name)")
    }
  }

  @Test("the same recording and prices give the same steps")
  func determinism() throws {
    let texts = Array(try RecordedProposals.load().texts.prefix(4))
    let first = try Self.replay(texts, "auto", .eightCores)
    #expect(try Self.replay(texts, "auto", .eightCores) == first)
  }
}
