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
        30_000, length: 3, verifier: { RejectionVerifier(seed: $0, independent: rule) }
      ) { _ in drafter }
      let test = decoder.test(samples, length: 3)
      #expect(test.pValue > 0.001, "\(rule) \(test)")
      #expect(Double(samples.accepted) > 0.3 * 30_000)
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
