import Foretoken
import Testing

@testable import Decoding

extension RealModelTests {
  @Test(
    "Jacobi iteration writes what plain decoding writes, for every window and filling",
    arguments: [2, 4, 8, 16])
  func jacobiIsLossless(_ window: Int) async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let answers = try await DraftingPrompts.answers(model, maxTokens: 96)
    for (index, padding) in JacobiSettings.Padding.allCases.enumerated() {
      var settings = JacobiSettings()
      settings.padding = padding
      var count = DraftCount()
      for answer in answers[(2 * index)..<(2 * index + 2)] {
        var options = GenerationOptions(maxTokens: 48, maximumDraft: window - 1, planner: .off)
        options.customDrafter = .jacobi(settings)
        let found = try await Collected(model.generate(tokens: answer.prompt, options: options))
        #expect(found.tokens == Array(answer.tokens.prefix(48)))
        #expect(found.steps.count <= found.tokens.count + 1)
        count.add(found.steps)
      }
      if padding == .pool, window > 2 { #expect(count.rate > 1, "\(count)") }
    }
  }

  @Test("sampled text settles like greedy text, under the noise of its positions")
  func jacobiSampled() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    for (seed, question) in DraftingPrompts.questions.prefix(2).enumerated() {
      let prompt = try model.encode([ChatMessage(role: "user", content: question)])
      let sampling = SamplingOptions(
        temperature: 0.8, topK: 40, topP: 0.95, presencePenalty: 0.2, seed: UInt64(seed))
      var options = GenerationOptions(maxTokens: 64, sampling: sampling, speculation: .none)
      let plain = try await Collected(model.generate(tokens: prompt, options: options))
      options.speculation = "jacobi"
      options.maximumDraft = 7
      options.planner = .off
      let found = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(found.tokens == plain.tokens)
      #expect(found.steps.count <= plain.steps.count)
      #expect(found.summary?.guarantee == .bitwise)
      options.verification = .rejection
      let tested = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(tested.summary?.guarantee == .distribution)
      #expect(tested.steps.contains { !$0.accepted.isEmpty })
    }
  }
}
