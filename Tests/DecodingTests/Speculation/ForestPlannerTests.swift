import TestSupport
import Testing

@testable import Decoding

@Suite struct ForestPlannerTests {
  /// Values that fall, as those of a tree's nodes in order.
  private func values(_ random: inout SeededGenerator, _ count: Int) -> [Float] {
    var path: Float = 1
    return (0..<count).map { _ in
      path *= random.unit()
      return path
    }
  }

  /// A cost curve of any shape that rises.
  private func curve(_ random: inout SeededGenerator, _ rows: Int) -> [Double] {
    var time = 100.0
    return (0...rows).map { _ in
      time += Double(random.unit()) * (random.next() % 3 == 0 ? 100 : 10)
      return time
    }
  }

  /// Looks at every split there is.
  private func bestGain(
    _ candidates: [[Float]], _ costs: ForestPlanner.Costs, rate: Double
  ) -> Double {
    var best = 0.0
    func search(_ sequence: Int, _ sum: Double, _ used: Int) {
      guard sequence < candidates.count else {
        let price = costs.microseconds(costs.rows + used) - costs.microseconds(costs.rows)
        best = max(best, sum - rate * price)
        return
      }
      var sum = sum
      for count in 0...candidates[sequence].count where used + count <= costs.room {
        if count > 0 { sum += Double(candidates[sequence][count - 1]) }
        search(sequence + 1, sum, used + count)
      }
    }
    search(0, 0, 0)
    return best
  }

  private func gain(
    _ counts: [Int], _ candidates: [[Float]], _ costs: ForestPlanner.Costs, rate: Double
  ) -> Double {
    var sum = 0.0
    for (count, values) in zip(counts, candidates) {
      for value in values.prefix(count) { sum += Double(value) }
    }
    let used = counts.reduce(0, +)
    return sum - rate * (costs.microseconds(costs.rows + used) - costs.microseconds(costs.rows))
  }

  @Test("the split is as good as the best of all splits, for its worth of time")
  func optimal() {
    var random = SeededGenerator(seed: 1)
    var splits = 0
    for _ in 0..<400 {
      let sequences = random.number(1...4)
      let candidates = (0..<sequences).map { _ in values(&random, random.number(0...5)) }
      let times = curve(&random, 40)
      let rows = sequences + random.number(0...6)
      let costs = ForestPlanner.Costs(
        sequences: sequences, rows: rows, room: random.number(0...16)
      ) { times[$0] }
      var planner = ForestPlanner()
      if random.next() % 2 == 0 {
        planner.observe(
          tokens: sequences * 2, sequences: sequences, cost: 150, plainCost: 120)
      }
      let counts = planner.split(candidates, costs)
      #expect(counts.count == sequences)
      #expect(zip(counts, candidates).allSatisfy { $0 >= 0 && $0 <= $1.count })
      let rate = planner.rate(candidates, costs)
      let found = gain(counts, candidates, costs, rate: rate)
      let best = bestGain(candidates, costs, rate: rate)
      // Gains within the margin of 2% are not taken.
      let used = counts.reduce(0, +)
      if used > 0 {
        splits += 1
        #expect(abs(found - best) < 1e-6)
      } else {
        #expect(best <= 0.02 * 2 * Double(sequences + 16))
      }
    }
    #expect(splits > 100)
  }

  @Test("nodes go to the sequences whose drafts are likelier, and rows that cost nothing are used")
  func shares() {
    var planner = ForestPlanner()
    let flat = ForestPlanner.Costs(sequences: 3, rows: 3, room: 8) { _ in 100 }
    #expect(planner.split([[0.9, 0.8, 0.7], [0.2], [0.5, 0.1]], flat) == [3, 1, 2])
    // Three rows more are free, then each costs as much as a sequence's token.
    let steps = ForestPlanner.Costs(sequences: 3, rows: 3, room: 8) {
      $0 <= 6 ? 90 : 90 + Double($0 - 6) * 60
    }
    #expect(planner.split([[0.9, 0.8, 0.7], [0.2], [0.5, 0.1]], steps) == [3, 0, 0])
    #expect(planner.split([[0.9, 0.3], [0.6], [0.5, 0.1]], steps) == [1, 1, 1])
    // Where every row costs a token's time, nothing is worth it.
    let dear = ForestPlanner.Costs(sequences: 2, rows: 2, room: 8) { Double($0) * 50 }
    #expect(planner.split([[0.9, 0.8], [0.7]], dear) == [0, 0])
  }

  @Test("no more nodes than there is room for, and none for nothing")
  func limits() {
    var planner = ForestPlanner()
    let free = { (_: Int) in 100.0 }
    let full = ForestPlanner.Costs(sequences: 2, rows: 2, room: 3, microseconds: free)
    #expect(planner.split([[1, 1, 1], [1, 1, 1]], full) == [3, 0])
    let none = ForestPlanner.Costs(sequences: 2, rows: 2, room: 0, microseconds: free)
    #expect(planner.split([[1], [1]], none) == [0, 0])
    #expect(planner.split([], none) == [])
    let open = ForestPlanner.Costs(sequences: 2, rows: 2, room: 9, microseconds: free)
    #expect(planner.split([[0, 0], [0.5, 0]], open) == [0, 1])
  }

  @Test("drafts that have gained lately make time worth more")
  func speedup() {
    var planner = ForestPlanner()
    #expect(planner.recentSpeedup == 1)
    for _ in 0..<100 { planner.observe(tokens: 8, sequences: 4, cost: 100, plainCost: 80) }
    #expect(abs(planner.recentSpeedup - 1.6) < 1e-9)
  }
}
