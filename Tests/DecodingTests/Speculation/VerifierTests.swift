import Decoding
import TestSupport
import Testing

/// Verifiers over logits that are made up; no model runs.
@Suite struct VerifierTests {
  private static let vocabulary = 8

  /// Random logits for the root and every node, and a random tree.
  private struct Case {
    var tree = TokenTree()
    var logits: [Float] = []

    init(_ generator: inout SeededGenerator) {
      for _ in 0..<Int.random(in: 0...24, using: &generator) {
        tree.append(
          Int32.random(in: 0..<8, using: &generator),
          below: Int.random(in: -1..<tree.count, using: &generator), probability: 0.5)
      }
      for _ in 0..<(tree.count + 1) * vocabulary {
        logits.append(Float.random(in: -3...3, using: &generator))
      }
    }

    func row(_ node: Int) -> [Float] { Array(logits[(node + 1) * 8..<(node + 2) * 8]) }

    func verify(
      _ verifier: any Verifier, _ processor: LogitsProcessor, history: TokenHistory,
      stops: Set<Int32> = [], limit: Int = .max
    ) throws -> Verification {
      try logits.withUnsafeBufferPointer { buffer in
        try verifier.verify(
          VerificationInput(
            tree: tree,
            logits: TreeLogits(
              buffer.baseAddress, rowCount: tree.count + 1, vocabularyCount: vocabulary),
            history: history, stops: stops, limit: limit), processor: processor)
      }
    }
  }

  private static let samplings: [SamplingOptions] = [
    .greedy,
    SamplingOptions(temperature: 1, seed: 3),
    SamplingOptions(temperature: 0.7, topK: 4, topP: 0.9, seed: 4),
    SamplingOptions(
      temperature: 1.3, minP: 0.05, repetitionPenalty: 1.4, presencePenalty: 0.5,
      frequencyPenalty: 0.3, penaltyWindow: 5, logitBias: [2: 1.5, 6: -.infinity], seed: 5),
    SamplingOptions(frequencyPenalty: 0.7, penaltyWindow: nil),
  ]

  @Test("coupled verification walks where plain decoding would go", arguments: samplings)
  func coupled(_ sampling: SamplingOptions) throws {
    var generator = SeededGenerator(seed: 11)
    let processor = try LogitsProcessor(
      options: sampling, vocabularyCount: Self.vocabulary, seed: sampling.seed ?? 0)
    var accepted = 0
    for _ in 0..<500 {
      let item = Case(&generator)
      let prefix = (0..<6).map { _ in Int32.random(in: 0..<8, using: &generator) }
      // Plain decoding: one token after another, each with a history of its own.
      var expected: [Int32] = []
      var node = TokenTree.root
      while true {
        let history = TokenHistory(prefix + expected)
        let token = try item.row(node).withUnsafeBufferPointer {
          try processor.chooseToken(logits: $0, history: history)
        }
        expected.append(token)
        guard let child = item.tree.child(of: node, token: token) else { break }
        node = child
      }
      let found = try item.verify(
        CoupledVerifier(), processor, history: TokenHistory(prefix))
      #expect(found.emitted == expected)
      #expect(found.accepted.map { item.tree.tokens[Int($0)] } == expected.dropLast())
      accepted += found.accepted.count
      let isLeaf = item.tree.firstChild(below: node) == nil
      #expect(
        found.outcome == (item.tree.isEmpty ? .plain : isLeaf ? .allAccepted : .mismatch))
    }
    #expect(accepted > 50)
  }

  @Test("nothing is verified below a stop token, or beyond the limit")
  func ends() throws {
    let processor = try LogitsProcessor(options: .greedy, vocabularyCount: 8, seed: 0)
    var generator = SeededGenerator(seed: 1)
    var item = Case(&generator)
    item.tree.removeAll()
    item.tree.append(chain: [1, 2, 3, 4])
    item.logits = [Float](repeating: 0, count: 5 * 8)
    for (row, token) in [1, 2, 3, 4, 5].enumerated() { item.logits[row * 8 + token] = 9 }
    for verifier in [CoupledVerifier() as any Verifier, RejectionVerifier(seed: 1)] {
      let history = TokenHistory([0])
      let whole = try item.verify(verifier, processor, history: history)
      #expect(whole.emitted == [1, 2, 3, 4, 5] && whole.accepted == [0, 1, 2, 3])
      #expect(whole.outcome == .allAccepted)
      let stopped = try item.verify(verifier, processor, history: history, stops: [3])
      #expect(stopped.emitted == [1, 2, 3] && stopped.outcome == .stopped)
      let limited = try item.verify(verifier, processor, history: history, limit: 2)
      #expect(limited.emitted == [1, 2] && limited.accepted == [0, 1])
    }
  }

  @Test("a row that is no number is an error, not a token")
  func damagedLogits() throws {
    let processor = try LogitsProcessor(options: .greedy, vocabularyCount: 8, seed: 0)
    var generator = SeededGenerator(seed: 1)
    var item = Case(&generator)
    item.logits[3] = .nan
    #expect(throws: SamplingError.notANumber(token: 3, position: 1)) {
      try item.verify(CoupledVerifier(), processor, history: TokenHistory([0]))
    }
  }

  @Test("greedy verification above temperature 0 is refused with what to use instead")
  func greedyNeedsTemperatureZero() {
    var options = GenerationOptions(sampling: .init(temperature: 0.5))
    options.verification = .greedy
    #expect(throws: GenerationError.self) { try options.validate(vocabularyCount: 8) }
    options.sampling.temperature = 0
    #expect(throws: Never.self) { try options.validate(vocabularyCount: 8) }
  }
}
