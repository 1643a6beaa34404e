import Foretoken
import Foundation
import TestSupport
import Testing
import Transformers

@testable import Decoding

@Suite struct SuperposedDecodingTests {
  // MARK: The drafts

  @Test("kept tokens are the likeliest, with the logarithm of their share at the temperature")
  func kept() {
    let logits: [Float] = [0, 2, 1, -.infinity, 2, 0.5]
    let options = SuperposedOptions(drafts: 2, temperature: 0.5, kept: 4)
    let found = logits.withUnsafeBufferPointer { SuperposedDrafts.kept($0, options) }
    #expect(found.map(\.token) == [1, 4, 2, 5])
    let weights = [4, 4, 2, 1].map { exp(Double($0)) }
    let total: Double = weights.reduce(0, +)
    for (entry, weight) in zip(found, weights) {
      let expected = log(weight / total)
      #expect(abs(entry.logProbability - expected) < 1e-12)
    }
    let all = logits.withUnsafeBufferPointer {
      SuperposedDrafts.kept($0, SuperposedOptions(kept: 100))
    }
    #expect(all.count == 5)
  }

  @Test("the n-gram filter is the geometric mean, rules out what n-grams do not know, or takes all")
  func filter() {
    let kept: [(token: Int32, logProbability: Double)] = [(7, -0.1), (3, -2), (5, -4)]
    var options = SuperposedOptions(ngramWeight: 0.25)
    let some = SuperposedDrafts.filtered(kept, known: [0, 0.5, 0.125], options)
    #expect(some[0] == -.infinity)
    let expected: [Double] = [-1.5 + 0.25 * log(0.5), -3 + 0.25 * log(0.125)]
    #expect(abs(some[1] - expected[0]) < 1e-12)
    #expect(abs(some[2] - expected[1]) < 1e-12)
    let none = SuperposedDrafts.filtered(kept, known: [0, 0, 0], options)
    for (found, expected) in zip(none, [-200.075, -201.5, -203]) {
      #expect(abs(found - expected) < 1e-9)
    }
    options.ngramWeight = 0
    #expect(SuperposedDrafts.filtered(kept, known: [0, 0.5, 0], options) == [-0.1, -2, -4])
  }

  @Test("the best of all continuations go on, the rest is dropped")
  func pruning() {
    var random = SeededGenerator(seed: 3)
    for width in 1...4 {
      let options = SuperposedOptions(drafts: width, kept: 6)
      var drafts = SuperposedDrafts(options, stops: [])
      var naive: [(tokens: [Int32], score: Double)] = [([], 0)]
      for _ in 0..<6 {
        let kept = (0..<6).map { (token: Int32($0), logProbability: -Double(random.unit()) * 3) }
        let known: (SuperposedDrafts.Draft, [Int32]) -> [Double] = { draft, tokens in
          tokens.map { Double((draft.tokens.last ?? 1) % 3 + $0 % 4) / 8 }
        }
        drafts.extend(kept, known: known)
        naive = naive.flatMap { draft in
          kept.map { token, logProbability in
            let share = Double((draft.tokens.last ?? 1) % 3 + token % 4) / 8
            let step: Double = 0.46 * logProbability + 0.54 * log(share)
            return (draft.tokens + [token], draft.score + step)
          }
        }.sorted { $0.score > $1.score }
        naive = Array(naive.prefix(width))
        #expect(drafts.live.map(\.tokens) == naive.map(\.tokens))
        for (draft, expected) in zip(drafts.live, naive) {
          #expect(abs(draft.score - expected.score) < 1e-9)
        }
        let weights = naive.map { exp($0.score) }
        let total: Double = weights.reduce(0, +)
        for (found, weight) in zip(drafts.weights, weights) {
          #expect(abs(found - weight / total) < 1e-9)
        }
        // Drafts of one latest token share one embedding.
        #expect(Set(drafts.mix.map(\.token)) == Set(naive.compactMap(\.tokens.last)))
        #expect(drafts.mix.count == Set(drafts.mix.map(\.token)).count)
        let mixed: Double = drafts.mix.map(\.weight).reduce(0, +)
        #expect(abs(mixed - 1) < 1e-9)
      }
    }
  }

  @Test("a draft that ends leaves the mix, and the search is over when nothing can come before it")
  func endings() {
    let options = SuperposedOptions(drafts: 2, kept: 3)
    var drafts = SuperposedDrafts(options, stops: [9])
    drafts.extend([(1, -0.5), (9, -1), (2, -2)], known: nil)
    #expect(drafts.live.map(\.tokens) == [[1], [2]])
    #expect(drafts.finished == [.init(tokens: [], score: -1, end: 9)])
    #expect(!drafts.isSettled)
    drafts.extend([(9, -0.1), (3, -2.5), (4, -3)], known: nil)
    #expect(drafts.finished.map(\.tokens) == [[1], []])
    #expect(drafts.finished.map(\.score) == [-0.6, -1])
    // The best live draft is at -3: behind both.
    #expect(drafts.isSettled)
    #expect(drafts.ranked.map(\.tokens) == [[1], []])
  }

  // MARK: Generations

  /// - Parameter ends: whether texts may end before their length.
  private static func options(
    _ superposed: SuperposedOptions, maxTokens: Int = 100, ends: Bool = false
  ) -> GenerationOptions {
    var options = GenerationOptions(
      maxTokens: maxTokens, ignoresEndOfText: !ends, decoding: .superposed)
    options.search.superposed = superposed
    return options
  }

  @Test("one draft is greedy decoding, token by token, with and without resets")
  func greedy() async throws {
    for seed in 1...6 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, endBias: 0.4)
      let generator = try toy.makeGenerator()
      for prompt in [[1, 2], [3], [4, 5, 6, 7]] as [[Int32]] {
        let plain = try await Collected(
          generator.generate(prompt, options: .init(maxTokens: 60, speculation: .none)))
        for reset in [nil, 1, 7] {
          let found = try await Collected(
            generator.generate(
              prompt,
              options: Self.options(
                .init(drafts: 1, length: 60, resetEvery: reset), maxTokens: 60, ends: true)))
          #expect(found.tokens == plain.tokens)
          #expect(found.summary?.finishReason == plain.summary?.finishReason)
        }
      }
    }
  }

  @Test("a token takes one pass of one row, whatever the number of drafts")
  func passes() async throws {
    let toy = try ToyModel(letters: 24, seed: 5, endBias: 0)
    for drafts in [1, 3, 8] {
      let found = try await Collected(
        toy.makeGenerator().generate(
          [1, 2, 3], options: Self.options(.init(drafts: drafts, length: 12, temperature: 1))))
      let summary = try #require(found.summary)
      let candidates = try #require(summary.candidates)
      #expect(candidates.count == drafts)
      #expect(Set(candidates.map(\.tokens)).count == drafts)
      #expect(candidates.allSatisfy { $0.tokens.count == 12 })
      #expect(candidates.map(\.score) == candidates.map(\.score).sorted(by: >))
      // The prompt, a pass for each token after the first, and one that scores all drafts.
      #expect(summary.forwards == 1 + 11 + 1)
      let scoring = Set(
        candidates.flatMap { draft in (1...11).map { Array(draft.tokens.prefix($0)) } })
      #expect(summary.forwardRows == 3 + 11 + scoring.count)
    }
  }

  @Test("log-probabilities are those of each draft run alone")
  func rescoring() async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 24, seed: seed, endBias: 0.5)
      let scorer = try SequenceScorer(toy.makeEngine())
      // More different tokens than one scoring pass takes.
      let found = try await Collected(
        toy.makeGenerator().generate(
          [1, 2, 3],
          options: Self.options(.init(drafts: 10, length: 15, temperature: 2), ends: true)))
      for candidate in try #require(found.summary?.candidates) {
        var tokens = candidate.tokens
        if case .stopToken(let token) = candidate.finishReason { tokens.append(token) }
        let expected = try scorer.logProbability(of: tokens, after: [1, 2, 3])
        #expect(abs(candidate.logProbability - expected) < 1e-3)
      }
    }
  }

  @Test("the superposed pass is fed the weighted mix of embeddings at the next position")
  func mixture() async throws {
    let toy = try ToyModel(letters: 24, seed: 9, endBias: 0)
    let engine = try toy.makeEngine()
    let options = SuperposedOptions(drafts: 3, length: 6, temperature: 1)
    let found = try await Collected(
      toy.makeGenerator().generate([4, 2], options: Self.options(options)))
    // The method once more, by hand: a cache of its own, mixes made here.
    let cache = engine.makeCache()
    var logits = Array(try engine.prefill([4, 2], into: cache).logits(0))
    var drafts = SuperposedDrafts(options, stops: [toy.end])
    for step in 0..<6 {
      logits[Int(toy.end)] = -.infinity
      drafts.extend(
        logits.withUnsafeBufferPointer { SuperposedDrafts.kept($0, options) }, known: nil)
      guard step < 5 else { break }
      let scores = drafts.live.map { exp($0.score) }
      let total: Double = scores.reduce(0, +)
      var row = [Float](repeating: 0, count: engine.model.configuration.hiddenSize)
      for (draft, score) in zip(drafts.live, scores) {
        let embedding = try engine.model.embedding(of: try #require(draft.tokens.last))
        for index in row.indices {
          row[index] += Float(score / total) * embedding[index]
        }
      }
      var batch = ForwardBatch()
      batch.append(embeddings: row, parents: [-1], to: cache)
      logits = Array(try engine.forward(batch).logits(0))
      try cache.commitAll()
    }
    #expect(found.summary?.candidates?.map(\.tokens) == drafts.live.map(\.tokens))
  }

  @Test("n-grams steer the drafts to what their text has")
  func steering() async throws {
    let folder = try TemporaryFolder()
    let toy = try ToyModel(letters: 24, seed: 5, endBias: 0)
    var builder = NGramBuilder(tokenizer: toy.tokenizer)
    // After any letter comes the next one of the alphabet, or the one after that.
    let alphabet = String("abcdefghijklmnopqrstuvwx")
    let everySecond = ["acegikmoqsuw", "bdfhjlnprtvx"]
    for text in [alphabet] + everySecond { try builder.add(text, name: "text") }
    let url = folder.url.appending(path: "text.ngrams")
    try builder.write(to: url, source: "made up", license: "CC0-1.0", command: "", model: "toy")
    var options = SuperposedOptions(
      drafts: 3, length: 6, temperature: 1, kept: 24, ngrams: url.path, orderWeights: [0.5])
    func candidates(_ superposed: SuperposedOptions) async throws -> [[Int32]] {
      let found = try await Collected(
        toy.makeGenerator().generate([0], options: Self.options(superposed)))
      return try #require(found.summary?.candidates).map(\.tokens)
    }
    for text in try await candidates(options) {
      for (before, after) in zip([0] + text, text) {
        #expect([1, 2].contains(after - before))
      }
    }
    // At weight 0 they say nothing.
    let without = SuperposedOptions(drafts: 3, length: 6, temperature: 1, kept: 24)
    options.ngramWeight = 0
    options.penalty = 0
    #expect(try await candidates(options) == (try await candidates(without)))
    options.ngrams = folder.path("missing")
    await #expect(throws: (any Error).self) { _ = try await candidates(options) }
  }

  @Test("drafts end at stop strings, at the maximum of tokens and at the context's end")
  func limits() async throws {
    let toy = try ToyModel(letters: 24, seed: 5, endBias: 0)
    let generator = try toy.makeGenerator(contextLimit: 16)
    let superposed = SuperposedOptions(drafts: 4, length: 100, temperature: 1)
    var options = Self.options(superposed, maxTokens: 200)
    let full = try await Collected(generator.generate([1, 2], options: options))
    #expect(full.summary?.finishReason == .contextFull(limit: 16))
    #expect(full.tokens.count == 15)
    options.maxTokens = 5
    let short = try await Collected(generator.generate([1, 2], options: options))
    #expect(short.summary?.candidates?.allSatisfy { $0.tokens.count == 5 } == true)
    #expect(short.summary?.finishReason == .length)
    options.stopStrings = [String(short.text.dropFirst(2).prefix(2))]
    let stopped = try await Collected(generator.generate([1, 2], options: options))
    for candidate in try #require(stopped.summary?.candidates) {
      #expect(!options.stopStrings.contains { candidate.text.contains($0) })
    }
    options.sampling.repetitionPenalty = 1.2
    await #expect(throws: GenerationError.self) {
      _ = try await Collected(generator.generate([1, 2], options: options))
    }
    #expect(await generator.usedPages == 0)
  }

  @Test("settings out of range are refused, and so is a temperature of sampling")
  func settings() {
    for superposed in [
      SuperposedOptions(drafts: 0), SuperposedOptions(drafts: 33), SuperposedOptions(length: 0),
      SuperposedOptions(temperature: 0), SuperposedOptions(temperature: .nan),
      SuperposedOptions(kept: 2), SuperposedOptions(ngramWeight: 1.5),
      SuperposedOptions(orderWeights: [1, 0.5]), SuperposedOptions(orderWeights: [-0.1]),
      SuperposedOptions(orderWeights: [0, 0, 0, 0, 0, 0]), SuperposedOptions(penalty: -1),
      SuperposedOptions(resetEvery: 0),
    ] {
      #expect(throws: GenerationError.self) {
        try Self.options(superposed).validate(vocabularyCount: 100)
      }
    }
    var sampled = Self.options(.init())
    sampled.sampling.temperature = 0.5
    #expect(throws: GenerationError.self) { try sampled.validate(vocabularyCount: 100) }
  }
}
