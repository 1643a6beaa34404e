import Foretoken
import Foundation
import TestSupport
import Testing
import Transformers

@testable import Decoding

/// A model of ten tokens whose distributions a test writes down: after each path, the probability of
/// the likeliest token; the others share the rest.
private final class WrittenModel: ForestModel {
  private let likeliest: ([Int32]) -> (token: Int32, probability: Double)
  private var rows: [UnsafeMutableBufferPointer<Float>] = []

  init(_ likeliest: @escaping ([Int32]) -> (token: Int32, probability: Double)) {
    self.likeliest = likeliest
  }

  deinit { for row in rows { row.deallocate() } }

  func run(_ tree: TokenTree, from first: Int) -> [UnsafeBufferPointer<Float>] {
    (first..<tree.count).map { node in
      var path: [Int32] = []
      var at = node
      while at >= 0 {
        path.insert(tree.tokens[at], at: 0)
        at = Int(tree.parents[at])
      }
      let (token, probability) = likeliest(path)
      var values = [Float](repeating: Float(log((1 - probability) / 9)), count: 10)
      values[Int(token)] = Float(log(probability))
      let row = UnsafeMutableBufferPointer<Float>.allocate(capacity: 10)
      _ = row.initialize(from: values)
      rows.append(row)
      return UnsafeBufferPointer(row)
    }
  }
}

@Suite struct AdaDecTests {
  // MARK: The choice

  private static let end: Int32 = 9

  /// The choice between candidates of given probabilities, and their scores.
  private static func choice(
    _ candidates: [(token: Int32, probability: Double)], length: Int = 5,
    _ likeliest: @escaping ([Int32]) -> (token: Int32, probability: Double)
  ) throws -> (token: Int32, scores: [Double], sums: [Double]) {
    var lookahead = Lookahead(
      candidates.map { ScoredToken(token: $0.token, logProbability: log($0.probability)) },
      length: length, stops: [end])
    try lookahead.play(model: WrittenModel(likeliest)) { logits, path in
      let scores = try TokenScores(logits, position: path.count)
      return Outlook(entropy: scores.entropy, candidates: scores.likeliest(3))
    }
    return (
      lookahead.branches[lookahead.winner].tokens[0], lookahead.branches.map(\.score),
      lookahead.branches.map(\.logProbability)
    )
  }

  @Test("a likely future outweighs a likelier candidate")
  func future() throws {
    func likeliest(_ path: [Int32]) -> (token: Int32, probability: Double) {
      (Int32(path.count), path[0] == 6 ? 0.3 : 0.9)
    }
    let found = try Self.choice([(6, 0.40), (7, 0.35)], likeliest)
    #expect(found.token == 7)
    #expect(abs(found.scores[0] + 1.156) < 0.001)
    #expect(abs(found.scores[1] + 0.263) < 0.001)
    // Without a look ahead it is greedy.
    #expect(try Self.choice([(6, 0.40), (7, 0.35)], length: 0, likeliest).token == 6)
  }

  @Test("branches of different lengths are compared by their means, not their sums")
  func means() throws {
    let found = try Self.choice([(6, 0.40), (7, 0.35)]) { path in
      path[0] == 6 ? (Self.end, 0.5) : (Int32(path.count), 0.8)
    }
    #expect(found.token == 7)
    #expect(abs(found.scores[0] + 0.805) < 0.001)
    #expect(abs(found.scores[1] + 0.361) < 0.001)
    #expect(found.sums[0] > found.sums[1])
  }

  @Test("a candidate that ends the text has no future, and one that is finished gets no more")
  func endings() throws {
    let found = try Self.choice([(6, 0.40), (Self.end, 0.35), (7, 0.2)]) { path in
      path.count == 3 ? (Self.end, 0.6) : (Int32(path.count), 0.6)
    }
    #expect(found.scores[1] == log(0.35))
    let sum: Double = log(0.40) + 3 * log(0.6)
    #expect(abs(found.sums[0] - sum) < 1e-6)
    #expect(abs(found.scores[0] - found.sums[0] / 4) < 1e-9)
    // Equal scores go to the likelier candidate.
    let equal = try Self.choice([(3, 0.3), (2, 0.3)]) { _ in (1, 0.5) }
    #expect(equal.token == 3)
  }

  // MARK: Generations

  private static func options(_ pausing: AdaDecOptions, maxTokens: Int = 60) -> GenerationOptions {
    var options = GenerationOptions(maxTokens: maxTokens, decoding: "adadec")
    options.search.pausing = pausing
    return options
  }

  @Test("with the threshold at infinity, one candidate or no lookahead it is greedy decoding")
  func greedy() async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, endBias: 0.4)
      let generator = try toy.makeGenerator()
      for prompt in [[1, 2], [3], [4, 5, 6, 7]] as [[Int32]] {
        var plainOptions = GenerationOptions(maxTokens: 60, speculation: .none)
        for penalty in [1, 1.3] {
          plainOptions.sampling.repetitionPenalty = penalty
          let plain = try await Collected(generator.generate(prompt, options: plainOptions))
          for pausing in [
            AdaDecOptions(pauseEntropy: .infinity), AdaDecOptions(pauseEntropy: 0, candidates: 1),
            AdaDecOptions(pauseEntropy: 0, lookahead: 0),
          ] {
            var options = Self.options(pausing)
            options.sampling.repetitionPenalty = penalty
            let found = try await Collected(generator.generate(prompt, options: options))
            #expect(found.tokens == plain.tokens)
            #expect(found.summary?.finishReason == plain.summary?.finishReason)
          }
        }
      }
    }
  }

  /// The same by its definition: every distribution from a fresh pass over the whole text.
  private static func reference(
    _ toy: ToyModel, _ prompt: [Int32], _ pausing: AdaDecOptions, count: Int
  ) throws -> (tokens: [Int32], pauses: Int) {
    let engine = try toy.makeEngine()
    var meter = TokenEntropy(vocabularyCount: toy.vocabularyCount)
    func look(_ text: [Int32]) throws -> Outlook {
      let cache = engine.makeCache()
      defer { cache.release() }
      let logits = try engine.prefill(text, into: cache).logits(0)
      return Outlook(
        entropy: try meter.nats(logits, position: 0),
        candidates: try TokenScores(logits, position: 0).likeliest(pausing.candidates))
    }
    var tokens: [Int32] = []
    var pauses = 0
    while tokens.count < count {
      let outlook = try look(prompt + tokens)
      var choice = outlook.candidates[0].token
      if outlook.entropy >= pausing.pauseEntropy ?? .infinity {
        pauses += 1
        var best = -Double.infinity
        for candidate in outlook.candidates {
          var future = [candidate.token]
          var sum = candidate.logProbability
          while future.count <= pausing.lookahead, future.last != toy.end {
            let next = try look(prompt + tokens + future).candidates[0]
            future.append(next.token)
            sum += next.logProbability
          }
          let score = sum / Double(future.count)
          if score > best { (best, choice) = (score, candidate.token) }
        }
      }
      if choice == toy.end { break }
      tokens.append(choice)
    }
    return (tokens, pauses)
  }

  @Test("pauses choose as fresh passes over every text say, with and without reuse")
  func reference() async throws {
    var (pauses, changed, saved) = (0, 0.0, 0)
    for seed in 1...6 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, sharpness: 7, endBias: 0.4)
      let generator = try toy.makeGenerator()
      for (threshold, lookahead) in [(1.5, 5), (2, 1), (0, 3)] {
        var pausing = AdaDecOptions(
          pauseEntropy: threshold, candidates: 3, lookahead: lookahead)
        let expected = try Self.reference(toy, [1, 2, 3], pausing, count: 40)
        let found = try await Collected(
          generator.generate([1, 2, 3], options: Self.options(pausing, maxTokens: 40)))
        #expect(found.tokens == expected.tokens)
        pausing.reusesLookahead = false
        let without = try await Collected(
          generator.generate([1, 2, 3], options: Self.options(pausing, maxTokens: 40)))
        #expect(without.tokens == expected.tokens)
        let figures = try #require(found.summary?.figures)
        #expect(figures["pauses"] == Double(expected.pauses))
        pauses += expected.pauses
        changed += figures["changed"] ?? 0
        saved += (without.summary?.forwards ?? 0) - (found.summary?.forwards ?? 0)
      }
    }
    #expect(pauses > 100 && changed > 20 && saved > 100)
  }

  @Test("a shorter text is the beginning of a longer one, up to the context's end and stop strings")
  func limits() async throws {
    let toy = try ToyModel(letters: 20, seed: 3, sharpness: 6, endBias: 0)
    let generator = try toy.makeGenerator(contextLimit: 64)
    let pausing = AdaDecOptions(pauseEntropy: 1.5)
    let long = try await Collected(
      generator.generate([1, 2], options: Self.options(pausing, maxTokens: 500)))
    #expect(long.summary?.finishReason == .contextFull(limit: 64))
    #expect(long.tokens.count == 63)
    for count in [0, 1, 2, 7, 30] {
      let short = try await Collected(
        generator.generate([1, 2], options: Self.options(pausing, maxTokens: count)))
      #expect(short.tokens == Array(long.tokens.prefix(count)))
    }
    var options = Self.options(pausing, maxTokens: 500)
    options.stopStrings = [String(long.text.dropFirst(12).prefix(3))]
    options.logProbabilities = 2
    let cut = try await Collected(generator.generate([1, 2], options: options))
    #expect(long.text.hasPrefix(cut.text) && cut.text.count <= 12)
    #expect(cut.pieces.flatMap { $0.logProbabilities ?? [] }.count == cut.tokens.count)
    #expect(await generator.usedPages == 0)
  }

  @Test("a conversation goes on after pauses")
  func conversation() async throws {
    let toy = try ToyModel(letters: 20, seed: 4, sharpness: 6, endBias: 0)
    let generator = try toy.makeGenerator()
    let id = Generator.ConversationID()
    let options = Self.options(AdaDecOptions(pauseEntropy: 1.5), maxTokens: 30)
    var prompt: [Int32] = [1, 2]
    for _ in 0..<4 {
      let found = try await Collected(
        generator.generate(prompt, options: options, conversation: id))
      let fresh = try await Collected(generator.generate(prompt, options: options))
      #expect(found.tokens == fresh.tokens)
      prompt += found.tokens + [7, 8]
    }
    await generator.forget(id)
  }

  @Test("a model without a threshold is an error that says how to get one; wrong settings too")
  func errors() async throws {
    let toy = try ToyModel()
    await #expect {
      _ = try await Collected(
        toy.makeGenerator().generate([1], options: Self.options(.init())))
    } throws: {
      "\($0)".contains("foretoken train adadec-threshold")
    }
    for pausing in [
      AdaDecOptions(pauseEntropy: -1), AdaDecOptions(pauseEntropy: .nan),
      AdaDecOptions(candidates: 0), AdaDecOptions(candidates: 33), AdaDecOptions(lookahead: -1),
      AdaDecOptions(lookahead: 33),
    ] {
      #expect(throws: GenerationError.self) {
        try Self.options(pausing).validate(vocabularyCount: 100)
      }
    }
    var sampled = Self.options(.init(pauseEntropy: 1))
    sampled.sampling.temperature = 0.5
    #expect(throws: GenerationError.self) { try sampled.validate(vocabularyCount: 100) }
  }
}
