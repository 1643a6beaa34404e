import Compute
import TestSupport
import Testing

@testable import Decoding

/// The planner on texts that a real model wrote: real drafters propose, the text says what is right,
/// a curve says what passes cost. Deterministic.
@Suite struct RecordedTextTests {
  private struct Recording: Decodable {
    struct Text: Decodable {
      let category: String
      let prompt: [Int32]
      let text: [Int32]
    }
    let texts: [Text]
  }

  private static func drafter(_ name: String) -> any Drafter {
    guard name == "copy" else { return LastSuccessorDrafter() }
    return CopyDrafter(
      settings: CopySettings(isGated: false), index: NGramIndex(length: 3, occurrence: .last))
  }

  /// Time of all texts, one generation after another.
  ///
  /// - Parameter planner: made for each generation.
  private func replay(
    _ recording: Recording, _ makeDrafter: () -> any Drafter, _ machine: CostCurve, most: Int,
    planner makePlanner: () -> any Planner
  ) throws -> (microseconds: Double, steps: Int, draftedSteps: Int) {
    var total = (microseconds: 0.0, steps: 0, draftedSteps: 0)
    for item in recording.texts {
      let drafter = makeDrafter()
      let planner = makePlanner()
      let whole = item.prompt + item.text
      var history = TokenHistory(whole[..<(item.prompt.count + 1)], capacity: whole.count)
      func context() -> DraftContext {
        DraftContext(
          history: history, promptCount: item.prompt.count, sampling: .greedy,
          noise: RandomStream(seed: 1), needsDistributions: false,
          remaining: whole.count - history.count)
      }
      try drafter.begin(context())
      while history.count < whole.count {
        var tree = TokenTree()
        let room = whole.count - history.count - 1
        let budget = planner.budget(
          for: drafter, context: context(),
          limit: DraftBudget(nodes: most, depth: min(most, room)))
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
        try drafter.observe(
          DraftObservation(
            position: position, tree: tree, accepted: accepted, emitted: emitted,
            logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 0), taps: []),
          context: context())
        let forward = machine.microseconds(rows: 1 + tree.count)
        planner.observe(
          PlannedStep(
            position: position, tree: tree, accepted: accepted, emitted: emitted,
            draftMicroseconds: 4, forwardMicroseconds: forward))
        total.microseconds += forward + (budget.isEmpty ? 0 : 4)
        total.steps += 1
        total.draftedSteps += tree.isEmpty ? 0 : 1
      }
    }
    return total
  }

  @Test(
    "on recorded texts the planner is within 5% of the best fixed size, or better",
    arguments: ["copy", "last-successor"])
  func nearBest(_ name: String) throws {
    let recording = try Goldens.load(Recording.self, "recorded_texts")
    #expect(recording.texts.count >= 20)
    let make = { Self.drafter(name) }
    for machine in [CostCurve.twoCores, .eightCores] {
      let fixed = try [0, 1, 2, 3, 4, 6, 8, 12, 16, 24].map { most in
        try replay(recording, make, machine, most: most) { FixedPlanner() }.microseconds
      }
      let best = try #require(fixed.min())
      let record = DrafterRecord()
      let found = try replay(recording, make, machine, most: 64) {
        MeasuredPlanner(costs: CostModel(machine), record: record)
      }
      #expect(found.microseconds < 1.05 * best, "\(found.microseconds / best)")
      #expect(found.microseconds < fixed[0], "\(found.microseconds / fixed[0]) of plain")
    }
  }

  @Test("on recorded texts nothing is drafted where passes cost as much as their rows")
  func hopeless() throws {
    let recording = try Goldens.load(Recording.self, "recorded_texts")
    for name in ["copy", "last-successor"] {
      let record = DrafterRecord()
      let found = try replay(recording, { Self.drafter(name) }, .hopeless, most: 64) {
        MeasuredPlanner(costs: CostModel(.hopeless), record: record)
      }
      #expect(Double(found.draftedSteps) < 0.02 * Double(found.steps), "\(found)")
    }
  }
}
