import Checkpoints
import Compute
import Foretoken
import Foundation
import TestSupport
import Testing
import Tokenization
import Transformers

@testable import Decoding

/// Proofs with the small model. Some are done on a part of their data; with the environment variable
/// `FORETOKEN_SEARCH_PROOF`, such as `0-50` for the first fifty cases, on that much of it, and then they
/// print their figures.
extension RealModelTests {
  private static let cases: Range<Int>? = {
    let text = ProcessInfo.processInfo.environment["FORETOKEN_SEARCH_PROOF"] ?? ""
    let bounds = text.split(separator: "-").compactMap { Int($0) }
    return bounds.count == 2 && bounds[0] < bounds[1] ? bounds[0]..<bounds[1] : nil
  }()

  private static var isWhole: Bool { cases != nil }

  private var model: LanguageModel {
    get async throws { try await LoadedModels.shared.model("smollm2-135m") }
  }

  private func engine() async throws -> ForwardEngine {
    let file = try GGUFFile(
      path: try await TestModels.path("smollm2-135m").path(percentEncoded: false))
    return try ForwardEngine(model: Transformer(file: file, threads: 2), threads: 2)
  }

  @Test("scores of beams are those of each text run alone by another engine, bit for bit")
  func beamScores() async throws {
    let model = try await model
    let scorer = try SequenceScorer(try await engine())
    for (prompt, groups, length) in [(OpenPrompts.all[0], 1, 70), (OpenPrompts.all[9], 2, 20)] {
      let tokens = model.tokenizer.encode(prompt, addSpecial: true, parseSpecial: false)
      var options = GenerationOptions(
        maxTokens: length, decoding: groups == 1 ? "beam" : "diverse-beam")
      options.search = SearchOptions(results: 4, beam: .init(beams: 4, groups: groups))
      let found = try await Collected(model.generate(tokens: tokens, options: options))
      let candidates = try #require(found.summary?.candidates)
      #expect(candidates.count == 4)
      for candidate in candidates {
        var text = candidate.tokens
        if case .stopToken(let token) = candidate.finishReason { text.append(token) }
        let expected = try scorer.logProbability(of: text, after: tokens)
        #expect(candidate.logProbability == expected)
      }
    }
  }

  @Test("contrastive search repeats itself less than greedy decoding")
  func contrastiveRepetition() async throws {
    let model = try await model
    let prompts = OpenPrompts.all[(Self.cases ?? 0..<5).clamped(to: 0..<40)]
    var texts: [DecodingMethod: [String]] = [:]
    for prompt in prompts {
      for method in [.plain, "contrastive"] as [DecodingMethod] {
        let options = GenerationOptions(
          maxTokens: Self.isWhole ? 128 : 90, ignoresEndOfText: true, decoding: method)
        texts[method, default: []].append(
          try await Collected(model.generate(prompt, options: options)).text)
      }
    }
    let greedy = Repetition(texts[.plain] ?? [])
    let contrastive = Repetition(texts["contrastive"] ?? [])
    for (less, more) in zip(contrastive.shares, greedy.shares) { #expect(less < more) }
    #expect(contrastive.diversity > 1.5 * greedy.diversity)
    if Self.isWhole {
      print("greedy", greedy.shares, greedy.diversity)
      print("contrastive", contrastive.shares, contrastive.diversity)
    }
  }

  @Test("the extracted span is that of scoring every span of real passages")
  func extraction() async throws {
    let model = try await model
    let all = try Self.extractionCases(model.tokenizer)
    let cases = all[(Self.cases ?? 0..<1).clamped(to: all.indices)]
    let longest = Self.isWhole ? 16 : 6
    let brute = BruteExtraction(try await engine(), model.tokenizer, longest: longest)
    var table = ExtractionTable()
    for item in cases {
      let prompt = model.tokenizer.encode(
        ExactExtractOptions.prompt(passage: item.passage, question: item.question),
        addSpecial: true, parseSpecial: false)
      var options = GenerationOptions(decoding: "exact-extract")
      options.search = SearchOptions(
        results: 2, extraction: .init(passage: item.passage, longestSpan: longest))
      let found = try await Collected(model.generate(tokens: prompt, options: options))
      let candidate = try #require(found.summary?.candidates?.first)
      let expected = try brute.best(item.passage, after: prompt)
      #expect(candidate.tokens == expected.tokens)
      #expect(abs(candidate.logProbability - expected.logProbability) < 1e-9)
      let range = try #require(candidate.passageRange)
      let scalars = Array(item.passage.unicodeScalars)[range]
      let text = String(String.UnicodeScalarView(scalars))
      #expect(candidate.text == text || candidate.text == " " + text)
      if Self.isWhole {
        let greedy = try await Collected(
          model.generate(
            tokens: prompt,
            options: .init(
              maxTokens: longest, stopTokens: brute.ends, speculation: .none)))
        table.add(item, found, greedy, brute.rowCount)
      }
    }
    if Self.isWhole { table.report() }
  }

  private static func extractionCases(_ tokenizer: Tokenizer) throws -> [ExtractionCase] {
    let folder = Goldens.directory.deletingLastPathComponent().deletingLastPathComponent()
    let sample = folder.appending(path: "Benchmarks/spec-bench-sample.jsonl")
    let path = ProcessInfo.processInfo.environment["FORETOKEN_SPEC_BENCH"]
    let lines = try String(contentsOf: path.map { URL(filePath: $0) } ?? sample, encoding: .utf8)
      .split(separator: "\n")
    return try lines.compactMap { try ExtractionCase(Data($0.utf8), tokenizer) }
  }
}

/// A question about a passage, from the retrieval category of Spec-Bench.
struct ExtractionCase {
  let passage: String
  let question: String
  let answers: [String]

  /// nil for a line of another category. The passage is cut to its first 200 tokens.
  init?(_ line: Data, _ tokenizer: Tokenizer) throws {
    let json = try JSONValue(parsing: Array(line))
    guard json["category"]?.stringValue == "rag", let turn = json["turns"]?[0]?.stringValue,
      let end = turn.lastIndex(of: "\n")
    else { return nil }
    let tokens = tokenizer.encode(String(turn[..<end]), addSpecial: false, parseSpecial: false)
    passage = tokenizer.decode(Array(tokens.prefix(200)))
    question = String(turn[turn.index(after: end)...])
    answers = (json["reference"]?[0]?.arrayValue ?? []).compactMap(\.stringValue)
  }
}

/// Scores every span of a passage in a chain of its own start: no tree, no trie, no search.
final class BruteExtraction {
  let ends: [Int32]
  private(set) var rowCount = 0
  private let engine: ForwardEngine
  private let tokenizer: Tokenizer
  private let longest: Int

  init(_ engine: ForwardEngine, _ tokenizer: Tokenizer, longest: Int) {
    self.engine = engine
    self.tokenizer = tokenizer
    self.longest = longest
    let breaks = (0..<Int32(tokenizer.vocabularyCount)).filter {
      tokenizer.decode([$0]).hasPrefix("\n")
    }
    ends = Set(breaks + tokenizer.endOfGenerationTokens).sorted()
  }

  /// The most probable span: its tokens, and the sum with the end.
  func best(
    _ passage: String, after prompt: [Int32]
  ) throws -> (tokens: [Int32], logProbability: Double) {
    let cache = engine.makeCache()
    let first = Array(try engine.prefill(prompt, into: cache).logits(0))
    rowCount = 0
    var best = (tokens: [Int32](), logProbability: -Double.infinity)
    for start in Self.starts(passage) {
      for prefix in [" ", ""] {
        let text = prefix + passage[start...]
        let tokens = Array(
          tokenizer.encode(text, addSpecial: false, parseSpecial: false).prefix(longest))
        for (length, sum) in try sums(tokens, cache.fork(), first).enumerated()
        where sum > best.logProbability && isWhole(Array(tokens[...length])) {
          best = (Array(tokens[...length]), sum)
        }
      }
    }
    return best
  }

  /// True if the tokens end with a character, and are more than the space.
  private func isWhole(_ tokens: [Int32]) -> Bool {
    let text = tokenizer.decode(tokens)
    return !text.hasSuffix("\u{FFFD}") && text != " "
  }

  private func sums(_ tokens: [Int32], _ cache: KVCache, _ first: [Float]) throws -> [Double] {
    var batch = ForwardBatch()
    batch.append(chain: tokens, to: cache, logits: .all)
    rowCount += tokens.count
    let output = try engine.forward(batch)
    var sum = 0.0
    var found: [Double] = []
    for (index, token) in tokens.enumerated() {
      if index == 0 {
        sum += try first.withUnsafeBufferPointer { try Self.logProbability($0, [token]) }
      } else {
        sum += try Self.logProbability(output.logits(index - 1), [token])
      }
      found.append(sum + (try Self.logProbability(output.logits(index), ends)))
    }
    return found
  }

  /// log of the probability of all `tokens` together.
  private static func logProbability(
    _ logits: UnsafeBufferPointer<Float>, _ tokens: [Int32]
  ) throws -> Double {
    let normalizer = try #require(ElementaryFunctions.logSumExp(logits))
    let values = tokens.map { Double(logits[Int($0)]) - normalizer }
    return values.count == 1 ? values[0] : log(values.reduce(0) { $0 + exp($1) })
  }

  /// Beginnings of runs of letters and digits, and every other character but white space.
  private static func starts(_ passage: String) -> [String.Index] {
    let scalars = passage.unicodeScalars
    func isWord(_ index: String.Index) -> Bool {
      let properties = scalars[index].properties
      return properties.isAlphabetic || properties.numericType != nil
    }
    return scalars.indices.filter { index in
      if scalars[index].properties.isWhitespace { return false }
      guard index > scalars.startIndex, isWord(index) else { return true }
      return !isWord(scalars.index(before: index))
    }
  }
}

/// Figures of extraction beside greedy decoding, for the guide.
struct ExtractionTable {
  private var count = 0
  private var (same, extractive, answerable, rows, allRows) = (0, 0, 0, [Int](), [Int]())
  private var (exactF1, greedyF1, milliseconds) = (0.0, 0.0, [Double]())

  mutating func add(_ item: ExtractionCase, _ exact: Collected, _ greedy: Collected, _ all: Int) {
    count += 1
    let (found, plain) = (Self.words(exact.text), Self.words(greedy.text))
    if found == plain { same += 1 }
    if Self.words(item.passage).joined(separator: " ").contains(plain.joined(separator: " ")) {
      extractive += 1
    }
    let prompt = exact.summary.map { $0.forwardRows - $0.promptTokens } ?? 0
    rows.append(prompt)
    allRows.append(all)
    milliseconds.append(exact.summary?.decodeMilliseconds ?? 0)
    let answers = item.answers.map(Self.words)
    exactF1 += answers.map { Self.f1(found, $0) }.max() ?? 0
    greedyF1 += answers.map { Self.f1(plain, $0) }.max() ?? 0
    let passage = Self.words(item.passage).joined(separator: " ")
    if answers.contains(where: { passage.contains($0.joined(separator: " ")) }) { answerable += 1 }
  }

  func report() {
    let middle = count / 2
    print("questions", count, "greedy = exact", same, "greedy extractive", extractive)
    print("rows, median", rows.sorted()[middle], "of", allRows.sorted()[middle])
    print("search ms, median", milliseconds.sorted()[middle])
    print("answer in passage", answerable)
    print("F1 exact", exactF1 / Double(count), "greedy", greedyF1 / Double(count))
  }

  private static func words(_ text: String) -> [String] {
    text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
      .filter { !["a", "an", "the"].contains($0) }
  }

  private static func f1(_ found: [String], _ answer: [String]) -> Double {
    var left = Dictionary(answer.map { ($0, 1) }, uniquingKeysWith: +)
    let common = found.filter { word in
      guard let count = left[word], count > 0 else { return false }
      left[word] = count - 1
      return true
    }.count
    guard common > 0 else { return 0 }
    let (precision, recall) = (
      Double(common) / Double(found.count), Double(common) / Double(answer.count)
    )
    return 2 * precision * recall / (precision + recall)
  }
}
