import Foretoken
import TestSupport
import Testing

@testable import Decoding

@Suite struct DiverseBeamSearchTests {
  private static func candidates(
    _ toy: ToyModel, _ beam: BeamSearchOptions, decoding: DecodingMethod = "diverse-beam",
    results: Int? = nil, maxTokens: Int = 24
  ) async throws -> [GenerationCandidate] {
    let options = BeamSearchTests.options(
      beam, results: results ?? beam.beams, maxTokens: maxTokens, decoding: decoding)
    let found = try await Collected(toy.makeGenerator().generate([1, 0, 3], options: options))
    return try #require(found.summary?.candidates)
  }

  @Test("one group is beam search", arguments: 1...5 as ClosedRange<UInt64>)
  func oneGroup(seed: UInt64) async throws {
    let toy = try ToyModel(letters: 15, seed: seed, endBias: 0.6)
    let plain = try await Self.candidates(toy, .init(beams: 6), decoding: "beam")
    let diverse = try await Self.candidates(toy, .init(beams: 6, groups: 1, diversity: 0.7))
    #expect(plain == diverse)
    #expect(plain.count == 6)
  }

  @Test("with strength 0 the groups repeat each other, with more they do not")
  func strength() async throws {
    let toy = try ToyModel(letters: 15, seed: 5, endBias: 0.6)
    let same = try await Self.candidates(toy, .init(beams: 6, groups: 3, diversity: 0))
    for group in 1...2 {
      #expect(
        same.filter { $0.group == group }.map(\.tokens)
          == same.filter { $0.group == 0 }.map(\.tokens))
    }
    #expect(Set(same.map(\.tokens)).count == 2)
    let diverse = try await Self.candidates(toy, .init(beams: 6, groups: 3, diversity: 1))
    #expect(Set(diverse.map(\.tokens)).count > 4)
  }

  @Test(
    "the first group is beam search with its share of the beams",
    arguments: BeamSearchOptions.Diversity.allCases)
  func firstGroup(kind: BeamSearchOptions.Diversity) async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 15, seed: seed, endBias: 0.6)
      let plain = try await Self.candidates(toy, .init(beams: 2), decoding: "beam")
      let diverse = try await Self.candidates(
        toy, .init(beams: 6, groups: 3, diversity: 2, diversityKind: kind))
      let first = diverse.filter { $0.group == 0 }
      #expect(first.map(\.tokens) == plain.map(\.tokens))
      #expect(first.map(\.score) == plain.map(\.score))
    }
  }

  @Test("under a huge strength the groups never take the same token in the same step")
  func pairwiseDifferent() async throws {
    let toy = try ToyModel(letters: 20, seed: 2, endBias: 0.1)
    let found = try await Self.candidates(
      toy, .init(beams: 5, groups: 5, diversity: 1e6), maxTokens: 30)
    #expect(found.count == 5)
    for step in 0..<30 {
      let live = found.compactMap { $0.tokens.indices.contains(step) ? $0.tokens[step] : nil }
      #expect(Set(live).count == live.count, "step \(step)")
    }
  }

  @Test("scores are those of each text run alone, without what diversity took off")
  func rescoring() async throws {
    let toy = try ToyModel(letters: 15, seed: 8, endBias: 0.6)
    let scorer = try SequenceScorer(toy.makeEngine())
    for candidate in try await Self.candidates(toy, .init(beams: 6, groups: 3, diversity: 0.8)) {
      var tokens = candidate.tokens
      if case .stopToken(let token) = candidate.finishReason { tokens.append(token) }
      let expected = try scorer.logProbability(of: tokens, after: [1, 0, 3])
      #expect(candidate.logProbability == expected)
    }
  }

  @Test("a step is the best of all tokens of all beams, ties included")
  func stepOracle() throws {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<3000 {
      let beams = 1 + Int(random.next() % 4)
      let vocabulary = 3 + Int(random.next() % 20)
      let size = 1 + Int(random.next() % 4)
      let scores = (0..<beams).map { _ in -Double(random.next() % 4) }
      // Few different values, so that there are ties within a row and between rows.
      let rows = (0..<beams).map { _ in
        (0..<vocabulary).map { _ in Float(random.next() % 5) }
      }
      let penalties = (0..<beams).map { _ in
        Dictionary(
          (0..<Int(random.next() % 4)).map { _ in
            (Int32(random.next() % UInt64(vocabulary)), Double(1 + random.next() % 3))
          }
        ) { $0 + $1 }
      }
      var all: [BeamStep] = []
      var candidates: [[ScoredToken]] = []
      for beam in 0..<beams {
        try rows[beam].withUnsafeBufferPointer { row in
          let distribution = try TokenScores(row, position: 0)
          candidates.append(distribution.likeliest(2 * size + penalties[beam].count))
          for token in 0..<Int32(vocabulary) {
            let logProbability = distribution.logProbability(of: token)
            all.append(
              BeamStep(
                beam: beam, token: token, logProbability: logProbability,
                score: scores[beam] + logProbability - (penalties[beam][token] ?? 0)))
          }
        }
      }
      let expected = all.sorted { left, right in
        if left.score != right.score { return left.score > right.score }
        return (left.beam, left.token) < (right.beam, right.token)
      }
      let found = BeamStep.best(
        2 * size, scores: scores, candidates: candidates, penalties: penalties)
      #expect(found == Array(expected.prefix(2 * size)))
    }
  }

  @Test("n-gram diversity counts where the n-gram stands in earlier groups")
  func ngrams() throws {
    let cache = try ToyModel().makeEngine().makeCache()
    let diversity = GroupDiversity(
      .init(diversity: 0.5, diversityKind: .ngram, diversityLength: 2))
    let beam = Beam(cache: cache, tokens: [7, 1])
    let earlier = [
      Beam(cache: cache, tokens: [1, 2, 1, 2, 1, 3]), Beam(cache: cache, tokens: [2, 1, 3, 9, 1]),
    ]
    #expect(diversity.penalties(for: beam, after: earlier) == [2: 1, 3: 1])
    let short = Beam(cache: cache, tokens: [])
    #expect(diversity.penalties(for: short, after: earlier).isEmpty)
    #expect(diversity.penalties(for: beam, after: []).isEmpty)
  }
}
