import Foretoken
import TestSupport
import Testing

@testable import Decoding

@Suite struct BeamSearchTests {
  static func options(
    _ beam: BeamSearchOptions, results: Int, maxTokens: Int = 5,
    decoding: DecodingMethod = "beam"
  ) -> GenerationOptions {
    var options = GenerationOptions(maxTokens: maxTokens, decoding: decoding)
    options.search = SearchOptions(results: results, beam: beam)
    return options
  }

  /// Every text of at most `length` tokens with its score, best first.
  static func allTexts(
    _ toy: ToyModel, prompt: [Int32], length: Int, lengthPenalty: Double
  ) throws -> [(tokens: [Int32], score: Double)] {
    let scorer = try SequenceScorer(toy.makeEngine())
    var texts: [(tokens: [Int32], score: Double)] = []
    func visit(_ prefix: [Int32]) throws {
      let ended = prefix + [toy.end]
      let isFull = prefix.count == length
      let scored = isFull ? prefix : ended
      let sum = try scorer.logProbability(of: scored, after: prompt)
      let divisor = lengthPenalty == 0 ? 1 : Double(scored.count)
      texts.append((prefix, sum / divisor))
      if isFull { return }
      for letter in 0..<Int32(toy.letters) { try visit(prefix + [letter]) }
    }
    try visit([])
    return texts.sorted { $0.score > $1.score }
  }

  @Test("with enough beams the ranking is that of all texts, with their scores", arguments: [0, 1])
  func exhaustive(lengthPenalty: Double) async throws {
    let toy = try ToyModel(letters: 4, seed: 3)
    let prompt: [Int32] = [0, 2, 1]
    let all = try Self.allTexts(toy, prompt: prompt, length: 5, lengthPenalty: lengthPenalty)
    #expect(all.count == 1365)
    let beam = BeamSearchOptions(beams: 320, lengthPenalty: lengthPenalty, stopping: .exhaustive)
    let found = try await Collected(
      toy.makeGenerator().generate(prompt, options: Self.options(beam, results: 40)))
    let candidates = try #require(found.summary?.candidates)
    #expect(candidates.map(\.tokens) == all.prefix(40).map(\.tokens))
    #expect(candidates.map(\.score) == all.prefix(40).map(\.score))
    #expect(found.tokens == all[0].tokens)
    #expect(found.text == candidates[0].text)
  }

  @Test("scores are those of each text run alone, bit for bit")
  func rescoring() async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, endBias: 0.5)
      let scorer = try SequenceScorer(toy.makeEngine())
      let prompt: [Int32] = [4, 5, 6]
      let found = try await Collected(
        toy.makeGenerator().generate(
          prompt, options: Self.options(.init(beams: 6), results: 6, maxTokens: 90)))
      let candidates = try #require(found.summary?.candidates)
      #expect(candidates.count == 6)
      for candidate in candidates {
        var tokens = candidate.tokens
        if case .stopToken(let token) = candidate.finishReason { tokens.append(token) }
        #expect(
          candidate.logProbability == (try scorer.logProbability(of: tokens, after: prompt)))
        #expect(candidate.score == candidate.logProbability / Double(tokens.count))
      }
      #expect(Set(candidates.map(\.tokens)).count == 6)
    }
  }

  @Test("one beam is greedy decoding")
  func greedy() async throws {
    for seed in 1...6 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 12, seed: seed, endBias: 0.2)
      let generator = try toy.makeGenerator()
      let plain = try await Collected(
        generator.generate([1, 2], options: .init(maxTokens: 60, speculation: .none)))
      let found = try await Collected(
        generator.generate(
          [1, 2], options: Self.options(.init(beams: 1), results: 1, maxTokens: 60)))
      #expect(found.tokens == plain.tokens)
      #expect(found.summary?.finishReason == plain.summary?.finishReason)
    }
  }
}
