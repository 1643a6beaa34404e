import Foretoken
import TestSupport
import Testing

@testable import Decoding

extension RealModelTests {
  private var model: LanguageModel {
    get async throws { try await LoadedModels.shared.model("smollm2-135m") }
  }

  @Test("mixed methods, samplings and lengths at the same time give what each gives alone")
  func concurrentMethods() async throws {
    let model = try await model
    let methods: [SpeculationMethod] = ["none", "copy", "recycling", "stand", "jacobi", "auto"]
    var requests: [ToyRequest] = []
    for (index, question) in DraftingPrompts.questions.prefix(12).enumerated() {
      var options = GenerationOptions(
        maxTokens: 16 + 3 * index, speculation: methods[index % methods.count],
        planner: index < 6 ? .off : .on, prefillChunk: index % 3 == 0 ? 8 : 256)
      if index % 2 == 1 {
        options.sampling = .init(temperature: 0.8, topP: 0.95, seed: UInt64(index))
      }
      requests.append(
        ToyRequest(
          try model.encode([ChatMessage(role: "user", content: question)]), options))
    }
    var plain = requests
    for index in plain.indices { plain[index].options.speculation = .none }
    let expected = try await model.generator.answersAlone(plain)
    let before = await model.generator.statistics
    let streams = requests.map { model.generator.generate($0.prompt, options: $0.options) }
    let found = try await model.generator.collect(streams)
    #expect(found.map { Answer($0) } == expected)
    let passes = await model.generator.statistics.passes - before.passes
    let alone = found.reduce(0) { $0 + ($1.summary?.forwards ?? 0) }
    // Twelve of about the same length: few passes are of one alone.
    #expect(passes * 4 < alone, "\(passes) passes for what \(alone) do alone")
    #expect(await model.generator.usedPages == 0)
  }
}
