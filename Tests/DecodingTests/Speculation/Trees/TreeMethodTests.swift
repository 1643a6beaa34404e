import Compute
import Testing
import Transformers

@testable import Decoding

/// Trees and verifiers by the names of the command line.
@Suite struct TreeMethodTests {
  private static let target = ToyTarget.random(5, scale: 1.2, seed: 141)
  private static let draft = ToyTarget.random(5, scale: 1.2, seed: 142)

  struct Combination: Sendable, CustomTestStringConvertible {
    let tree: TreeMethod
    let verifier: VerificationMethod
    var testDescription: String { "\(tree.rawValue), \(verifier.rawValue)" }

    /// All that are valid.
    static let all = TreeMethod.allCases.flatMap { tree in
      tree.verifiers.map { Combination(tree: tree, verifier: $0) }
    }
  }

  private func drafter(
    _ tree: TreeMethod, _ verifier: VerificationMethod, usesWholeDepth: Bool = false
  ) -> TreeDrafter {
    TreeDrafter(
      ToyModelDrafter(Self.draft),
      tree.builder(law: verifier.siblingLaw, usesWholeDepth: usesWholeDepth))
  }

  @Test(
    "every valid combination gives the processed distribution of the target",
    arguments: Combination.all)
  func distribution(_ combination: Combination) throws {
    let options = SamplingOptions(
      temperature: 0.9, topK: 4, topP: 0.97, repetitionPenalty: 1.3, presencePenalty: 0.3,
      penaltyWindow: 4, logitBias: [1: 0.5])
    for (sampling, nodes) in [(SamplingOptions(temperature: 1), 6), (options, 9)] {
      let decoder = ToyDecoder(
        target: Self.target, options: sampling, budget: DraftBudget(nodes: nodes, depth: 4))
      let samples = try decoder.sample(
        16_000, length: 4, verifier: { combination.verifier.verifier(seed: $0) }
      ) { _ in drafter(combination.tree, combination.verifier) }
      let test = decoder.test(samples, length: 4)
      #expect(test.pValue > 0.001, "\(test)")
      #expect(samples.accepted > 5_000)
      #expect(samples.drafted > samples.accepted)
    }
  }

  @Test("trees that are cut where the planner would not go on keep the distribution")
  func leastProbability() throws {
    for combination in Combination.all where combination.tree != .chain {
      let decoder = ToyDecoder(target: Self.target, budget: DraftBudget(nodes: 9, depth: 3))
      let samples = try decoder.sample(
        10_000, length: 3, verifier: { combination.verifier.verifier(seed: $0) }
      ) { _ in
        CautiousDrafter(self.drafter(combination.tree, combination.verifier), least: 0.25)
      }
      let test = decoder.test(samples, length: 3)
      #expect(test.pValue > 0.001, "\(combination.testDescription) \(test)")
    }
  }

  @Test(
    "greedy and coupled verification give the text of plain decoding",
    arguments: TreeMethod.allCases)
  func bitwise(_ tree: TreeMethod) throws {
    for options in [
      SamplingOptions.greedy, .init(temperature: 1), .init(temperature: 0.6, topK: 3),
    ] {
      let verifier: VerificationMethod = options.isGreedy ? .greedy : .coupled
      for nodes in [1, 3, 8, 20] {
        let decoder = ToyDecoder(
          target: Self.target, options: options, budget: DraftBudget(nodes: nodes, depth: 5))
        for seed in 1...12 {
          let processor = try LogitsProcessor(
            options: options, vocabularyCount: 5, seed: UInt64(seed))
          let found = try decoder.run(
            drafter(tree, verifier), verifier.verifier(seed: UInt64(seed)), processor,
            seed: UInt64(seed), length: 16)
          #expect(found.tokens == (try decoder.plain(seed: UInt64(seed), length: 16)))
        }
      }
    }
  }

  @Test("a level costs one pass, the budget is kept, and a depth that is asked for is used")
  func budgets() throws {
    let context = DraftContext(
      history: TokenHistory([0, 1]), promptCount: 2, sampling: .init(temperature: 1),
      noise: RandomStream(seed: 3, purpose: .draft), needsDistributions: true)
    for tree in TreeMethod.allCases {
      for nodes in [1, 2, 3, 6, 10, 14, 31, 64] {
        for depth in [1, 2, 3, 5, 64] {
          for usesWholeDepth in [true, false] {
            let base = ToyModelDrafter(ToyTarget.random(12, scale: 1, seed: 4))
            let drafter = TreeDrafter(
              base, tree.builder(law: .withoutReplacement, usesWholeDepth: usesWholeDepth))
            var found = TokenTree()
            let budget = DraftBudget(nodes: nodes, depth: depth)
            try drafter.propose(budget, context: context, into: &found)
            try found.checkInvariants()
            #expect(
              !found.isEmpty && found.count <= nodes && found.depth <= depth, "\(tree) \(budget)")
            if tree != .dySpecGreedy { #expect(base.passes <= found.depth + 1) }
            if usesWholeDepth, [.chain, .static, .rsdC, .rsdS].contains(tree), depth <= nodes {
              #expect(found.depth == depth, "\(tree) \(budget)")
            }
          }
        }
      }
    }
  }

  @Test("the sizes of RSD's paper have its shapes")
  func shapes() {
    let factors = BranchingFactors(acceptance: [0.6, 0.2, 0.1, 0.05])
    #expect(factors.best(nodes: 14, depth: 3, exactly: true) == [2, 2, 2])
    #expect(factors.best(nodes: 6, depth: 3, exactly: true) == [2, 1, 1])
    #expect(factors.best(nodes: 10, depth: 3, exactly: true) == [2, 2, 1])
    #expect(factors.best(nodes: 3, depth: 1, exactly: true) == [3])
    #expect(factors.best(nodes: 0, depth: 0, exactly: false) == [])
    // No list is better: all of them, tried one by one.
    for nodes in 1...12 {
      for depth in 1...4 {
        let best = factors.best(nodes: nodes, depth: depth, exactly: false)
        #expect(abs(Self.value(best) - Self.bruteForce(nodes, depth)) < 1e-12)
      }
    }
  }

  private static let acceptance = [0.6, 0.2, 0.1, 0.05]

  private static func value(_ factors: [Int]) -> Double {
    var (reach, sum) = (1.0, 0.0)
    for count in factors {
      reach *= acceptance.prefix(count).reduce(0, +)
      sum += reach
    }
    return sum
  }

  private static func bruteForce(_ nodes: Int, _ depth: Int) -> Double {
    var best = 0.0
    func extend(_ factors: [Int]) {
      var (width, size) = (1, 0)
      for count in factors {
        width *= count
        size += width
      }
      guard size <= nodes else { return }
      best = max(best, value(factors))
      guard factors.count < depth else { return }
      for count in 1...(factors.last ?? 4) { extend(factors + [count]) }
    }
    extend([])
    return best
  }

  @Test("Sequoia learns which siblings are accepted")
  func rankAcceptance() {
    var acceptance = RankAcceptance()
    #expect(zip(acceptance.estimates, RankAcceptance.measured).allSatisfy { abs($0 - $1) < 1e-12 })
    var tree = TokenTree()
    for token in 0..<3 { tree.append(Int32(token), below: TokenTree.root) }
    tree.append(7, below: 1)
    for _ in 0..<2000 {
      acceptance.record(
        DraftObservation(
          position: 2, tree: tree, accepted: [1], emitted: [1, 9],
          logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 5), taps: []))
    }
    // The second of three below the root, nothing below it.
    #expect(acceptance.estimates[0] < 0.05)
    #expect(abs(acceptance.estimates[1] - 1) < 0.05)
    #expect(acceptance.estimates[2] < 0.05)
    #expect(acceptance.steps == 2000)
  }

  // MARK: Options

  private func options(
    _ tree: TreeMethod?, _ verifier: VerificationMethod?,
    _ speculation: SpeculationMethod = "draft-model", temperature: Double = 0.7
  ) -> GenerationOptions {
    GenerationOptions(
      sampling: .init(temperature: temperature), speculation: speculation,
      verification: verifier, tree: tree)
  }

  private func message(_ options: GenerationOptions) -> String? {
    do {
      try options.validate(vocabularyCount: 100)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test("what is not valid is refused, and the error names something that is")
  func combinations() throws {
    for tree in TreeMethod.allCases {
      for verifier in VerificationMethod.allCases {
        let options = options(tree, verifier, temperature: verifier == .greedy ? 0 : 0.7)
        let isValid = !verifier.isStochastic || tree.verifiers.contains(verifier)
        guard let message = message(options) else {
          #expect(isValid, "\(tree) \(verifier)")
          continue
        }
        #expect(!isValid, "\(tree) \(verifier) \(message)")
        #expect(message.contains("\(verifier.rawValue) for --tree \(tree.rawValue)"))
        // Both ways out that it names are valid.
        let other = try #require(tree.verifiers.first)
        #expect(message.contains("--verify \(other.rawValue)"))
        #expect(self.message(self.options(tree, other)) == nil)
        let fitting = try #require(
          TreeMethod.allCases.first { $0.verifiers.contains(verifier) })
        #expect(message.contains("--tree \(fitting.rawValue)"))
        #expect(self.message(self.options(fitting, verifier)) == nil)
      }
    }
    for method in ["copy", "none", "jacobi"] as [SpeculationMethod] {
      #expect(message(options(.dyspec, nil, method))?.contains("--speculate draft-model") == true)
      #expect(message(options(nil, .spectr, method))?.contains("--verify coupled") == true)
      #expect(message(options(nil, .rejection, method)) == nil)
    }
  }

  @Test("a verifier without a tree gets the one it was made for, and the summary names its paper")
  func defaults() throws {
    #expect(options(nil, .spectr).chosenTree == .static)
    #expect(options(nil, .specinfer).chosenTree == .static)
    #expect(options(nil, .recursive).chosenTree == .rsdS)
    #expect(options(nil, nil).chosenTree == .chain)
    #expect(try options(nil, .spectr).method().card == "spectr")
    #expect(try options(.rsdC, nil).method().card == "rsd")
    #expect(try options(.dySpecGreedy, .recursive).method().card == "dyspec")
    #expect(try options(nil, .rejection).method().card == "draft-model")
    #expect(message(options(nil, nil).with { $0.draftDepth = 0 })?.contains("draft depth") == true)
  }
}

extension GenerationOptions {
  fileprivate func with(_ change: (inout Self) -> Void) -> Self {
    var copy = self
    change(&copy)
    return copy
  }
}

/// A toy that drafts: a chain by itself, trees from its distributions.
private final class ToyModelDrafter: Drafter, DistributionSource {
  let name = "toy-model"
  private let source: ToySource
  var passes: Int { source.passes }

  init(_ target: ToyTarget) { source = ToySource(target) }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {}

  func distributions(
    after nodes: [Int], of tree: TokenTree, context: DraftContext
  ) throws -> [DraftDistribution] {
    // The greedy form of DySpec asks for one node at a time.
    try source.distributions(after: nodes, of: tree, context: context)
  }
}

/// Gives the drafter a least probability, as the planner does.
private final class CautiousDrafter: Drafter {
  let name = "cautious"
  private let base: TreeDrafter
  private let least: Float

  init(_ base: TreeDrafter, least: Float) {
    self.base = base
    self.least = least
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) throws {
    var budget = budget
    budget.leastPathProbability = least
    try base.propose(budget, context: context, into: &tree)
  }
}
