import Foretoken
import Foundation
import TestSupport
import Testing

extension RealModelTests {
  /// Speculation under a constraint against plain constrained decoding, token for token.
  @Test(
    "under a grammar, bitwise methods give the tokens of plain constrained decoding",
    arguments: ConstrainedCase.allCases)
  func constrainedLosslessness(_ kase: ConstrainedCase) async throws {
    let url = try await TestModels.path("smollm2-135m")
    // Its own draft model, which knows nothing of the grammar.
    let model = try await LanguageModel.load(url, options: .init(draft: url.path))
    let prompt = try model.encode([ChatMessage(role: "user", content: kase.prompt)])
    let folder = try TemporaryFolder()
    for method in ["medusa", "hydra"] {
      try await RandomHeads.write(method, for: model, to: folder.path(method))
    }
    for sampling in [SamplingOptions.greedy, .init(temperature: 1.5, seed: 21)] {
      var options = GenerationOptions(maxTokens: 64, sampling: sampling, speculation: .none)
      options.constraint = kase.constraint
      let plain = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(try kase.isValid(plain.text, isWhole: plain.summary?.finishReason != .length))
      for (index, method) in LosslessnessHarness.methods.enumerated() {
        options.speculation = method
        options.heads =
          DrafterRegistry.needsHeads(method.rawValue) ? folder.path(method.rawValue) : nil
        options.planner = index.isMultiple(of: 3) ? .on : .off
        options.maximumDraft = [4, 16, 8][index % 3]
        let drafted = try await Collected(model.generate(tokens: prompt, options: options))
        #expect(drafted.tokens == plain.tokens, "\(method.rawValue)")
        #expect(drafted.summary?.finishReason == plain.summary?.finishReason)
      }
      // Wrong drafts beside right ones: what the grammar forbids is pruned before the pass.
      options.customDrafter = ScriptedDrafter.kind(plain.tokens, decoys: 2)
      options.planner = .off
      let scripted = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(scripted.tokens == plain.tokens)
      #expect(scripted.steps.count <= plain.steps.count)
    }
  }

  @Test("tokens that must follow need no pass of their own, and the last text is not lost")
  func forcedTokens() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let letters = "ξξξξξξξξ"
    var options = GenerationOptions(maxTokens: 64, speculation: .none)
    options.constraint = .regex("[ab]\(letters)")
    let plain = try await Collected(model.generate("Write:", options: options))
    #expect(plain.text.hasSuffix(letters) && plain.text.count == letters.count + 1)
    guard case .stopToken? = plain.summary?.finishReason else {
      Issue.record("ended by \(plain.summary?.finishReason as Any)")
      return
    }
    options.customDrafter = ScriptedDrafter.kind([], nodes: 32)
    options.planner = .off
    let drafted = try await Collected(model.generate("Write:", options: options))
    #expect(drafted.tokens == plain.tokens)
    // The prompt's pass, the choice, and one for all that follows from it.
    #expect(drafted.steps.count <= 3)
    #expect(plain.steps.count > 8)
  }

  @Test("samples of one conversation are aligned, and each satisfies the grammar")
  func alignedSamples() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let prompt = model.tokenizer.encode(
      "A random string of five binary digits: ", addSpecial: true, parseSpecial: false)
    let conversation = Generator.ConversationID()
    var texts: [String] = []
    var options = GenerationOptions(maxTokens: 8, speculation: .none)
    options.constraint = .grammar(#"root ::= "00000" | "1" [01] [01] [01] [01]"#)
    options.alignment = .asap
    for seed in 0..<24 {
      options.sampling = .init(temperature: 1, seed: UInt64(seed))
      let run = try await Collected(
        model.generator.generate(prompt, options: options, conversation: conversation))
      #expect(run.summary?.method == "grammar-aligned-decoding")
      #expect(run.summary?.guarantee == .distribution)
      if run.summary?.finishReason == .length { continue }
      texts.append(run.text)
      #expect(run.text == "00000" || (run.text.count == 5 && run.text.hasPrefix("1")))
    }
    #expect(texts.count > 12)
    await model.generator.forget(conversation)
  }
}

/// What is asked, and what the answer has to be.
enum ConstrainedCase: String, CaseIterable, Sendable {
  case schema, list, object

  var prompt: String {
    switch self {
    case .schema: "Invent a person and describe her in JSON with name, age and hobbies."
    case .list: "List three rivers of Europe."
    case .object: "Give me a JSON object that describes a cat."
    }
  }

  var constraint: Constraint {
    switch self {
    case .schema:
      .jsonSchema(
        #"""
        {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20},
         "age": {"type": "integer", "minimum": 1, "maximum": 99},
         "hobbies": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3}},
         "required": ["name", "age", "hobbies"], "additionalProperties": false}
        """#)
    case .list: .grammar(#"root ::= ("- " [A-Z] [a-z]{2,9} "\n"){3}"#)
    case .object: .jsonObject
    }
  }

  /// Checks the text with something else than the constraint's own engine.
  func isValid(_ text: String, isWhole: Bool) throws -> Bool {
    if !isWhole { return true }
    switch self {
    case .list:
      return text.split(separator: "\n").count == 3
        && text.split(separator: "\n").allSatisfy { $0.hasPrefix("- ") && $0.count > 4 }
    case .object: return try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: Any]
    case .schema:
      let person = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
      return person?.count == 3 && person?["name"] is String && person?["hobbies"] is [String]
        && (1...99).contains(person?["age"] as? Int ?? 0)
    }
  }
}
