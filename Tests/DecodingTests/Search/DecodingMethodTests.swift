import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding

/// What every method of `--decode` keeps to, but those that need a second model.
@Suite struct DecodingMethodTests {
  static let methods = MethodRegistry.availableValues(of: "--decode").filter { name in
    let needsModel = DecodingRegistry.kind(name)?.abilities.contains(.needsDraftModel) ?? false
    return name != "plain" && !needsModel
  }.map(DecodingMethod.init(rawValue:))

  static func options(_ method: DecodingMethod, maxTokens: Int? = 20) -> GenerationOptions {
    var options = GenerationOptions(maxTokens: maxTokens, decoding: method)
    options.search.extraction.passage = "abc de ab c"
    options.search.pausing.pauseEntropy = 0.8
    return options
  }

  private static func toy(endBias: Float = 0.3) throws -> ToyModel {
    try ToyModel(letters: 6, seed: 9, endBias: endBias, hasSpace: true)
  }

  @Test("every available method has a strategy of its name", arguments: methods)
  func registered(method: DecodingMethod) throws {
    let kind = try #require(DecodingRegistry.kind(method.rawValue))
    #expect(kind.name == method.rawValue)
    try kind.check(Self.options(method))
  }

  @Test("events account for prompt, tokens, passes and rows", arguments: methods)
  func accounting(method: DecodingMethod) async throws {
    let toy = try Self.toy()
    let engineBefore = try toy.makeGenerator()
    var options = Self.options(method)
    options.prefillChunk = 2
    let found = try await Collected(engineBefore.generate([1, 2, 3, 0, 1], options: options))
    let summary = try #require(found.summary)
    let statistics = await engineBefore.statistics
    #expect(summary.forwards == statistics.passes)
    #expect(summary.forwardRows == statistics.rows)
    #expect(found.progress.map(\.processed) == [2, 4, 5])
    #expect(summary.promptTokens == 5)
    #expect(summary.generatedTokens == found.tokens.count)
    #expect(found.text == toy.tokenizer.decode(found.tokens))
    #expect(summary.method == (try options.method().card))
    #expect(summary.guarantee == .approximate)
    if method.listsCandidates {
      let candidate = try #require(summary.candidates?.first)
      #expect(candidate.tokens == found.tokens)
      #expect(candidate.text == found.text)
      #expect(candidate.finishReason == summary.finishReason)
    } else {
      #expect(summary.candidates == nil)
    }
    let emitted = found.steps.flatMap(\.emitted)
    #expect(emitted.prefix(found.tokens.count) == found.tokens[...])
    let coded = try JSONDecoder().decode(
      GenerationSummary.self, from: JSONEncoder().encode(summary))
    #expect(coded == summary)
    #expect(await engineBefore.usedPages == 0)
  }

  @Test(
    "the same request gives the same answer, whatever the chunks of the prompt", arguments: methods)
  func determinism(method: DecodingMethod) async throws {
    let toy = try Self.toy()
    var tokens: Set<[Int32]> = []
    for chunk in [1, 3, 256] {
      var options = Self.options(method)
      (options.prefillChunk, options.sampling.seed) = (chunk, 5)
      tokens.insert(
        try await Collected(toy.makeGenerator().generate([1, 2, 3, 0, 1], options: options)).tokens)
    }
    #expect(tokens.count == 1)
  }

  @Test("a banned token never comes, and a number of tokens is kept to", arguments: methods)
  func limits(method: DecodingMethod) async throws {
    let toy = try Self.toy(endBias: 0)
    let generator = try toy.makeGenerator()
    var options = Self.options(method, maxTokens: 7)
    options.ignoresEndOfText = method != "exact-extract"
    let first = try await Collected(generator.generate([1, 2], options: options))
    #expect(first.tokens.count <= 7)
    let banned = try #require(first.tokens.first)
    options.sampling.logitBias[banned] = -.infinity
    let second = try await Collected(generator.generate([1, 2], options: options))
    #expect(!second.tokens.contains(banned))
    options.maxTokens = 0
    let none = try await Collected(generator.generate([1, 2], options: options))
    #expect(none.tokens.isEmpty)
    #expect(none.summary?.finishReason == .length)
  }

  @Test(
    "a stop string ends the text and is not part of it",
    arguments: methods.filter { $0 != "exact-extract" })
  func stopStrings(method: DecodingMethod) async throws {
    let toy = try Self.toy(endBias: 0)
    let generator = try toy.makeGenerator()
    var options = Self.options(method, maxTokens: 40)
    options.ignoresEndOfText = true
    let free = try await Collected(generator.generate([1, 2], options: options))
    let stop = String(free.text.dropFirst(5).prefix(2))
    options.stopStrings = [stop]
    let found = try await Collected(generator.generate([1, 2], options: options))
    #expect(!found.text.contains(stop))
    for candidate in found.summary?.candidates ?? [] { #expect(!candidate.text.contains(stop)) }
    if !method.listsCandidates {
      #expect(found.summary?.finishReason == .stopString(stop))
      #expect(free.text.hasPrefix(found.text))
    }
  }

  @Test(
    "a full context ends the text",
    arguments: methods.filter { $0 != "exact-extract" && $0 != "superposed" })
  func fullContext(method: DecodingMethod) async throws {
    let toy = try Self.toy(endBias: 0)
    var options = Self.options(method, maxTokens: nil)
    options.ignoresEndOfText = true
    let found = try await Collected(
      toy.makeGenerator(contextLimit: 30).generate([1, 2, 0], options: options))
    #expect(found.summary?.finishReason == .contextFull(limit: 30))
    #expect((27...28).contains(found.tokens.count))
  }

  @Test("a dropped reader ends the search and frees its pages", arguments: methods)
  func cancellation(method: DecodingMethod) async throws {
    let toy = try Self.toy(endBias: 0)
    let generator = try toy.makeGenerator(contextLimit: 4000)
    var options = Self.options(method, maxTokens: 3000)
    options.ignoresEndOfText = method != "exact-extract"
    for try await event in generator.generate([1, 2], options: options) {
      if case .step = event { break }
    }
    for _ in 0..<100_000 where await generator.usedPages > 0 { await Task.yield() }
    #expect(await generator.usedPages == 0)
  }

  @Test("turns of a conversation give what each gives alone", arguments: methods)
  func conversation(method: DecodingMethod) async throws {
    let toy = try Self.toy()
    let generator = try toy.makeGenerator()
    var options = Self.options(method)
    options.sampling.seed = 3
    let id = Generator.ConversationID()
    let prompts: [[Int32]] = [[1, 2, 3], [1, 2, 3, 0, 0], [1, 2, 4]]
    for prompt in prompts {
      let turn = try await Collected(
        generator.generate(prompt, options: options, conversation: id))
      let alone = try await Collected(generator.generate(prompt, options: options))
      #expect(turn.tokens == alone.tokens)
    }
    await generator.forget(id)
    #expect(await generator.usedPages == 0)
  }

  @Test("what a method cannot use is refused before anything runs")
  func refusals() throws {
    func refuses(_ method: DecodingMethod, _ change: (inout GenerationOptions) -> Void) {
      var options = Self.options(method)
      change(&options)
      #expect(throws: GenerationError.self) { try options.validate(vocabularyCount: 100) }
    }
    for method in ["beam", "diverse-beam", "contrastive", "exact-extract"] as [DecodingMethod] {
      refuses(method) { $0.speculation = "copy" }
      refuses(method) { $0.sampling.temperature = 0.7 }
      refuses(method) { $0.sampling.topP = 0.9 }
    }
    refuses("beam") { $0.search.beam.beams = 0 }
    refuses("beam") { $0.search.beam.beams = 513 }
    refuses("beam") { $0.search.beam.lengthPenalty = .nan }
    refuses("beam") { $0.search.results = 5 }
    refuses("diverse-beam") { $0.search.beam.groups = 3 }
    refuses("diverse-beam") { $0.search.beam.diversity = -0.1 }
    refuses("diverse-beam") { $0.search.beam.diversityLength = 0 }
    refuses("contrastive") { $0.search.contrastive.candidates = 0 }
    refuses("contrastive") { $0.search.contrastive.penalty = 1.1 }
    refuses("exact-extract") { $0.search.extraction.longestSpan = 0 }
    refuses("exact-extract") { $0.search.extraction.pathsPerPass = 0 }
  }
}
