import Compute
import Foundation
import TestSupport
import Testing
import Tokenization
import Transformers

@testable import Decoding

@Suite struct ADEDTests {
  private static let noise = RandomStream(seed: 5, purpose: .search)

  private func trie(
    _ table: TrigramTable, _ nodes: Int, _ settings: ADEDSettings = ADEDSettings(),
    depth: Int = 8, second: Int32 = 2, noise: RandomStream = ADEDTests.noise
  ) -> TokenTree {
    var search = TrigramSearch(settings: settings)
    search.run(table, first: 1, second: second, noise: noise, position: 7)
    var tree = TokenTree()
    search.collect(table, budget: DraftBudget(nodes: nodes, depth: depth), into: &tree)
    return tree
  }

  private func paths(_ tree: TokenTree) -> Set<[Int32]> {
    Set((0..<tree.count).map { tree.path(to: $0) })
  }

  /// (1, 2) is followed by 10, which leads anywhere, or by 20, which leads to 21 for certain.
  private var trap: TrigramTable {
    let table = TrigramTable()
    table.set(TrigramTable.key(1, 2), [(10, 0.6), (20, 0.4)])
    table.set(TrigramTable.key(2, 10), (0..<12).map { (100 + $0, 0.05) })
    table.set(TrigramTable.key(2, 20), [(21, 1)])
    return table
  }

  private func randomTable(_ seed: UInt64, tokens: Int32 = 12, count: Int = 4000) -> TrigramTable {
    var random = TestRandom(seed)
    var token = Int32(0)
    let text = (0..<count).map { _ -> Int32 in
      // Each token is followed by one of four neighbours.
      token = (token * 3 + Int32.random(in: 0..<4, using: &random)) % tokens
      return token
    }
    return TrigramTable(counting: [text])
  }

  // MARK: Search

  @Test("the search leaves a greedy trap", arguments: [false, true])
  func greedyTrap(_ normalises: Bool) {
    var settings = ADEDSettings()
    settings.normalises = normalises
    let found = paths(trie(trap, 6, settings))
    #expect(found.count == 6)
    #expect(found.isSuperset(of: [[10], [20], [20, 21]]))
  }

  @Test("of equal scores, the heavier child is visited more")
  func visitsFollowPriors() {
    let table = TrigramTable()
    let weights: [Float] = [0.3, 0.25, 0.2, 0.15, 0.1]
    table.set(TrigramTable.key(1, 2), weights.indices.map { (Int32(10 + $0), weights[$0]) })
    var search = TrigramSearch(settings: ADEDSettings())
    search.run(table, first: 1, second: 2, noise: Self.noise, position: 0)
    let visits = search.nodes[1...5].map(\.visits)
    #expect(search.nodes[0].visits == 150)
    #expect(visits.reduce(0, +) == 150)
    #expect(zip(visits, visits.dropFirst()).allSatisfy { $0 > $1 }, "\(visits)")
  }

  @Test("a search depends on its seed and on nothing else")
  func seeds() {
    let table = randomTable(1)
    var trees: [TokenTree] = []
    for seed in [1, 1, 2, 3, 4, 5] as [UInt64] {
      trees.append(trie(table, 24, second: 4, noise: RandomStream(seed: seed, purpose: .search)))
    }
    #expect(trees[0] == trees[1])
    // Another seed rolls out differently, whether or not that changes the draft.
    let scores = ([1, 2] as [UInt64]).map { seed in
      var search = TrigramSearch(settings: ADEDSettings())
      search.run(
        table, first: 1, second: 4, noise: RandomStream(seed: seed, purpose: .search), position: 7)
      return search.nodes[0].score
    }
    #expect(scores[0] != scores[1])
    // The order in which pairs were learnt, and with it the places in the table, do not matter.
    let shuffled = TrigramTable()
    for (key, successors) in table.contents.reversed() { shuffled.set(key, successors) }
    #expect(
      trie(shuffled, 24, second: 4, noise: RandomStream(seed: 1, purpose: .search)) == trees[0])
  }

  @Test("a draft keeps to its budget, and a smaller one is a part of a larger one")
  func budgets() throws {
    let table = randomTable(2)
    let whole = paths(trie(table, 64, second: 4))
    #expect(whole.count > 24)
    for (nodes, depth) in [(1, 4), (4, 4), (16, 2), (24, 1), (64, 3), (0, 4), (4, 0)] {
      let tree = trie(table, nodes, depth: depth, second: 4)
      try tree.checkInvariants()
      #expect(tree.count <= nodes && tree.depth <= depth)
      #expect(paths(tree).isSubset(of: whole) || depth < 4)
    }
    #expect(trie(table, 64, second: 4).depth == 4)
    #expect(paths(trie(table, 4, second: 4)).isSubset(of: paths(trie(table, 16, second: 4))))
  }

  @Test("best first, the products of shares fall, and a draft keeps to its budget")
  func bestFirst() throws {
    let table = randomTable(2)
    for (nodes, depth) in [(64, 8), (8, 4), (24, 2), (0, 4)] {
      var tree = TokenTree()
      TrigramSearch(settings: ADEDSettings()).collectBestFirst(
        table, first: 1, second: 4, budget: DraftBudget(nodes: nodes, depth: depth), into: &tree)
      try tree.checkInvariants()
      #expect(tree.count <= nodes && tree.depth <= min(depth, 4))
      #expect(nodes != 8 || tree.count == 8)
      let products = tree.pathProbabilities
      #expect(zip(products, products.dropFirst()).allSatisfy { $0 >= $1 * 0.999 })
    }
  }

  @Test("where nothing is known, nothing is drafted")
  func unknownPair() {
    #expect(trie(TrigramTable(), 8).isEmpty)
    var settings = ADEDSettings()
    settings.iterations = 0
    #expect(trie(trap, 8, settings).isEmpty)
  }

  // MARK: Table

  @Test("counting gives relative frequencies, and the heaviest successors stay")
  func counting() throws {
    let table = TrigramTable(
      counting: [[1, 2, 3, 1, 2, 4, 1, 2, 3], [1, 2], [1, 2, 3]], successorLimit: 1)
    #expect(table.successors(of: 1, 2).map(\.token) == [3])
    #expect(table.successors(of: 1, 2).map(\.weight) == [0.75])
    #expect(table.successors(of: 2, 3).map(\.token) == [1])
    #expect(table.successors(of: 9, 9).isEmpty)
    let few = TrigramTable(counting: [[1, 2, 3, 1, 2, 4, 7, 8, 9]], maximumPairs: 1)
    #expect(few.pairCount == 1 && !few.successors(of: 1, 2).isEmpty)
    try table.checkInvariants()
  }

  @Test("reinforcement adds, is capped, and makes what is not there")
  func reinforcement() throws {
    let table = TrigramTable(successorLimit: 2)
    for _ in 0..<3 { table.reinforce(1, 2, 3, by: 0.04, cap: 3) }
    table.reinforce(1, 2, 4, by: 0.04, cap: 3)
    #expect(table.successors(of: 1, 2).map(\.token) == [3, 4])
    #expect(abs(table.successors(of: 1, 2)[0].weight - 0.12) < 1e-6)
    for _ in 0..<100 { table.reinforce(1, 2, 4, by: 0.04, cap: 3) }
    #expect(table.successors(of: 1, 2).map(\.token) == [4, 3])
    #expect(table.successors(of: 1, 2)[0].weight == 3)
    // A newcomer takes the lightest one's place.
    table.reinforce(1, 2, 5, by: 0.04, cap: 3)
    #expect(table.successors(of: 1, 2).map(\.token) == [4, 5])
    table.decay(by: 0.5)
    #expect(table.successors(of: 1, 2)[0].weight == 1.5)
    try table.checkInvariants()
  }

  @Test("200,000 tri-grams leave a table within its bound, with what is in use")
  func bound() throws {
    let table = TrigramTable(maximumPairs: 1000)
    var random = TestRandom(3)
    for round in 0..<200_000 {
      let run = (0..<3).map { _ in Int32.random(in: 0..<500, using: &random) }
      table.reinforce(run[...], by: 0.04, cap: 3)
      if round % 50 == 0 { table.reinforce(700, 701, 702, by: 0.04, cap: 3) }
    }
    #expect(table.pairCount == 1000)
    #expect(table.successors(of: 700, 701).map(\.token) == [702])
    try table.checkInvariants()
  }

  // MARK: Drafter

  @Test("a toy's text is that of plain decoding, greedy and sampled, with any table")
  func coupled() throws {
    for temperature in [0, 0.8, 1.5] {
      let decoder = ToyDecoder(
        target: .random(6, scale: 2, seed: 3),
        options: SamplingOptions(temperature: temperature, presencePenalty: 0.4, penaltyWindow: 8),
        budget: DraftBudget(nodes: 8, depth: 4))
      for (seed, table) in [TrigramTable(), randomTable(4, tokens: 6)].enumerated() {
        let processor = try LogitsProcessor(
          options: decoder.options, vocabularyCount: 6, seed: UInt64(seed))
        let output = try decoder.run(
          ADEDDrafter(settings: ADEDSettings(), table: table), CoupledVerifier(), processor,
          seed: UInt64(seed), length: 400)
        #expect(try output.tokens == decoder.plain(seed: UInt64(seed), length: 400))
        #expect(output.forwards < 400)
        try table.checkInvariants()
      }
    }
  }

  @Test("200,000 texts by rejection follow the target, with a table that keeps adapting")
  func rejection() throws {
    let decoder = ToyDecoder(
      target: .random(6, scale: 1.5, seed: 8), budget: DraftBudget(nodes: 6, depth: 3))
    var settings = ADEDSettings()
    settings.iterations = 8
    let table = randomTable(5, tokens: 6)
    let samples = try decoder.sample(200_000, length: 2) { _ in
      ADEDDrafter(settings: settings, table: table)
    }
    #expect(decoder.test(samples, length: 2).pValue > 0.001)
    #expect(samples.accepted > 10_000)
  }

  @Test("taking several draws at a node of the tree, as the authors' program does, is found out")
  func drawsPerPath() throws {
    let target = ToyTarget.random(6, scale: 1, seed: 8)
    let decoder = ToyDecoder(target: target)
    var samples = ToyDecoder.Samples()
    var random = TestRandom(1)
    let probabilities = target.probabilities(after: 0, 1)
    func draw() -> Int32 {
      var left = Double.random(in: 0..<1, using: &random)
      for (token, probability) in probabilities.enumerated() {
        left -= probability
        if left < 0 { return Int32(token) }
      }
      return 5
    }
    for _ in 0..<60_000 {
      // Two paths that begin with tokens 0 and 1: each has a draw of its own, the first match wins.
      let draws = [draw(), draw()]
      let token = draws[0] == 0 ? 0 : draws[1] == 1 ? 1 : draws[0]
      samples.texts[[token], default: 0] += 1
    }
    #expect(decoder.test(samples, length: 1).pValue < 1e-9)
  }

  @Test("a conversation's earlier turns are learnt once")
  func turns() throws {
    let learnt = LearntPrefix()
    #expect(learnt.advance(to: [1, 2, 3]) == 0)
    learnt.extend(to: [1, 2, 3, 4])
    #expect(learnt.advance(to: [1, 2, 3, 4, 5]) == 4)
    #expect(learnt.advance(to: [1, 2, 9]) == 2)
    #expect(learnt.advance(to: [1, 2, 9]) == 3)
    let table = TrigramTable()
    let prefix = LearntPrefix()
    func begin(_ tokens: [Int32]) {
      ADEDDrafter(settings: ADEDSettings(), table: table, learnt: prefix).begin(
        DraftContext(
          history: TokenHistory(tokens), promptCount: tokens.count, sampling: .greedy,
          noise: RandomStream(seed: 1), needsDistributions: false))
    }
    begin([1, 2, 3, 4])
    begin([1, 2, 3, 4, 5])
    #expect(abs(table.successors(of: 1, 2)[0].weight - 0.04) < 1e-6)
    #expect(abs(table.successors(of: 3, 4)[0].weight - 0.04) < 1e-6)
  }
}
