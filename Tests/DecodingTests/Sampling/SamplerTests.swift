import Compute
import Foundation
import Testing

@testable import Decoding

@Suite struct SamplerTests {
  static let settings: [SamplingOptions] = [
    .init(temperature: 1), .init(temperature: 0.7, topK: 5), .init(temperature: 1.5, topP: 0.9),
    .init(temperature: 1, minP: 0.05), .init(temperature: 1, typicalP: 0.8),
    .init(temperature: 0.9, presencePenalty: 1.5),
  ]

  @Test("sampled frequencies follow the processed distribution", arguments: settings)
  func chiSquare(_ options: SamplingOptions) throws {
    let vocabulary = 24
    var random = TestRandom(77)
    let logits = random.logits(vocabulary, scale: 1)
    let processor = try LogitsProcessor(
      options: options, vocabularyCount: vocabulary, seed: 0xfeed)
    let draws = 40_000
    var history = TokenHistory([1, 2, 3], capacity: draws + 3)
    let expected = NaiveSampling(options: options).distribution(logits: logits, history: [1, 2, 3])
    var counts: [Int32: Int] = [:]
    let changesSeed = options.hasPenalties
    try logits.withUnsafeBufferPointer { logits in
      for draw in 0..<draws {
        // Penalties must see the same history each time, so there the seed changes instead.
        let token: Int32
        if changesSeed {
          let other = try LogitsProcessor(
            options: options, vocabularyCount: vocabulary, seed: UInt64(draw))
          token = try other.chooseToken(logits: logits, history: history)
        } else {
          token = try processor.chooseToken(logits: logits, history: history)
          history.append(0)
        }
        counts[token, default: 0] += 1
      }
    }
    #expect(Set(counts.keys).isSubset(of: expected.keys))
    var statistic = 0.0
    var degrees = -1.0
    for (token, probability) in expected where probability * Double(draws) >= 5 {
      let difference = Double(counts[token] ?? 0) - probability * Double(draws)
      statistic += difference * difference / (probability * Double(draws))
      degrees += 1
    }
    // Wilson and Hilferty's approximation of the 99.9% point of the chi-square distribution.
    let spread = 2 / (9 * degrees)
    let limit = degrees * Foundation.pow(1 - spread + 3.09 * spread.squareRoot(), 3)
    #expect(statistic < limit, "chi-square \(statistic), limit \(limit)")
  }

  @Test(
    "the sample is the largest perturbed logit, whatever noise was left out",
    arguments: [0.2, 0.8, 1, 3])
  func pruningIsExact(_ temperature: Double) throws {
    var random = TestRandom(5)
    let stream = RandomStream(seed: 42)
    let processor = try LogitsProcessor(
      options: .init(temperature: temperature), vocabularyCount: 3001, seed: 42)
    for position in 0..<40 {
      let logits = random.logits(3001, scale: position % 2 == 0 ? 0.2 : 3)
      let best = Double(logits.max() ?? 0)
      var expected = 0
      var largest = -Double.infinity
      for (token, logit) in logits.enumerated() {
        let score =
          (Double(logit) - best) / temperature + stream.gumbel(position: position, token: token)
        if score > largest { (expected, largest) = (token, score) }
      }
      let history = [Int32](repeating: 0, count: position)
      #expect(try choose(processor, logits, history) == Int32(expected))
    }
  }

  @Test("the same seed gives the same tokens, another seed others")
  func seeds() throws {
    func run(_ seed: UInt64) throws -> [Int32] {
      var random = TestRandom(8)
      let processor = try LogitsProcessor(
        options: .init(temperature: 1), vocabularyCount: 500, seed: seed)
      var history: [Int32] = []
      for _ in 0..<50 {
        history.append(try choose(processor, random.logits(500, scale: 1), history))
      }
      return history
    }
    #expect(try run(1) == run(1))
    #expect(try run(1) != run(2))
  }

  @Test("a temperature near zero samples as greedy decoding chooses")
  func coldSampling() throws {
    let processor = try LogitsProcessor(
      options: .init(temperature: 1e-300), vocabularyCount: 100, seed: 4)
    var random = TestRandom(6)
    for _ in 0..<20 {
      let logits = random.logits(100)
      let best = logits.indices.max { logits[$0] < logits[$1] }
      #expect(try choose(processor, logits, []) == Int32(best ?? -1))
    }
  }

  @Test("log-probabilities are those of the raw distribution")
  func logProbabilities() throws {
    var random = TestRandom(12)
    var logits = random.logits(1000)
    logits[17] = logits[400]
    logits[500] = -.infinity
    let ranked = logits.indices.sorted {
      logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1]
    }
    let normalizer = Foundation.log(logits.reduce(0.0) { $0 + Foundation.exp(Double($1)) })
    let found = try logits.withUnsafeBufferPointer {
      try TokenLogProbabilities(logits: $0, token: 400, topCount: 12, position: 0)
    }
    #expect(found.top.map { Int($0.token) } == Array(ranked.prefix(12)))
    for entry in found.top + [found.chosen] {
      let exact = Double(logits[Int(entry.token)]) - normalizer
      #expect(abs(Double(entry.logProbability) - exact) < 1e-4)
    }
    let banned = try logits.withUnsafeBufferPointer {
      try TokenLogProbabilities(logits: $0, token: 500, topCount: 0, position: 0)
    }
    #expect(banned.chosen.logProbability == TokenLogProbabilities.smallestLogProbability)
    #expect(banned.top.isEmpty)
    #expect(throws: SamplingError.notANumber(token: 1, position: 9)) {
      try [1, .nan].withUnsafeBufferPointer {
        _ = try TokenLogProbabilities(logits: $0, token: 0, topCount: 1, position: 9)
      }
    }
  }
}
