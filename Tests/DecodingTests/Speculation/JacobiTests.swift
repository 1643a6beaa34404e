import Compute
import Foundation
import Testing
import Transformers

@testable import Decoding

@Suite struct JacobiTests {
  private func drafter(
    _ padding: JacobiSettings.Padding = .pool, _ redraw: JacobiSettings.Redraw = .coupled,
    vocabularyCount: Int = 8, poolSize: Int = 1 << 12
  ) -> JacobiDrafter {
    var settings = JacobiSettings()
    settings.padding = padding
    settings.redraw = redraw
    settings.poolSize = poolSize
    return JacobiDrafter(settings: settings, vocabularyCount: vocabularyCount)
  }

  @Test(
    "a toy's text is that of plain decoding, for every window, filling and temperature",
    arguments: JacobiSettings.Padding.allCases)
  func coupled(_ padding: JacobiSettings.Padding) throws {
    for temperature in [0, 0.7, 1.3] {
      for window in [1, 2, 4, 8, 16] {
        let decoder = ToyDecoder(
          target: .random(8, scale: 1, seed: 2),
          options: SamplingOptions(
            temperature: temperature, repetitionPenalty: 1.1, penaltyWindow: 12),
          budget: DraftBudget(nodes: window - 1, depth: window - 1))
        for seed in 0..<3 as Range<UInt64> {
          let processor = try LogitsProcessor(
            options: decoder.options, vocabularyCount: 8, seed: seed)
          let output = try decoder.run(
            drafter(padding), CoupledVerifier(), processor, seed: seed, length: 200)
          #expect(try output.tokens == decoder.plain(seed: seed, length: 200))
          #expect(output.forwards <= 200)
          if window == 1 { #expect(output.forwards == 200) }
          if window > 2 { #expect(output.forwards < 200) }
        }
      }
    }
  }

  @Test("what no longer depends on what is before it settles, and n-grams are used again")
  func iteration() throws {
    func forwards(
      _ padding: JacobiSettings.Padding, next: @escaping (Int) -> Int
    ) throws -> Int {
      let target = ToyTarget(vocabularyCount: 8) { _, last in
        (0..<8).map { $0 == next(last) ? 5 : 0 }
      }
      let decoder = ToyDecoder(
        target: target, options: .greedy, budget: DraftBudget(nodes: 7, depth: 7))
      let processor = try LogitsProcessor(options: .greedy, vocabularyCount: 8, seed: 0)
      let output = try decoder.run(
        drafter(padding), CoupledVerifier(), processor, seed: 0, length: 64)
      #expect(try output.tokens == decoder.plain(seed: 0, length: 64))
      return output.forwards
    }
    // 1, 2, 4, 0, 0, ...: the zeros are found from any guess.
    #expect(try forwards(.lastToken) { $0 * 2 % 8 } < 16)
    // A cycle in which every token tells the one before: a wrong guess stays wrong for ever.
    #expect(try forwards(.lastToken) { ($0 * 3 + 1) % 8 } == 64)
    // With n-gram reuse the cycle is known after one round.
    #expect(try forwards(.pool) { ($0 * 3 + 1) % 8 } < 20)
  }

  @Test("more tokens a pass with a wider window, up to where it flattens")
  func monotone() throws {
    let forwards = try [2, 4, 8, 16].map { window in
      let decoder = ToyDecoder(
        target: .random(8, scale: 1.5, seed: 6), options: SamplingOptions(temperature: 0.8),
        budget: DraftBudget(nodes: window - 1, depth: window - 1))
      let processor = try LogitsProcessor(options: decoder.options, vocabularyCount: 8, seed: 3)
      return try decoder.run(
        drafter(), CoupledVerifier(), processor, seed: 3, length: 2000
      ).forwards
    }
    #expect(
      zip(forwards, forwards.dropFirst()).allSatisfy { Double($1) < 1.03 * Double($0) },
      "\(forwards)")
    #expect(forwards[1] < forwards[0])
    #expect(Double(forwards[2]) < 1.1 * Double(forwards[3]), "\(forwards)")
  }

  @Test(
    "60,000 texts of speculative Jacobi decoding follow the target",
    arguments: JacobiSettings.Padding.allCases, JacobiSettings.Redraw.allCases)
  func rejection(_ padding: JacobiSettings.Padding, _ redraw: JacobiSettings.Redraw) throws {
    let decoder = ToyDecoder(
      target: .random(4, scale: 0.7, seed: 1), budget: DraftBudget(nodes: 3, depth: 3))
    let samples = try decoder.sample(60_000, length: 4) { _ in
      drafter(padding, redraw, vocabularyCount: 4, poolSize: 64)
    }
    let test = decoder.test(samples, length: 4)
    #expect(test.degreesOfFreedom > 100)
    #expect(test.pValue > 0.001, "\(test)")
    #expect(samples.forwards < 4 * 60_000 * 9 / 10)
  }

  @Test("the sampling options shape the texts of speculative Jacobi decoding")
  func rejectionOptions() throws {
    let decoder = ToyDecoder(
      target: .random(5, scale: 1, seed: 2),
      options: SamplingOptions(
        temperature: 0.7, topK: 4, topP: 0.95, repetitionPenalty: 1.3, presencePenalty: 0.2),
      budget: DraftBudget(nodes: 3, depth: 3))
    let samples = try decoder.sample(60_000, length: 4) { _ in
      drafter(vocabularyCount: 5, poolSize: 64)
    }
    let test = decoder.test(samples, length: 4)
    #expect(test.pValue > 0.001, "\(test)")
  }

  @Test("a residual that is drawn from the target itself is found out")
  func wrongResidual() throws {
    let decoder = ToyDecoder(
      target: .random(4, scale: 0.7, seed: 1), budget: DraftBudget(nodes: 3, depth: 3))
    let samples = try decoder.sample(
      60_000, length: 4, verifier: { WrongResidual(seed: $0) }
    ) { _ in drafter(.pool, vocabularyCount: 4, poolSize: 64) }
    let test = decoder.test(samples, length: 4)
    #expect(test.pValue < 1e-9, "\(test)")
  }

  @Test("guesses that are said to be drawn from something else are found out")
  func wrongDistribution() throws {
    let decoder = ToyDecoder(
      target: .random(4, scale: 0.7, seed: 1), budget: DraftBudget(nodes: 3, depth: 3))
    let samples = try decoder.sample(60_000, length: 4) { _ in
      FlatDistributions(drafter(.pool, vocabularyCount: 4, poolSize: 64), vocabularyCount: 4)
    }
    let test = decoder.test(samples, length: 4)
    #expect(test.pValue < 1e-9, "\(test)")
  }

  @Test("the pool keeps to its size, and to what was seen last")
  func poolBound() {
    var pool = NGramPool(capacity: 100)
    var random = TestRandom(1)
    for _ in 0..<10_000 {
      let run = (0..<3).map { _ in Int32.random(in: 0..<50, using: &random) }
      pool.learn(run[...])
      pool.learn([60, 61, run[0]])
      #expect(pool.successor(of: NGramPool.key([1, 60, 61])) == run[0])
    }
    #expect(pool.count == 100)
    #expect(pool.successor(of: NGramPool.key([1])) == nil)
  }
}

/// Speculative sampling with the mistake of drawing from the target after a rejection.
private final class WrongResidual: Verifier {
  let guarantee = MethodGuarantee.distribution
  let needsDistributions = true
  private let seed: UInt64

  init(seed: UInt64) { self.seed = seed }

  func verify(
    _ input: VerificationInput, processor: LogitsProcessor
  ) throws -> Verification {
    var walk = TreeWalk(input)
    let decisions = RandomStream(seed: seed, purpose: .verification)
    repeat {
      let position = input.history.count + walk.path.count
      let target = try walk.path.withUnsafeBufferPointer { path in
        try processor.withDistribution(
          logits: input.logits[walk.node], history: input.history, path: path
        ) { Dictionary(uniqueKeysWithValues: zip($0, $1)) }
      }
      var taken: Int32?
      if let child = input.tree.firstChild(below: walk.node) {
        let token = input.tree.tokens[child]
        let draft = input.tree.distribution(below: walk.node)
          .map { Dictionary(uniqueKeysWithValues: zip($0.tokens, $0.probabilities)) }
        let chance = decisions.uniform(position: position, token: 0)
        if chance * (draft?[token] ?? 1) < target[token] ?? 0 { taken = token }
      }
      walk.take(taken ?? draw(target, position: position), otherwise: .rejected)
    } while !walk.isOver
    return walk.result
  }

  private func draw(_ target: [Int32: Double], position: Int) -> Int32 {
    let noise = RandomStream(seed: seed, purpose: .target)
    func score(_ entry: (key: Int32, value: Double)) -> Double {
      log(entry.value) + noise.gumbel(position: position, token: Int(entry.key))
    }
    return target.max { score($0) < score($1) }?.key ?? 0
  }
}

/// Says of every guess that all tokens were equally likely.
private final class FlatDistributions: Drafter {
  let name = "flat"
  private let drafter: any Drafter
  private let vocabularyCount: Int

  init(_ drafter: any Drafter, vocabularyCount: Int) {
    self.drafter = drafter
    self.vocabularyCount = vocabularyCount
  }

  func begin(_ context: DraftContext) throws { try drafter.begin(context) }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) throws {
    try drafter.propose(budget, context: context, into: &tree)
    for node in 0..<tree.count {
      let parent = Int(tree.parents[node])
      guard tree.distribution(below: parent) != nil else { continue }
      tree.setDistribution(
        DraftDistribution(
          tokens: (0..<vocabularyCount).map { Int32($0) },
          weights: Array(repeating: 1, count: vocabularyCount)), below: parent)
    }
  }

  func observe(_ step: DraftObservation, context: DraftContext) throws {
    try drafter.observe(step, context: context)
  }
}
