import Foretoken
import Testing

@testable import CommandLineTool

@Suite("prices of speculation")
struct SpecPricingTests {
  private func cost(_ each: Double) -> RelativeCost {
    RelativeCost(
      curve: CostCurve(memory: 0, fixed: (1 - each) * 1000, perRow: each * 1000))
  }

  private func pricing(_ steps: [SpecStep], _ cost: RelativeCost) -> SpecPricing {
    SpecPricing(steps: steps, plainForward: 1000, choice: 0, cost: cost)
  }

  /// Three steps of four nodes each: 4, 1 and 0 accepted.
  private let steps = [
    SpecStep(draft: 100, nodes: 4, accepted: [0, 1, 2, 3]),
    SpecStep(draft: 100, nodes: 4, accepted: [0]), SpecStep(draft: 100, nodes: 4, accepted: []),
  ]

  @Test("costs between measured rows are on a line, and go on after the last")
  func interpolation() throws {
    let times = [(1, 10.0), (2, 12), (4, 20), (8, 40)]
    let curve = CostCurve(times.map { .init(rows: $0.0, microseconds: $0.1) })
    let cost = RelativeCost(curve: try #require(curve))
    #expect(cost(1) == 1)
    #expect(cost(2) == 1.2)
    #expect(abs(cost(3) - 1.6) < 1e-12)
    #expect(abs(cost(6) - 3) < 1e-12)
    #expect(abs(cost(12) - 6) < 1e-12)
  }

  @Test("where rows are free, everything is drafted: tokens per pass are the bound")
  func freeRows() {
    let pricing = pricing(steps, cost(0))
    #expect(abs((pricing.bound ?? 0) - 8.0 / 3) < 1e-9)
    #expect(abs((pricing.clairvoyant ?? 0) - 8.0 / 3) < 1e-9)
    // Drafting took a tenth of a pass.
    #expect(abs((pricing.recorded ?? 0) - 8.0 / 3 / 1.1) < 1e-9)
  }

  @Test("where a row costs a pass, nothing pays, and the bound is plain decoding")
  func dearRows() {
    let pricing = pricing(steps, cost(1))
    #expect(abs((pricing.bound ?? 0) - 1) < 1e-9)
    #expect((pricing.recorded ?? 9) < 1)
  }

  @Test("between the two, the best number of nodes is found, and knowing more is worth more")
  func bestLimit() {
    let pricing = pricing(steps, cost(0.3))
    // Tokens and cost for 0 to 4 nodes a step: 3/3, 5/3.9, 6/4.8, 7/5.7, 8/6.6.
    #expect(abs((pricing.bound ?? 0) - 5 / 3.9) < 1e-9)
    #expect((pricing.clairvoyant ?? 0) > (pricing.bound ?? 9))
  }

  @Test("a drafter that knows when it is right is not held to one number of nodes")
  func probabilities() {
    let sure = SpecStep(nodes: 4, likely: [4, 4, 4, 4, 4, 4, 4], accepted: [0, 1, 2, 3])
    let unsure = SpecStep(nodes: 4, likely: [0, 0, 0, 0, 4, 4, 4], accepted: [])
    let pricing = pricing([sure, unsure, unsure, unsure], cost(0.5))
    // Four nodes in the first step, none in the others: 8 tokens for 3 + 3 passes.
    #expect(abs((pricing.bound ?? 0) - 8.0 / 6) < 1e-9)
  }

  @Test("nodes are ranked by their path, likeliest first, parents before children")
  func ranks() throws {
    var trace = StepTrace(
      position: 7, emitted: [5, 6, 9], outcome: .mismatch,
      costs: StepCosts(forwardRows: 5, forwardMicroseconds: 10, verifyMicroseconds: 1))
    // 0: 0.5, 1: 0.3, 2 below 0: 0.5 * 0.9 = 0.45, 3 below 1: 0.3.
    trace.draftTokens = [1, 5, 2, 6]
    trace.draftParents = [-1, -1, 0, 1]
    trace.draftProbabilities = [0.5, 0.3, 0.9, 1]
    trace.accepted = [1, 3]
    let step = SpecStep(trace)
    #expect(step.nodes == 4)
    #expect(step.accepted == [2, 3])
    #expect(step.likely == [0, 0, 2, 4, 4, 4, 4])
  }

  @Test("the curve of eight cores is flat at first and grows with the rows after its knee")
  func eightCores() {
    #expect(RelativeCost.eightCores(1) == 1)
    #expect(RelativeCost.eightCores(8) == 1)
    #expect(RelativeCost.eightCores(32) > 1.8)
    #expect(RelativeCost.eightCores(32) < 2.5)
  }

  @Test("a limit draws the same prompts for a seed, as many of each category, in turns")
  func selection() {
    let prompts = (0..<30).map {
      BenchPrompt(id: "\($0)", category: $0 < 20 ? "a" : "b", turns: ["x"])
    }
    let some = BenchPrompt.select(prompts, limit: 3, seed: 4)
    #expect(some.map(\.category) == ["a", "b", "a", "b", "a", "b"])
    #expect(some == BenchPrompt.select(prompts, limit: 3, seed: 4))
    #expect(some != BenchPrompt.select(prompts, limit: 3, seed: 5))
    #expect(BenchPrompt.select(prompts, limit: nil, seed: 4).count == 30)
  }
}
