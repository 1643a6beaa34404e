import Compute
import Testing
import Transformers

@testable import Decoding

/// Siblings without replacement, and their verifier.
@Suite struct RecursiveRejectionTests {
  private func context(_ seed: Int, needsDistributions: Bool = true) -> DraftContext {
    DraftContext(
      history: TokenHistory([0, 1]), promptCount: 2, sampling: .init(temperature: 1),
      noise: RandomStream(seed: UInt64(seed), purpose: .draft),
      needsDistributions: needsDistributions)
  }

  private func distribution(_ values: [Double]) -> DraftDistribution {
    DraftDistribution(tokens: values.indices.map { Int32($0) }, weights: values)
  }

  @Test("ordered siblings have the law of draws without replacement, and never repeat")
  func law() {
    let values = ToyTarget.random(6, scale: 1.5, seed: 51).probabilities(after: 0, 1)
    var counts: [[Int32]: Int] = [:]
    for seed in 0..<100_000 {
      let order = SiblingOrder(
        distribution(values), count: 3, node: TokenTree.root, position: 2, context: context(seed))
      if Set(order.tokens).count < 3 { Issue.record("\(order.tokens)") }
      counts[order.tokens, default: 0] += 1
    }
    var expected: [[Int32]: Double] = [:]
    for first in 0..<6 {
      for second in 0..<6 where second != first {
        for third in 0..<6 where third != first && third != second {
          let left = 1 - values[first]
          expected[[Int32(first), Int32(second), Int32(third)]] =
            values[first] * values[second] / left * values[third] / (left - values[second])
        }
      }
    }
    let test = ChiSquare(observed: counts, probabilities: expected)
    #expect(test.pValue > 0.001, "\(test)")
  }

  @Test("what is left out without its noise would not have been among the first")
  func pruning() {
    for seed in 0..<60 {
      let size = 40 + 50 * seed
      let values = ToyTarget.random(2, scale: 1, seed: 1).probabilities(after: 0, 1)
      var random = TestRandom(UInt64(seed))
      let weights = random.logits(size, scale: Float(seed % 8)).map {
        ElementaryFunctions.exp(Double($0)) * values[0]
      }
      let whole = DraftDistribution(
        tokens: (0..<size).map { Int32(3 * $0) }, weights: weights)
      for needsDistributions in [true, false] {
        let context = context(seed, needsDistributions: needsDistributions)
        let noise = needsDistributions ? context.noise(of: 4) : context.noise
        let keys = zip(whole.tokens, whole.probabilities).map { token, probability in
          ElementaryFunctions.log(probability) + noise.gumbel(position: 9, token: Int(token))
        }
        let naive = keys.indices.sorted { (keys[$0], $1) > (keys[$1], $0) }.prefix(7)
        let order = SiblingOrder(whole, count: 7, node: 4, position: 9, context: context)
        #expect(order.tokens == naive.map { whole.tokens[$0] })
        #expect(order.keys == naive.map { keys[$0] })
      }
    }
  }

  @Test(
    "any number of siblings without replacement keeps the target's law", arguments: [1, 2, 4, 8])
  func marginals(_ count: Int) throws {
    for pairing in RejectionVerifierTests.Pairing.allCases {
      let decoder = ToyDecoder(target: pairing.target, budget: DraftBudget(nodes: 8, depth: 1))
      let drafter = BuilderDrafter(
        ChildCountsBuilder([count], law: .withoutReplacement), pairing.draft)
      let samples = try decoder.sample(
        24_000, length: 2, verifier: { VerificationMethod.recursive.verifier(seed: $0) }
      ) { _ in drafter }
      let test = decoder.test(samples, length: 2)
      #expect(test.pValue > 0.001, "\(pairing) \(test)")
    }
  }

  @Test("siblings that cover the target's support are always enough")
  func completeSupport() throws {
    let decoder = ToyDecoder(
      target: ToyTarget.random(6, scale: 1, seed: 61), budget: DraftBudget(nodes: 6, depth: 1))
    let drafter = BuilderDrafter(
      ChildCountsBuilder([6], law: .withoutReplacement), ToyTarget.random(6, scale: 1, seed: 62))
    let samples = try decoder.sample(20_000, length: 2) { _ in drafter }
    #expect(samples.accepted == 20_000)
  }

  @Test("more is accepted without replacement than with, on average", arguments: [2, 4, 8])
  func beatsReplacement(_ count: Int) throws {
    var accepted = (without: 0, with: 0)
    for seed in 0..<8 {
      let target = ToyTarget.random(8, scale: Float(1 + seed % 3), seed: UInt64(70 + seed))
      let draft = ToyTarget.random(8, scale: Float(1 + seed % 2), seed: UInt64(90 + seed))
      let decoder = ToyDecoder(target: target, budget: DraftBudget(nodes: count, depth: 1))
      func run(_ law: SiblingLaw, _ method: VerificationMethod) throws -> Int {
        let drafter = BuilderDrafter(ChildCountsBuilder([count], law: law), draft)
        return try decoder.sample(
          5_000, length: 2, verifier: { method.verifier(seed: $0) }
        ) { _ in drafter }.accepted
      }
      accepted.without += try run(.withoutReplacement, .recursive)
      accepted.with += try run(.independent, .specinfer)
    }
    // 40,000 decisions each: three standard deviations of the difference are 430 at most.
    #expect(accepted.without > accepted.with + 430, "\(accepted)")
  }
}
