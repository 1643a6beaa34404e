import Foretoken
import Testing

@testable import Decoding

/// ASAp on toy grammars, against the exact conditional distribution by enumeration.
@Suite("Grammar-Aligned Decoding")
struct GrammarAlignedDecodingTests {
  /// A grammar, its texts of at most `length` tokens, and a model.
  struct Toy: Sendable, CustomStringConvertible {
    var description: String
    var grammar: String
    var length: Int
    var alphabet: String
    var texts: [String]
    var logits: @Sendable () -> ToyWriter
  }

  static let toys: [Toy] = [
    // The paper's running example: 00000, or 1 and any four digits.
    Toy(
      description: "00000 or 1xxxx",
      grammar: #"root ::= "00000" | "1" [01] [01] [01] [01]"#, length: 6, alphabet: "01",
      texts: ["00000"] + (16..<32).map { String($0, radix: 2) }
    ) {
      ToyWriter(alphabet: "01", seed: 5, scale: 0.9) { $0.count < 5 ? -2 : 4 }
    },
    // Parentheses that must be closed in time: what does not fit is outside of the language.
    Toy(
      description: "balanced within 8 tokens", grammar: #"root ::= ("(" root ")")?"#, length: 8,
      alphabet: "()", texts: ["", "()", "(())", "((()))"]
    ) {
      ToyWriter(alphabet: "()", seed: 9, scale: 0.2) { _ in -0.5 }
    },
  ]

  @Test(
    "samples converge to the exact conditional distribution; plain constrained ones do not",
    arguments: toys)
  func convergence(_ toy: Toy) throws {
    let constraint = try ToyConstraint(.grammar(toy.grammar))
    let writer = toy.logits()
    let exact = exactDistribution(toy, writer)
    let prior = PriorSamples()
    let plain = try distribution(toy, constraint, writer, PriorSamples())
    #expect(distance(plain, exact.conditional) > 0.1)
    #expect(try distance(distribution(toy, constraint, writer, prior), plain) < 1e-12)
    var before = 1.0
    for sample in 0..<2_000 {
      try draw(toy, constraint, writer, prior, seed: UInt64(sample))
      // Estimates never rise and are never too small.
      #expect(prior.expectation <= before + 1e-12)
      #expect(prior.expectation >= exact.total - 1e-9)
      before = prior.expectation
    }
    let aligned = try distribution(toy, constraint, writer, prior)
    #expect(distance(aligned, exact.conditional) < 0.02)
    #expect(abs(prior.expectation - exact.total) < 0.02 * exact.total)
  }

  @Test("drawn samples, not only their distribution, follow the condition in the end")
  func samples() throws {
    let toy = Self.toys[0]
    let constraint = try ToyConstraint(.grammar(toy.grammar))
    let exact = exactDistribution(toy, toy.logits())
    let prior = PriorSamples()
    var counts: [String: Int] = [:]
    for sample in 0..<6_000 {
      let text = try draw(toy, constraint, toy.logits(), prior, seed: UInt64(sample))
      if sample >= 2_000 { counts[text ?? "", default: 0] += 1 }
    }
    #expect(ChiSquare(observed: counts, probabilities: exact.conditional).pValue > 0.001)
    var plain: [String: Int] = [:]
    for sample in 0..<4_000 {
      let text = try draw(toy, constraint, toy.logits(), PriorSamples(), seed: UInt64(sample))
      plain[text ?? "", default: 0] += 1
    }
    #expect(ChiSquare(observed: plain, probabilities: exact.conditional).pValue < 1e-12)
  }

  // MARK: Working out

  private func exactDistribution(
    _ toy: Toy, _ writer: ToyWriter
  ) -> (conditional: [String: Double], total: Double) {
    let weights = toy.texts.map { writer.probability(of: $0.utf8.map { Int32($0) }) }
    let total = weights.reduce(0, +)
    let shares = zip(toy.texts, weights).map { ($0, $1 / total) }
    return (Dictionary(uniqueKeysWithValues: shares), total)
  }

  private func processor(
    _ constraint: ConstraintTracker, _ sample: AlignedSample, seed: UInt64
  ) throws -> LogitsProcessor {
    try LogitsProcessor(
      options: .init(temperature: 1), vocabularyCount: ToyConstraint.vocabularyCount, seed: seed,
      constraint: constraint, alignment: sample)
  }

  /// Probability of each text by what the processor says at each of its tokens. Runs that reach the
  /// longest length give no text; what is left is divided among the others.
  private func distribution(
    _ toy: Toy, _ constraint: ToyConstraint, _ writer: ToyWriter, _ prior: PriorSamples
  ) throws -> [String: Double] {
    let tracker = constraint.tracker()
    let sample = AlignedSample(tracker, prior: prior, temperature: 1, promptCount: 1)
    let processor = try processor(tracker, sample, seed: 0)
    var weights: [String: Double] = [:]
    for text in toy.texts {
      var product = 1.0
      var written: [Int32] = []
      for token in constraint.tokens(text) + [ToyConstraint.end] {
        product *= try writer.logits(after: written).withUnsafeBufferPointer { logits in
          try processor.withDistribution(
            logits: logits, history: TokenHistory([0] + written)
          ) { ids, probabilities in
            ids.firstIndex(of: token).map { probabilities[$0] } ?? 0
          }
        }
        written.append(token)
      }
      weights[text] = product
    }
    let total = weights.values.reduce(0, +)
    return weights.mapValues { $0 / total }
  }

  /// Draws a text as a generation does; nil where the longest length is reached.
  @discardableResult
  private func draw(
    _ toy: Toy, _ constraint: ToyConstraint, _ writer: ToyWriter, _ prior: PriorSamples,
    seed: UInt64
  ) throws -> String? {
    let tracker = constraint.tracker()
    let sample = AlignedSample(tracker, prior: prior, temperature: 1, promptCount: 1)
    let processor = try processor(tracker, sample, seed: seed)
    var history = TokenHistory([0])
    var text: [Int32] = []
    while text.count < toy.length {
      let token = try writer.logits(after: text).withUnsafeBufferPointer { logits in
        let token = try processor.chooseToken(logits: logits, history: history)
        try sample.note(token, logits: logits, history, [])
        return token
      }
      if token == ToyConstraint.end {
        sample.finish(.stopToken(token))
        return String(decoding: text.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
      }
      history.append(token)
      text.append(token)
    }
    sample.finish(.length)
    return nil
  }

  /// Total variation.
  private func distance(_ one: [String: Double], _ other: [String: Double]) -> Double {
    let texts = Set(one.keys).union(other.keys)
    return texts.reduce(0) { $0 + abs((one[$1] ?? 0) - (other[$1] ?? 0)) } / 2
  }
}
