import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding

@Suite struct ExactExtractTests {
  /// A passage of words over the toy's letters.
  private static func passage(_ random: inout SeededGenerator, letters: Int, words: Int) -> String {
    (0..<words).map { _ in
      (0..<1 + Int(random.next() % 3)).map { _ in
        String(Character(Unicode.Scalar(UInt8(97 + random.next() % UInt64(letters)))))
      }.joined()
    }.joined(separator: " ")
  }

  private static func options(
    _ extraction: ExactExtractOptions, results: Int = 4
  ) -> GenerationOptions {
    var options = GenerationOptions(decoding: "exact-extract")
    options.search = SearchOptions(results: results, extraction: extraction)
    return options
  }

  @Test(
    "the best spans are those of scoring every span alone", arguments: 1...10 as ClosedRange<UInt64>
  )
  func bruteForce(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let toy = try ToyModel(letters: 6, seed: seed, sharpness: 9, hasSpace: true)
    let scorer = try SequenceScorer(toy.makeEngine())
    let passage = Self.passage(&random, letters: 5, words: 5)
    let prompt: [Int32] = [0, 5, 3, 1]
    let expected = try ToySpans(toy, passage: passage, longest: 6).best(4) { tokens in
      try scorer.logProbability(of: tokens + [toy.end], after: prompt)
    }
    var shares: [Int] = []
    for (paths, isExhaustive) in [(1, false), (4, false), (16, false), (16, true)] {
      let found = try await Collected(
        toy.makeGenerator().generate(
          prompt,
          options: Self.options(
            .init(
              passage: passage, longestSpan: 6, pathsPerPass: paths, isExhaustive: isExhaustive))))
      let candidates = try #require(found.summary?.candidates)
      #expect(candidates.map(\.text).map(trimmed) == expected.map(\.text))
      for (candidate, span) in zip(candidates, expected) {
        #expect(abs(candidate.logProbability - span.logProbability) < 1e-9)
        let range = try #require(candidate.passageRange)
        #expect(String(Array(passage)[range]) == span.text)
      }
      #expect(found.tokens == candidates.first?.tokens)
      shares.append(found.summary?.forwardRows ?? 0)
    }
    #expect(shares[0] < shares[3])
  }

  private func trimmed(_ text: String) -> String {
    text.first == " " ? String(text.dropFirst()) : text
  }

  @Test("spans at every token are those of the paper")
  func tokenStarts() async throws {
    let toy = try ToyModel(letters: 6, seed: 12, sharpness: 9, hasSpace: true)
    let scorer = try SequenceScorer(toy.makeEngine())
    let passage = "abcab cbaed eab"
    let tokens = toy.tokenizer.encode(passage, addSpecial: false, parseSpecial: false)
    var best = (tokens: [Int32](), logProbability: -Double.infinity)
    for begin in tokens.indices {
      for end in begin..<min(begin + 5, tokens.count) {
        let span = Array(tokens[begin...end])
        let sum = try scorer.logProbability(of: span + [toy.end], after: [2])
        if sum > best.logProbability { best = (span, sum) }
      }
    }
    let found = try await Collected(
      toy.makeGenerator().generate(
        [2], options: Self.options(.init(passage: passage, longestSpan: 5, starts: .token))))
    #expect(found.tokens == best.tokens)
    let sum = try #require(found.summary?.candidates?.first?.logProbability)
    #expect(abs(sum - best.logProbability) < 1e-9)
  }

  @Test("the rows of abandoned paths make room, and the answer stays")
  func fullCache() async throws {
    var random = SeededGenerator(seed: 2)
    let toy = try ToyModel(letters: 6, seed: 3, sharpness: 2, hasSpace: true)
    let passage = Self.passage(&random, letters: 5, words: 60)
    var extraction = ExactExtractOptions(passage: passage, longestSpan: 20, isExhaustive: true)
    let prompt: [Int32] = [0, 1, 2]
    let whole = try await Collected(
      toy.makeGenerator(contextLimit: 4000).generate(prompt, options: Self.options(extraction)))
    extraction.isExhaustive = false
    let searched = try await Collected(
      toy.makeGenerator(contextLimit: 4000).generate(prompt, options: Self.options(extraction)))
    extraction.isExhaustive = true
    let generator = try toy.makeGenerator(contextLimit: 200)
    let cramped = try await Collected(
      generator.generate(prompt, options: Self.options(extraction)))
    #expect((whole.summary?.forwardRows ?? 0) > 700)
    #expect(cramped.summary?.candidates == whole.summary?.candidates)
    #expect(searched.summary?.candidates == whole.summary?.candidates)
    #expect((cramped.summary?.forwardRows ?? 0) > (whole.summary?.forwardRows ?? 0))
    #expect(await generator.usedPages == 0)
  }

  @Test("a passage without an answer is refused, and so is an end that cannot come")
  func refusals() async throws {
    let toy = try ToyModel(letters: 6, hasSpace: true)
    for passage in ["", "   ", "xyz"] {
      await #expect(throws: GenerationError.self) {
        _ = try await Collected(
          toy.makeGenerator().generate([1], options: Self.options(.init(passage: passage))))
      }
    }
    var options = Self.options(.init(passage: "ab c"))
    options.ignoresEndOfText = true
    await #expect(throws: GenerationError.self) {
      _ = try await Collected(toy.makeGenerator().generate([1], options: options))
    }
  }

  @Test("log-probabilities of the answer add up to its own, without the end")
  func logProbabilities() async throws {
    let toy = try ToyModel(letters: 6, seed: 4, hasSpace: true)
    var options = Self.options(.init(passage: "abc de cab", longestSpan: 6), results: 1)
    options.logProbabilities = 2
    let found = try await Collected(toy.makeGenerator().generate([1, 4], options: options))
    let entries = found.pieces.flatMap { $0.logProbabilities ?? [] }
    #expect(entries.map(\.chosen.token) == found.tokens)
    let scorer = try SequenceScorer(toy.makeEngine())
    let sum = try scorer.logProbability(of: found.tokens, after: [1, 4])
    #expect(abs(entries.reduce(0) { $0 + Double($1.chosen.logProbability) } - sum) < 1e-4)
  }

  @Test("paths come out in order of their probability")
  func heap() {
    var random = SeededGenerator(seed: 5)
    var heap = PathHeap()
    var expected: [PathHeap.Entry] = []
    for node in 0..<500 as Range<Int32> {
      let entry = PathHeap.Entry(node: node, logProbability: -Double(random.next() % 50))
      heap.insert(entry)
      expected.append(entry)
    }
    expected.sort(by: PathHeap.Entry.comesFirst)
    var found: [Int32] = []
    while let top = heap.top {
      found.append(top.node)
      heap.removeTop()
    }
    #expect(found == expected.map(\.node))
  }
}

/// Every span of a passage of one-letter tokens, by looking at its characters.
private struct ToySpans {
  let toy: ToyModel
  let passage: String
  let longest: Int

  init(_ toy: ToyModel, passage: String, longest: Int) {
    (self.toy, self.passage, self.longest) = (toy, passage, longest)
  }

  func best(
    _ count: Int, score: ([Int32]) throws -> Double
  ) rethrows -> [(text: String, logProbability: Double)] {
    let letters = Array(passage)
    var found: [String: Double] = [:]
    for begin in letters.indices
    where letters[begin] != " " && (begin == 0 || letters[begin - 1] == " ") {
      for end in begin..<letters.count {
        let text = String(letters[begin...end])
        for form in [text, " " + text] where form.count <= longest {
          found[text] = max(found[text] ?? -.infinity, try score(form.map(toy.token)))
        }
      }
    }
    return found.sorted { $0.value > $1.value }.prefix(count).map { ($0.key, $0.value) }
  }
}
