import Compute
import TestSupport
import Testing

@testable import Decoding

@Suite struct TreeShapeTests {
  /// Largest value of any shape, by trying all of them.
  private func bruteForce(_ acceptance: [Double], _ nodes: Int, _ depth: Int) -> Double {
    guard nodes > 0, depth > 0 else { return 0 }
    func forest(_ rank: Int, _ left: Int) -> Double {
      guard rank < acceptance.count, left > 0 else { return 0 }
      return (1...left).map { size in
        acceptance[rank] * (1 + bruteForce(acceptance, size - 1, depth - 1))
          + forest(rank + 1, left - size)
      }.max() ?? 0
    }
    return forest(0, nodes)
  }

  @Test("Sequoia's shape has the largest value of all shapes, for up to 12 nodes")
  func sequoia() {
    var generator = SeededGenerator(seed: 8)
    for round in 0..<24 {
      let ranks = 1 + round % 3
      let acceptance = (0..<ranks).map { _ in Double(generator.unit()) / Double(ranks) }
      let depth = 1 + round % 4
      let shapes = SequoiaShapes(acceptance: acceptance, nodes: 12, depth: depth)
      for nodes in 0...12 {
        let shape = shapes.shape(nodes: nodes)
        #expect(shape.parents.count <= nodes)
        #expect(abs(shape.value(acceptance: acceptance) - shapes.value(nodes: nodes)) < 1e-12)
        let best = bruteForce(acceptance, nodes, depth)
        #expect(abs(best - shapes.value(nodes: nodes)) < 1e-12, "\(acceptance) \(nodes) \(depth)")
        for place in shape.parents.indices { #expect(shape.parents[place] < place) }
        let shallow = shapes.shape(nodes: nodes, depth: depth - 1).value(acceptance: acceptance)
        #expect(abs(shallow - bruteForce(acceptance, nodes, depth - 1)) < 1e-12)
      }
    }
  }

  private func context(_ sampling: SamplingOptions = .greedy) -> DraftContext {
    DraftContext(
      history: TokenHistory([0, 1]), promptCount: 2, sampling: sampling,
      noise: RandomStream(seed: 5), needsDistributions: false)
  }

  /// Values of the slots that a tree fills: of the parent's path times what earlier siblings leave.
  private func slotValues(_ tree: TokenTree) -> [Double] {
    var left: [Int32: Double] = [:]
    return (0..<tree.count).map { node in
      let parent = tree.parents[node]
      let above = parent < 0 ? 1 : Double(tree.pathProbabilities[Int(parent)])
      let value = above * left[parent, default: 1]
      left[parent, default: 1] -= Double(tree.probabilities[node])
      return value
    }
  }

  @Test("DySpec fills the most valuable slots that there are")
  func dySpec() throws {
    for seed in 0..<30 {
      let toy = ToyTarget.random(3, scale: 1.5, seed: UInt64(seed))
      // The whole tree of depth 3, from which any smaller one is a part.
      var whole = TokenTree()
      try ChildCountsBuilder([3, 3, 3], law: .withoutReplacement).build(
        DraftBudget(nodes: 39, depth: 3), from: ToySource(toy), context: context(), into: &whole)
      let all = slotValues(whole).sorted(by: >)
      for nodes in [1, 3, 6, 10] {
        var tree = TokenTree()
        try DySpecBuilder(.greedy).build(
          DraftBudget(nodes: nodes, depth: 3), from: ToySource(toy), context: context(),
          into: &tree)
        #expect(tree.count == nodes)
        // A slot is worth at most its parent's and its elder siblings' slots, so the best closed
        // set is made of the best slots.
        let found = slotValues(tree).reduce(0, +)
        #expect(abs(found - all.prefix(nodes).reduce(0, +)) < 1e-5)
        #expect(zip(slotValues(tree), slotValues(tree).dropFirst()).allSatisfy { $0 >= $1 - 1e-6 })
      }
    }
  }

  @Test("DySpec's two forms fill the same slots")
  func dySpecForms() throws {
    for seed in 0..<20 {
      for sampling in [SamplingOptions.greedy, .init(temperature: 1)] {
        let toy = ToyTarget.random(4, scale: 1.5, seed: UInt64(seed))
        var greedy = TokenTree()
        try DySpecBuilder(.greedy).build(
          DraftBudget(nodes: 9, depth: 4), from: ToySource(toy), context: context(sampling),
          into: &greedy)
        let least = slotValues(greedy).min() ?? 0
        func byLevel(_ threshold: Double) throws -> Set<[Int32]> {
          var tree = TokenTree()
          try DySpecBuilder(.threshold(threshold)).build(
            DraftBudget(nodes: 100, depth: 4), from: ToySource(toy), context: context(sampling),
            into: &tree)
          return Set((0..<tree.count).map { tree.path(to: $0) })
        }
        // The last of all siblings is worth as much as its own first child: slots of the least
        // value may be filled or not.
        let filled = Set((0..<greedy.count).map { greedy.path(to: $0) })
        #expect(try byLevel(least * 0.999_99).isSuperset(of: filled))
        #expect(try byLevel(least * 1.000_01).isSubset(of: filled))
      }
    }
  }

  @Test("the steered threshold finds the size of the budget")
  func steering() throws {
    let builder = DySpecBuilder()
    let toy = ToyTarget.random(6, scale: 1, seed: 77)
    var sizes: [Int] = []
    for step in 0..<40 {
      var tree = TokenTree()
      let context = DraftContext(
        history: TokenHistory([0, Int32(step % 6)]), promptCount: 2,
        sampling: .init(temperature: 1), noise: RandomStream(seed: UInt64(step)),
        needsDistributions: false)
      try builder.build(
        DraftBudget(nodes: 24, depth: 6), from: ToySource(toy), context: context, into: &tree)
      sizes.append(tree.count)
    }
    let mean = Double(sizes.suffix(20).reduce(0, +)) / 20
    #expect((8...24).contains(mean), "\(sizes)")
  }

  @Test("a conditioned maximum is the parent's, and the formula is that of the paper")
  func conditioning() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<500 {
      let target = Double(generator.unit()) * 8 - 4
      let largest = Double(generator.unit()) * 8 - 4
      #expect(
        StochasticBeamBuilder.conditioned(largest, largest: largest, onLargest: target) == target)
      let own = largest - 0.01 - Double(generator.unit()) * 5
      let exp = ElementaryFunctions.exp
      let plain = -ElementaryFunctions.log(exp(-target) - exp(-largest) + exp(-own))
      let found = StochasticBeamBuilder.conditioned(own, largest: largest, onLargest: target)
      #expect(abs(found - plain) < 1e-9 && found < target)
    }
  }

  @Test("a stochastic beam draws sequences without replacement")
  func stochasticBeam() throws {
    let toy = ToyTarget.random(3, scale: 1, seed: 19)
    func probability(_ text: [Int32]) -> Double {
      toy.probabilities(after: 0, 1)[Int(text[0])]
        * toy.probabilities(after: 1, text[0])[Int(text[1])]
    }
    var counts: [[[Int32]]: Int] = [:]
    for seed in 0..<60_000 {
      let context = DraftContext(
        history: TokenHistory([0, 1]), promptCount: 2, sampling: .init(temperature: 1),
        noise: RandomStream(seed: UInt64(seed), purpose: .draft), needsDistributions: true)
      var tree = TokenTree()
      try StochasticBeamBuilder(width: 2).build(
        DraftBudget(nodes: 4, depth: 2), from: ToySource(toy), context: context, into: &tree)
      let leaves = (0..<tree.count).filter { tree.depths[$0] == 1 }.map { tree.path(to: $0) }
      counts[leaves, default: 0] += 1
    }
    var expected: [[[Int32]]: Double] = [:]
    let texts = (0..<9).map { [Int32($0 / 3), Int32($0 % 3)] }
    for first in texts {
      for second in texts where second != first {
        expected[[first, second]] =
          probability(first) * probability(second) / (1 - probability(first))
      }
    }
    let test = ChiSquare(observed: counts, probabilities: expected)
    #expect(test.pValue > 0.001, "\(test)")
  }
}
