import Compute
import Foundation
import Testing
import Transformers

@testable import Decoding

@Suite struct STANDTests {
  // MARK: Store

  @Test("probabilities are averaged over visits, and a missing token counts as 0")
  func runningAverage() throws {
    let store = ProbabilityStore(width: 10, maximumKeys: 10)
    let (bob, mary, tom, sue) = (Int32(1), Int32(2), Int32(3), Int32(4))
    store.learn(7, [(bob, 0.7), (mary, 0.2), (tom, 0.05)])
    store.learn(7, [(mary, 0.6), (bob, 0.3), (sue, 0.05)])
    let record = try #require(store.record(7))
    #expect(record.visits == 2)
    #expect(Array(record.tokens) == [bob, mary, tom, sue])
    for (found, expected) in zip(record.probabilities, [0.5, 0.4, 0.025, 0.025] as [Float]) {
      #expect(abs(found - expected) < 1e-6)
    }
  }

  @Test("a record holds its width, weighs 64 visits at most, and keeps learning")
  func recordBounds() throws {
    let store = ProbabilityStore(width: 10, maximumKeys: 10)
    for round in 0..<500 {
      store.learn(1, [(Int32(round), 0.6), (1000, 0.4)])
      #expect(try #require(store.record(1)).tokens.count <= 10)
    }
    let record = try #require(store.record(1))
    #expect(record.visits == 64)
    #expect(record.tokens.first == 1000)
    #expect(abs((record.probabilities.first ?? 0) - 0.4) < 1e-5)
    // A changed model: after as many visits again, the new half outweighs the old.
    for _ in 0..<64 { store.learn(1, [(2000, 1)]) }
    #expect(store.record(1)?.tokens.first == 2000)
  }

  @Test("the store keeps to its number of keys, and to what is in use")
  func storeBound() {
    let store = ProbabilityStore(width: 10, maximumKeys: 500)
    for round in 0..<100_000 {
      store.learn(ProbabilityStore.key([Int32(round % 7919), 3, 4, 5], order: 4), [(1, 1)])
      if round % 100 == 0 { store.learn(42, [(9, 1)]) }
    }
    #expect(store.count == 500)
    #expect(store.record(42)?.tokens.first == 9)
  }

  @Test("keys tell tokens, their order and their number apart")
  func keys() {
    var seen: Set<UInt64> = []
    for a in 0..<30 as Range<Int32> {
      for b in 0..<30 as Range<Int32> {
        seen.insert(ProbabilityStore.key([9, a, b], order: 2))
        seen.insert(ProbabilityStore.key([9, a, b], order: 3))
      }
    }
    #expect(seen.count == 1800)
    #expect(
      ProbabilityStore.key([1, 2, 3], order: 2) == ProbabilityStore.key([7, 2, 3], order: 2))
  }

  // MARK: Tree

  @Test("the paper's tree has its 80 nodes at their depths, and every prefix is a tree")
  func paperTree() throws {
    let tree = RankTree.paper
    try tree.checkInvariants()
    var depths: [Int] = []
    for parent in tree.parents { depths.append(parent < 0 ? 1 : depths[Int(parent)] + 1) }
    let histogram = (1...13).map { depth in depths.count { $0 == depth } }
    #expect(histogram == [8, 19, 16, 13, 8, 7, 2, 1, 1, 1, 1, 1, 1])
    #expect(tree.count == 79)
    #expect(tree.parents.prefix(4).contains(0))
  }

  @Test("a tree of recorded steps has the nodes that were accepted most, and what they stand on")
  func optimisedTree() throws {
    // Below the root three children; below the second of them two.
    func trace(_ accepted: [Int32]) -> StepTrace {
      var trace = StepTrace(
        position: 0, emitted: [], outcome: .plain,
        costs: StepCosts(forwardRows: 1, forwardMicroseconds: 1, verifyMicroseconds: 1))
      trace.draftParents = [-1, -1, -1, 1, 1]
      trace.draftTokens = [5, 6, 7, 8, 9]
      trace.accepted = accepted
      return trace
    }
    let traces = [[0], [1, 4], [1, 4], [1, 4], [], [2]].map(trace)
    let tree = RankTree(acceptedIn: traces, size: 4)
    try tree.checkInvariants()
    // (1, 1) was accepted three times; it needs (0), (1) and (1, 0). (2) has one only.
    #expect(tree.parents == [-1, -1, 1, 1])
    #expect(tree.ranks == [0, 1, 0, 1])
    #expect(RankTree(acceptedIn: traces, size: 100).count == 5)
    #expect(RankTree(acceptedIn: [], size: 10).count == 0)
  }

  // MARK: Drafting

  @Test("stored probabilities are truncated and tempered as the target's are")
  func warping() throws {
    let store = ProbabilityStore(width: 10, maximumKeys: 10)
    let probabilities: [Float] = [0.4, 0.3, 0.15, 0.1, 0.05]
    store.learn(1, probabilities.enumerated().map { (Int32($0.offset), $0.element) })
    let record = try #require(store.record(1))
    for options: SamplingOptions in [
      .init(temperature: 1), .init(temperature: 0.5), .init(temperature: 2),
      .init(temperature: 1, topK: 2), .init(temperature: 0.7, topP: 0.6),
      .init(temperature: 1, minP: 0.3), .init(temperature: 1, logitBias: [1: -.infinity]),
    ] {
      let found = STANDDraw.warp(record, options)
      let total = found.reduce(0) { $0 + $1.probability }
      let expected = NaiveSampling(options: options).distribution(
        logits: probabilities.map { log($0) }, history: [])
      #expect(Set(found.map(\.token)) == Set(expected.keys), "\(options)")
      for (token, probability) in found {
        #expect(abs(probability / total - (expected[token] ?? 0)) < 1e-5, "\(options)")
      }
    }
  }

  private func warmed(
    _ decoder: ToyDecoder, _ settings: STANDSettings = STANDSettings(), tokens: Int = 1000
  ) throws -> ProbabilityStore {
    let store = ProbabilityStore(width: settings.storedTokens, maximumKeys: 4096)
    let processor = try LogitsProcessor(
      options: decoder.options, vocabularyCount: decoder.target.vocabularyCount, seed: 77)
    _ = try decoder.run(
      STANDDrafter(settings: settings, store: store), CoupledVerifier(), processor, seed: 77,
      length: tokens)
    return store
  }

  /// Trees of order-2 contexts, as the toy has no longer ones.
  private var settings: STANDSettings {
    var settings = STANDSettings()
    settings.orders = [2]
    return settings
  }

  @Test("under rejection the distribution of a draft is what it was drawn from, in Gumbel order")
  func drawnTree() throws {
    let decoder = ToyDecoder(target: .random(8, scale: 1, seed: 2))
    let store = try warmed(decoder, settings)
    let drafter = STANDDrafter(settings: settings, store: store)
    var firsts: [Int32: Int] = [:]
    for seed in 0..<20_000 as Range<UInt64> {
      var tree = TokenTree()
      let context = DraftContext(
        history: TokenHistory([0, 1]), promptCount: 2, sampling: SamplingOptions(temperature: 1),
        noise: RandomStream(seed: seed, purpose: .draft), needsDistributions: true)
      drafter.propose(DraftBudget(nodes: 16, depth: 4), context: context, into: &tree)
      try tree.checkInvariants()
      #expect(tree.count == 16 && tree.isDrawn)
      for node in 0..<tree.count {
        #expect(tree.distribution(below: Int(tree.parents[node])) != nil)
      }
      firsts[tree.tokens[0], default: 0] += 1
    }
    let record = try #require(store.record(ProbabilityStore.key([0, 1], order: 2)))
    let total = record.probabilities.reduce(0, +)
    let expected = zip(record.tokens, record.probabilities).map { ($0, Double($1 / total)) }
    #expect(
      ChiSquare(observed: firsts, probabilities: Dictionary(uniqueKeysWithValues: expected))
        .pValue > 0.001)
  }

  /// A table that was learnt from another toy, so that its probabilities are wrong.
  private var wrongStore: ProbabilityStore {
    get throws {
      try warmed(ToyDecoder(target: .random(6, scale: 1, seed: 60)), settings, tokens: 1000)
    }
  }

  @Test("200,000 texts by rejection follow the target, with a table of other probabilities")
  func rejection() throws {
    let decoder = ToyDecoder(target: .random(6, scale: 1, seed: 6))
    let drafter = FrozenTree(STANDDrafter(settings: settings, store: try wrongStore))
    let samples = try decoder.sample(200_000, length: 2) { _ in drafter }
    #expect(decoder.test(samples, length: 2).pValue > 0.001)
    for place in 0..<2 {
      #expect(decoder.test(samples, length: 2, tokenAt: place).pValue > 0.001)
    }
    #expect(samples.accepted > 50_000)
  }

  @Test(
    "whole texts by rejection follow the target while the table learns", arguments: [false, true])
  func learningRejection(_ learnsFromRejected: Bool) throws {
    let decoder = ToyDecoder(
      target: .random(4, scale: 1, seed: 9),
      options: SamplingOptions(temperature: 0.8, topP: 0.95, presencePenalty: 0.5))
    var settings = settings
    settings.orders = [2, 1]
    settings.storedTokens = 3
    settings.learnsFromRejected = learnsFromRejected
    let samples = try decoder.sample(60_000, length: 4) { _ in
      STANDDrafter(settings: settings, store: ProbabilityStore(width: 3, maximumKeys: 64))
    }
    let test = decoder.test(samples, length: 4)
    #expect(test.degreesOfFreedom > 50)
    #expect(test.pValue > 0.001, "\(test)")
  }

  @Test("children sorted after the draw, and probabilities not renormalised, are found out")
  func negativeControls() throws {
    let decoder = ToyDecoder(target: .random(6, scale: 1, seed: 6))
    let store = try wrongStore
    for fault in FrozenTree.Fault.allCases {
      let drafter = FrozenTree(STANDDrafter(settings: settings, store: store), fault)
      let samples = try decoder.sample(60_000, length: 2) { _ in drafter }
      let test = decoder.test(samples, length: 2)
      #expect(test.pValue < 1e-9, "\(fault) \(test)")
    }
  }

  @Test("with coupled verification a toy's text is that of plain decoding with the same seed")
  func coupled() throws {
    for temperature in [0, 0.7, 1.3] {
      let decoder = ToyDecoder(
        target: .random(8, scale: 1, seed: 4),
        options: SamplingOptions(
          temperature: temperature, topP: 0.97, frequencyPenalty: 0.02, penaltyWindow: 10),
        budget: DraftBudget(nodes: 12, depth: 6))
      for drafting in STANDSettings.Drafting.allCases {
        var settings = STANDSettings()
        settings.drafting = drafting
        let store = ProbabilityStore(width: 10, maximumKeys: 4096)
        for seed in 0..<4 as Range<UInt64> {
          let processor = try LogitsProcessor(
            options: decoder.options, vocabularyCount: 8, seed: seed)
          let output = try decoder.run(
            STANDDrafter(settings: settings, store: store), CoupledVerifier(), processor,
            seed: seed, length: 300)
          #expect(try output.tokens == decoder.plain(seed: seed, length: 300))
          #expect(output.forwards < 250)
        }
      }
    }
  }

  @Test("children drawn with the target's noise are right more often than the likeliest ones")
  func drawnBeatsLikeliest() throws {
    let decoder = ToyDecoder(
      target: .random(8, scale: 0.5, seed: 4), budget: DraftBudget(nodes: 6, depth: 6))
    var forwards: [Int] = []
    for drafting in [STANDSettings.Drafting.stochastic, .deterministic] {
      var settings = settings
      settings.drafting = drafting
      let store = try warmed(decoder, settings)
      let processor = try LogitsProcessor(options: decoder.options, vocabularyCount: 8, seed: 5)
      forwards.append(
        try decoder.run(
          STANDDrafter(settings: settings, store: store), CoupledVerifier(), processor, seed: 5,
          length: 2000
        ).forwards)
    }
    // The table knows the toy nearly exactly, so that nearly every draw is the target's own.
    #expect(forwards[0] * 2 < forwards[1], "\(forwards)")
    #expect(forwards[0] < 600, "\(forwards)")
  }

  @Test("at temperature 0 children are the likeliest, in order, under any verifier")
  func greedyChildren() throws {
    let decoder = ToyDecoder(target: .random(8, scale: 1, seed: 2))
    let store = try warmed(decoder, settings)
    let record = try #require(store.record(ProbabilityStore.key([0, 1], order: 2)))
    for needsDistributions in [false, true] {
      var tree = TokenTree()
      STANDDrafter(settings: settings, store: store).propose(
        DraftBudget(nodes: 24, depth: 3),
        context: DraftContext(
          history: TokenHistory([0, 1]), promptCount: 2, sampling: .greedy,
          noise: RandomStream(seed: 1), needsDistributions: needsDistributions), into: &tree)
      let first = (0..<tree.count).filter { tree.parents[$0] < 0 }.map { tree.tokens[$0] }
      #expect(first.count > 2 && first == Array(record.tokens.prefix(first.count)))
      #expect(!tree.isDrawn)
    }
  }
}

/// Another drafter's trees without its learning, and spoilt if that is asked for.
private final class FrozenTree: Drafter {
  enum Fault: CaseIterable {
    /// Children are put in order of probability after they were drawn.
    case sorted
    /// A fifth of the probability is not shared out to the stored tokens.
    case notRenormalised
  }

  let name = "frozen"
  private let drafter: any Drafter
  private let fault: Fault?

  init(_ drafter: any Drafter, _ fault: Fault? = nil) {
    self.drafter = drafter
    self.fault = fault
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) throws {
    var good = TokenTree()
    try drafter.propose(budget, context: context, into: &good)
    var places: [Int: Int] = [TokenTree.root: TokenTree.root]
    var open = [TokenTree.root]
    while let node = open.popLast() {
      guard let above = places[node] else { continue }
      var children: [Int] = []
      var next = good.firstChild(below: node)
      while let child = next {
        children.append(child)
        next = good.sibling(after: child)
      }
      if fault == .sorted {
        children.sort { good.probabilities[$0] > good.probabilities[$1] }
      }
      for child in children {
        places[child] = tree.append(
          good.tokens[child], below: above, probability: good.probabilities[child])
      }
      open += children
      guard let distribution = good.distribution(below: node) else { continue }
      tree.setDistribution(
        fault == .notRenormalised
          ? DraftDistribution(
            tokens: distribution.tokens + [1000],
            weights: distribution.probabilities + [0.25])
          : distribution, below: above)
    }
  }
}
