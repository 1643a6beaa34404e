import Foretoken
import Testing

@testable import Decoding

extension RealModelTests {
  private func drafted(
    _ model: LanguageModel, _ prompt: [Int32], _ kind: DrafterKind, _ options: GenerationOptions,
    conversation: Generator.ConversationID? = nil
  ) async throws -> Collected {
    var options = options
    options.customDrafter = kind
    options.planner = .off
    return try await Collected(
      model.generator.generate(prompt, options: options, conversation: conversation))
  }

  @Test("STAND writes what plain decoding writes with the same seed")
  func standIsLossless() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    for question in DraftingPrompts.questions.prefix(2) {
      let prompt = try model.encode([ChatMessage(role: "user", content: question)])
      for sampling in [
        SamplingOptions.greedy, .init(temperature: 0.8, topP: 0.95, seed: 11),
        .init(temperature: 1, repetitionPenalty: 1.1, seed: 12),
      ] {
        var options = GenerationOptions(maxTokens: 64, sampling: sampling, speculation: .none)
        let plain = try await Collected(model.generate(tokens: prompt, options: options))
        let conversation = Generator.ConversationID()
        for nodes in [4, 16] {
          options.maximumDraft = nodes
          let found = try await drafted(
            model, prompt, .stand(), options, conversation: conversation)
          #expect(found.tokens == plain.tokens)
          #expect(found.summary?.guarantee == .bitwise)
          // The second time all of it is known.
          if nodes == 16, sampling.repetitionPenalty == 1 {
            #expect(found.steps.count * 3 < plain.steps.count * 2)
          }
        }
        await model.generator.forget(conversation)
      }
    }
  }

  @Test("samples of one prompt become quicker, and more so than where each begins anew")
  func standAcrossSamples() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    var first = DraftCount()
    var last = DraftCount()
    var alone = DraftCount()
    var request = STANDSettings()
    request.sharing = .request
    for question in [2, 14].map({ DraftingPrompts.questions[$0] }) {
      let prompt = try model.encode([ChatMessage(role: "user", content: question)])
      let conversation = Generator.ConversationID()
      for sample in 1...8 {
        let sampling = SamplingOptions(temperature: 0.7, topP: 0.95, seed: UInt64(sample))
        let options = GenerationOptions(maxTokens: 64, sampling: sampling, maximumDraft: 12)
        let found = try await drafted(model, prompt, .stand(), options, conversation: conversation)
        if sample == 1 { first.add(found.steps) }
        if sample == 8 {
          last.add(found.steps)
          let cold = try await drafted(model, prompt, .stand(request), options)
          #expect(cold.tokens == found.tokens)
          alone.add(cold.steps)
        }
      }
      await model.generator.forget(conversation)
    }
    #expect(last.rate - first.rate >= 0.1, "\(first) \(last)")
    #expect(last.rate - alone.rate >= 0.1, "\(alone) \(last)")
  }

  @Test("STAND under rejection keeps the greedy text, and says what it promises otherwise")
  func standRejection() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let prompt = try model.encode([
      ChatMessage(role: "user", content: DraftingPrompts.questions[4])
    ])
    var options = GenerationOptions(maxTokens: 64, verification: .rejection, maximumDraft: 12)
    let greedy = try await drafted(model, prompt, .stand(), options)
    options.speculation = .none
    options.verification = nil
    let plain = try await Collected(model.generate(tokens: prompt, options: options))
    #expect(greedy.tokens == plain.tokens)
    options.verification = .rejection
    options.sampling = SamplingOptions(temperature: 0.8, seed: 3)
    let found = try await drafted(model, prompt, .stand(), options)
    #expect(found.summary?.guarantee == .distribution)
    #expect(found.steps.contains { !$0.accepted.isEmpty })
    #expect(found.steps.contains { $0.outcome == .rejected })
    // The same seed gives the same text again, where the table begins anew.
    #expect(try await drafted(model, prompt, .stand(), options).tokens == found.tokens)
  }
}
