import Testing

@testable import Decoding

@Suite struct SpecTrTests {
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

  @Test(
    "acceptance lies between 1 - 1/e of the optimal transport and that, and grows with the draws")
  func bounds() throws {
    for seed in 0..<100 {
      let size = 2 + seed % 5
      let target = ToyTarget.random(size, scale: Float(seed % 4), seed: UInt64(2 * seed))
        .probabilities(after: 0, 1)
      let draft = ToyTarget.random(size, scale: Float(seed % 3), seed: UInt64(2 * seed + 1))
        .probabilities(after: 0, 1)
      var before = 0.0
      for count in [1, 2, 4, 8] {
        let selection = KSequentialSelection(weights(target), distribution(draft), count: count)
        let optimum = try #require(
          DraftTransport(target: target, draft: draft, draws: count).optimum)
        // What transport theory says of the optimum, by trying all sets of tokens.
        #expect(abs(optimum - Self.dualOptimum(target, draft, count)) < 1e-9)
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
  private static func dualOptimum(_ target: [Double], _ draft: [Double], _ count: Int) -> Double {
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

  @Test("the simplex method finds the optimum of textbook programmes")
  func simplex() throws {
    // Maximise 3x + 5y, x <= 4, 2y <= 12, 3x + 2y <= 18: 36 at (2, 6).
    let programme = LinearProgram(
      objective: [3, 5], constraints: [([1, 0], 4), ([0, 2], 12), ([3, 2], 18)])
    let found = try #require(programme.solve())
    #expect(abs(found.value - 36) < 1e-12)
    #expect(abs(found.point[0] - 2) < 1e-12 && abs(found.point[1] - 6) < 1e-12)
    // One that goes round in circles without Bland's rule.
    let circular = LinearProgram(
      objective: [0.75, -150, 0.02, -6],
      constraints: [
        ([0.25, -60, -0.04, 9], 0), ([0.5, -90, -0.02, 3], 0), ([0, 0, 1, 0], 1),
      ])
    #expect(abs((circular.solve()?.value ?? 0) - 0.05) < 1e-12)
    let unbounded = LinearProgram(objective: [1, 1], constraints: [([1, -1], 1)])
    #expect(unbounded.solve() == nil)
  }

  @Test("one of so many draws is accepted as often as the selection says", arguments: [1, 2, 4, 8])
  func acceptance(_ count: Int) throws {
    let (target, draft) = (
      ToyTarget.random(6, scale: 2, seed: 21), ToyTarget.random(6, scale: 1, seed: 22)
    )
    let decoder = ToyDecoder(target: target, budget: DraftBudget(nodes: count, depth: 1))
    let drafter = BuilderDrafter(ChildCountsBuilder([count], law: .independent), draft)
    // The second token has no room for drafts.
    let samples = try decoder.sample(
      60_000, length: 2, verifier: { VerificationMethod.spectr.verifier(seed: $0) }
    ) { _ in drafter }
    let expected = KSequentialSelection(
      weights(target.probabilities(after: 0, 1)), distribution(draft.probabilities(after: 0, 1)),
      count: count
    ).acceptance
    let rate = Double(samples.accepted) / 60_000
    #expect(abs(rate - expected) < 0.008, "\(rate), expected \(expected)")
    #expect(decoder.test(samples, length: 2).pValue > 0.001)
  }

  @Test("with one draft it decides as speculative sampling does, draw by draw")
  func single() throws {
    let (target, draft) = (
      ToyTarget.random(6, scale: 2, seed: 31), ToyTarget.random(6, scale: 1, seed: 32)
    )
    let decoder = ToyDecoder(target: target, budget: DraftBudget(nodes: 3, depth: 3))
    func texts(_ law: SiblingLaw, _ method: VerificationMethod) throws -> [[Int32]] {
      let drafter = BuilderDrafter(ChildCountsBuilder([1, 1, 1], law: law), draft)
      return try (0..<1500).map { index in
        try decoder.sample(
          1, length: 6, firstSeed: UInt64(index), verifier: { method.verifier(seed: $0) }
        ) { _ in drafter }.texts.keys.first ?? []
      }
    }
    let expected = try texts(.withoutReplacement, .rejection)
    #expect(Set(expected).count > 300)
    #expect(try texts(.independent, .spectr) == expected)
    #expect(try texts(.independent, .specinfer) == expected)
    #expect(try texts(.withoutReplacement, .recursive) == expected)
  }
}
