import Foretoken
import TestSupport
import Testing

/// A method beside plain decoding, on a real model: the tokens must be the same.
struct PlainComparison {
  /// Tokens of a pass after the prompt's, a stop token included.
  let tokensPerForward: Double
  /// Nodes of a pass after the prompt's.
  let draftedPerForward: Double

  /// Generates twice, without the planner, and compares.
  @discardableResult
  init(
    _ model: LanguageModel, raw: String, tokens: Int, _ kind: DrafterKind, temperature: Double = 0,
    prediction: String? = nil, budget: Int? = nil
  ) async throws {
    let prompt = model.tokenizer.encode(raw, addSpecial: true, parseSpecial: false)
    try await self.init(
      model, prompt: prompt, tokens: tokens, kind, temperature: temperature,
      prediction: prediction, budget: budget)
  }

  /// The same for a message in the model's chat template.
  @discardableResult
  init(
    _ model: LanguageModel, chat: String, tokens: Int, _ kind: DrafterKind,
    temperature: Double = 0, prediction: String? = nil, budget: Int? = nil
  ) async throws {
    let prompt = try model.encode([ChatMessage(role: "user", content: chat)])
    try await self.init(
      model, prompt: prompt, tokens: tokens, kind, temperature: temperature,
      prediction: prediction, budget: budget)
  }

  private init(
    _ model: LanguageModel, prompt: [Int32], tokens: Int, _ kind: DrafterKind,
    temperature: Double, prediction: String?, budget: Int?
  ) async throws {
    var options = GenerationOptions(
      maxTokens: tokens, sampling: .init(temperature: temperature, seed: 11),
      speculation: .none, prediction: prediction, maximumDraft: budget, planner: .off)
    let plain = try await Collected(model.generate(tokens: prompt, options: options))
    options.customDrafter = kind
    let drafted = try await Collected(model.generate(tokens: prompt, options: options))
    #expect(drafted.tokens == plain.tokens, "\(kind.name), temperature \(temperature)")
    #expect(drafted.summary?.finishReason == plain.summary?.finishReason)
    let steps = drafted.steps.dropFirst()
    let count = Double(max(steps.count, 1))
    tokensPerForward = Double(steps.map(\.emitted.count).reduce(0, +)) / count
    draftedPerForward = Double(steps.map(\.draftTokens.count).reduce(0, +)) / count
  }

  /// Tokens per pass, averaged over prompts; each also compared with plain decoding.
  static func mean(
    _ model: LanguageModel, _ sample: [SpecBenchSample.Prompt], tokens: Int, _ kind: DrafterKind
  ) async throws -> Double {
    var sum = 0.0
    for prompt in sample {
      sum += try await PlainComparison(model, chat: prompt.prompt, tokens: tokens, kind)
        .tokensPerForward
    }
    return sum / Double(sample.count)
  }
}

/// Some prompts of Spec-Bench.
struct SpecBenchSample: Decodable {
  struct Prompt: Decodable {
    let id: Int
    let category: String
    let prompt: String
  }
  let prompts: [Prompt]

  /// Those of some categories; all if none is named.
  static func load(_ categories: [String] = []) throws -> [Prompt] {
    try Goldens.load(SpecBenchSample.self, "spec_bench_sample").prompts
      .filter { categories.isEmpty || categories.contains($0.category) }
  }
}
