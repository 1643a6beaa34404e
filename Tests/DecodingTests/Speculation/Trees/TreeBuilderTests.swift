import Compute
import Testing
import Transformers

@testable import Decoding

@Suite struct TreeBuilderTests {
  private static let target = ToyTarget.random(5, scale: 1.2, seed: 41)
  private static let draft = ToyTarget.random(5, scale: 1.2, seed: 42)
  private static let budget = DraftBudget(nodes: 14, depth: 3)

  private func decoder(_ options: SamplingOptions = .init(temperature: 1)) -> ToyDecoder {
    ToyDecoder(target: Self.target, options: options, budget: Self.budget)
  }

  @Test(
    "whatever the builder, texts follow the target and drafts are accepted",
    arguments: BuilderCase.allCases)
  func distribution(_ builder: BuilderCase) throws {
    let decoder = decoder()
    for rule in [RejectionVerifier.IndependentRule.multiRound, .kSequential] {
      let drafter = BuilderDrafter(builder.make(), Self.draft)
      let samples = try decoder.sample(
        60_000, length: 3, verifier: { RejectionVerifier(seed: $0, independent: rule) }
      ) { _ in drafter }
      let test = decoder.test(samples, length: 3)
      #expect(test.pValue > 0.001, "\(rule) \(test)")
      #expect(Double(samples.accepted) > 0.3 * 60_000)
    }
  }

  @Test(
    "independent draws of any number keep the target's law",
    arguments: [1, 2, 4, 8], [RejectionVerifier.IndependentRule.multiRound, .kSequential])
  func independentDraws(_ count: Int, _ rule: RejectionVerifier.IndependentRule) throws {
    for pairing in RejectionVerifierTests.Pairing.allCases {
      let decoder = ToyDecoder(target: pairing.target, budget: DraftBudget(nodes: 8, depth: 1))
      let drafter = BuilderDrafter(
        ChildCountsBuilder([count], law: .independent), pairing.draft)
      let samples = try decoder.sample(
        40_000, length: 2, verifier: { RejectionVerifier(seed: $0, independent: rule) }
      ) { _ in drafter }
      let test = decoder.test(samples, length: 2)
      #expect(test.pValue > 0.001, "\(pairing) \(test)")
    }
  }

  @Test(
    "under coupled verification trees give the text of plain decoding",
    arguments: BuilderCase.allCases)
  func coupled(_ builder: BuilderCase) throws {
    for options in [SamplingOptions.greedy, .init(temperature: 1), .init(temperature: 0.6)] {
      let decoder = decoder(options)
      var forwards = 0
      for seed in 1...40 {
        let drafter = BuilderDrafter(builder.make(), Self.target)
        let processor = try LogitsProcessor(
          options: options, vocabularyCount: 5, seed: UInt64(seed))
        let found = try decoder.run(
          drafter, CoupledVerifier(), processor, seed: UInt64(seed), length: 20)
        #expect(found.tokens == (try decoder.plain(seed: UInt64(seed), length: 20)))
        forwards += found.forwards
      }
      // The drafter is the target itself: at temperature 1 and 0 its first choice is always right.
      if options.temperature != 0.6 { #expect(forwards <= 40 * 12) }
    }
  }

  @Test("a level costs one pass of the drafter, and the budget is kept")
  func passes() throws {
    var context = DraftContext(
      history: TokenHistory([0, 1]), promptCount: 2, sampling: .init(temperature: 1),
      noise: RandomStream(seed: 3, purpose: .draft), needsDistributions: true)
    for builder in BuilderCase.allCases {
      for nodes in [1, 2, 5, 9, 30] {
        for depth in [1, 2, 4] {
          let source = ToySource(Self.draft)
          var tree = TokenTree()
          try builder.make().build(
            DraftBudget(nodes: nodes, depth: depth), from: source, context: context, into: &tree)
          try tree.checkInvariants()
          #expect(!tree.isEmpty && tree.count <= nodes && tree.depth <= depth, "\(builder)")
          if builder != .dySpecGreedy { #expect(source.passes <= depth, "\(builder)") }
        }
      }
    }
    context = DraftContext(
      history: TokenHistory([0, 1]), promptCount: 2, sampling: .greedy,
      noise: RandomStream(seed: 3), needsDistributions: false)
    var tree = TokenTree()
    try StochasticBeamBuilder(width: 3).build(
      Self.budget, from: ToySource(Self.draft), context: context, into: &tree)
    #expect(!tree.isDrawn)
  }

  @Test("more is accepted without replacement than with, and by trees than by a chain")
  func order() throws {
    let decoder = decoder()
    func tokensPerPass(_ builder: BuilderCase) throws -> Double {
      let drafter = BuilderDrafter(builder.make(), Self.draft)
      let samples = try decoder.sample(20_000, length: 12) { _ in drafter }
      return 12 * 20_000 / Double(samples.forwards)
    }
    let chain = try tokensPerPass(.chain)
    let independent = try tokensPerPass(.independent222)
    let constant = try tokensPerPass(.constant222)
    #expect(chain < independent && independent < constant)
    #expect(try tokensPerPass(.beam4) > chain)
  }
}

@Suite struct KSequentialSelectionTests {
  private func weights(_ values: [Double]) -> TargetWeights {
    var weights = TargetWeights()
    weights.load(distribution(values))
    return weights
  }

  private func distribution(_ values: [Double]) -> DraftDistribution {
    DraftDistribution(tokens: values.indices.map { Int32($0) }, weights: values)
  }

  @Test("the division factor of the worked example")
  func workedExample() {
    let selection = KSequentialSelection(
      weights([0.4, 0.4, 0.2]), distribution([0.5, 0.3, 0.2]), count: 3)
    #expect(abs(selection.rho - 1.2901) < 1e-4)
    let single = KSequentialSelection(
      weights([0.4, 0.4, 0.2]), distribution([0.5, 0.3, 0.2]), count: 1)
    #expect(single.rho == 1 && abs(single.acceptance - 0.9) < 1e-12)
  }

  @Test("acceptance lies between 1 - 1/e of the optimum and the optimum, and grows with the draws")
  func bounds() {
    for seed in 0..<200 {
      let size = 2 + seed % 5
      let target = ToyTarget.random(size, scale: Float(seed % 4), seed: UInt64(2 * seed))
        .probabilities(after: 0, 1)
      let draft = ToyTarget.random(size, scale: Float(seed % 3), seed: UInt64(2 * seed + 1))
        .probabilities(after: 0, 1)
      var before = 0.0
      for count in [1, 2, 4, 8] {
        let selection = KSequentialSelection(weights(target), distribution(draft), count: count)
        let optimum = Self.optimum(target, draft, count)
        #expect(selection.acceptance <= optimum + 1e-9)
        #expect(selection.acceptance >= (1 - 1 / 2.718281828) * optimum - 1e-9)
        #expect(selection.acceptance >= before - 1e-9)
        #expect((1...Double(count)).contains(selection.rho))
        // The residual is a distribution: nothing is taken that is not there.
        let factor = selection.acceptance / selection.beta
        for token in target.indices {
          let taken = min(draft[token], target[token] / selection.rho) * factor
          #expect(taken <= target[token] + 1e-9)
        }
        before = selection.acceptance
      }
    }
  }

  /// What the best selection from independent draws accepts: a text outside a set S must be
  /// emitted whenever all draws lie in S and the target wants less of S than that, so
  /// 1 - max over S of D(S)^k - T(S); transport theory says that this is reached.
  private static func optimum(_ target: [Double], _ draft: [Double], _ count: Int) -> Double {
    var worst = 0.0
    for subset in 0..<(1 << target.count) {
      var (inTarget, inDraft) = (0.0, 0.0)
      for token in target.indices where subset >> token & 1 == 1 {
        inTarget += target[token]
        inDraft += draft[token]
      }
      var all = 1.0
      for _ in 0..<count { all *= inDraft }
      worst = max(worst, all - inTarget)
    }
    return 1 - worst
  }
}
