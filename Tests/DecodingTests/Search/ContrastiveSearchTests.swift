import Foretoken
import Foundation
import TestSupport
import Testing
import Transformers

@testable import Decoding

@Suite struct ContrastiveSearchTests {
  static func options(
    _ settings: ContrastiveSearchOptions, maxTokens: Int
  ) -> GenerationOptions {
    var options = GenerationOptions(maxTokens: maxTokens, decoding: "contrastive")
    options.search.contrastive = settings
    return options
  }

  @Test("without a penalty, or with one candidate, it is greedy decoding")
  func greedy() async throws {
    for seed in 1...8 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, endBias: 0.3)
      let generator = try toy.makeGenerator()
      let plain = try await Collected(
        generator.generate([3, 1], options: .init(maxTokens: 80, speculation: .none)))
      for settings in [
        ContrastiveSearchOptions(candidates: 6, penalty: 0),
        ContrastiveSearchOptions(candidates: 1, penalty: 0.9),
      ] {
        let found = try await Collected(
          generator.generate([3, 1], options: Self.options(settings, maxTokens: 80)))
        #expect(found.tokens == plain.tokens)
        #expect(found.summary?.finishReason == plain.summary?.finishReason)
      }
    }
  }

  @Test("tokens are those of a search that runs the whole text anew for every candidate")
  func naive() async throws {
    var checked = 0
    for seed in 1...6 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, endBias: 0.2)
      let settings = ContrastiveSearchOptions(
        candidates: 4, penalty: 0.6, comparesPrompt: seed % 3 != 0, skipsFirst: seed % 2 == 0)
      let prompt: [Int32] = [5, 2, 9]
      let found = try await Collected(
        toy.makeGenerator().generate(prompt, options: Self.options(settings, maxTokens: 40)))
      let reference = try NaiveContrastive(toy, settings, prompt: prompt)
      for (index, token) in found.tokens.enumerated() {
        let (best, margin) = try reference.choice(after: Array(found.tokens[..<index]))
        guard margin > 1e-5 else { continue }
        checked += 1
        #expect(token == best, "seed \(seed), step \(index)")
        if token != best { break }
      }
    }
    #expect(checked > 100)
  }

  @Test("one pass of k rows a token, and no candidate stays in the cache")
  func cost() async throws {
    let toy = try ToyModel(letters: 20, seed: 4, endBias: 0)
    let generator = try toy.makeGenerator()
    let found = try await Collected(
      generator.generate(
        [1, 2, 3], options: Self.options(.init(candidates: 5, penalty: 0.6), maxTokens: 30)))
    #expect(found.tokens.count == 30)
    #expect(found.summary?.forwards == 1 + 30)
    #expect(found.summary?.forwardRows == 3 + 5 * 30)
    #expect(found.steps.flatMap(\.emitted) == found.tokens)
    #expect(await generator.usedPages == 0)
  }

  @Test("cosines are those of a direct computation")
  func cosines() {
    var random = SeededGenerator(seed: 3)
    for width in [1, 7, 8, 64, 77] {
      var bank = HiddenBank(width: width)
      let rows = (0..<20).map { _ in (0..<width).map { _ in random.unit() - 0.5 } }
      for row in rows { row.withUnsafeBufferPointer { bank.append($0) } }
      let probe = (0..<width).map { _ in random.unit() - 0.5 }
      for first in [0, 1, 19] {
        let cosines = rows.map { Self.cosine($0, probe) }
        let expected = cosines[first...].max() ?? 0
        let found = probe.withUnsafeBufferPointer { bank.nearest(to: $0, from: first) }
        #expect(abs(Double(found?.cosine ?? -2) - expected) < 1e-5)
        #expect(found.map { abs(cosines[$0.row] - expected) < 1e-5 } == true)
      }
      let zero = [Float](repeating: 0, count: width)
      #expect(zero.withUnsafeBufferPointer { bank.nearest(to: $0)?.cosine } == 0)
      #expect(probe.withUnsafeBufferPointer { bank.nearest(to: $0, from: 20)?.row } == nil)
    }
  }

  static func cosine(_ left: [Float], _ right: [Float]) -> Double {
    func dot(_ left: [Float], _ right: [Float]) -> Double {
      zip(left, right).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    return dot(left, right) / (dot(left, left) * dot(right, right)).squareRoot()
  }
}

/// Contrastive search by its formula: every candidate's text is run from its beginning.
private final class NaiveContrastive {
  private let engine: ForwardEngine
  private let settings: ContrastiveSearchOptions
  private let prompt: [Int32]

  init(_ toy: ToyModel, _ settings: ContrastiveSearchOptions, prompt: [Int32]) throws {
    engine = try toy.makeEngine()
    self.settings = settings
    self.prompt = prompt
  }

  /// The token of the best score, and how far the second is behind.
  func choice(after text: [Int32]) throws -> (token: Int32, margin: Double) {
    let (_, logits) = try run(prompt + text)
    let most = logits.max() ?? 0
    let weights = logits.map { exp($0 - most) }
    let total = weights.reduce(0, +)
    let likeliest = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(settings.candidates)
    let scored = try likeliest.map { token in
      let (hidden, _) = try run(prompt + text + [Int32(token)])
      let first = settings.comparesPrompt ? (settings.skipsFirst ? 1 : 0) : prompt.count
      let compared = hidden.dropLast().dropFirst(first)
      let nearest = compared.map { ContrastiveSearchTests.cosine($0, hidden[hidden.count - 1]) }
        .max()
      let score =
        (1 - settings.penalty) * weights[token] / total - settings.penalty * (nearest ?? 0)
      return (token: Int32(token), score: score)
    }
    let ordered = scored.sorted { $0.score > $1.score }
    return (ordered[0].token, ordered[0].score - ordered[1].score)
  }

  private func run(_ tokens: [Int32]) throws -> (hidden: [[Float]], logits: [Double]) {
    let cache = engine.makeCache()
    defer { cache.release() }
    var batch = ForwardBatch()
    batch.append(chain: tokens, to: cache)
    let output = try engine.forward(batch, options: ForwardOptions(taps: [.finalNorm]))
    let width = engine.model.configuration.hiddenSize
    let rows = Array(output.tap(0))
    let hidden = tokens.indices.map { Array(rows[$0 * width..<($0 + 1) * width]) }
    return (hidden, output.logits(0).map(Double.init))
  }
}
