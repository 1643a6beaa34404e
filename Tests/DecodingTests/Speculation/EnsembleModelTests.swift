import Foretoken
import TestSupport
import Testing

@testable import Decoding

/// `auto` on a real model, every drafter loaded: the draft model is the model itself.
extension RealModelTests {
  private func ensembleModel() async throws -> LanguageModel {
    let url = try await TestModels.path("smollm2-135m")
    return try await LanguageModel.load(
      url, options: .init(draft: url.path(percentEncoded: false)))
  }

  /// The ensemble whose members fail now and then.
  private static func failing(_ seed: Int, share: Double) -> DrafterKind {
    DrafterKind(name: "failing", defaultNodes: 16) { setup in
      let members = DrafterRegistry.ensembleMembers.filter { $0.applies(setup) }
      return EnsembleDrafter(
        try members.enumerated().map { index, member in
          let drafter = FailingDrafter(
            try member.kind.make(setup), in: [.begin, .propose, .observe, .end], share: share,
            seed: UInt64(seed * 16 + index))
          return (drafter, member.mostNodes)
        })
    }
  }

  @Test("auto gives the tokens of plain decoding, whoever of its drafters fails, and says so")
  func ensembleFailures() async throws {
    let model = try await ensembleModel()
    let prompt = try model.encode([
      ChatMessage(
        role: "user", content: "Write the list: apples, pears, plums. Then write it once more.")
    ])
    var warned: Set<String> = []
    for (seed, temperature) in [(1, 0.0), (2, 0.8), (3, 0.0), (4, 0.8)] {
      var options = GenerationOptions(
        maxTokens: 48, sampling: .init(temperature: temperature, seed: 9), ignoresEndOfText: true,
        speculation: .none)
      let plain = try await Collected(model.generate(tokens: prompt, options: options))
      options.speculation = .auto
      let auto = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(auto.tokens == plain.tokens && auto.summary?.warnings.isEmpty == true)
      #expect(auto.summary?.method == "auto" && auto.summary?.guarantee == .bitwise)
      options.customDrafter = Self.failing(seed, share: 0.04)
      let failed = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(failed.tokens == plain.tokens)
      #expect(failed.summary?.warnings == failed.warnings)
      let names = failed.warnings.map(\.drafter)
      #expect(Set(names).count == names.count)
      warned.formUnion(names)
      options.planner = .off
      let unplanned = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(unplanned.tokens == plain.tokens)
    }
    #expect(warned.count > 2, "\(warned)")
  }

  @Test("a drafter that fails is dropped, and the generation goes on plainly with the same text")
  func singleFailure() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let prompt = model.tokenizer.encode("1, 2, 3, 4, 5,", addSpecial: true, parseSpecial: false)
    var options = GenerationOptions(maxTokens: 30, speculation: .none, planner: .off)
    let plain = try await Collected(model.generate(tokens: prompt, options: options))
    for stage in [GenerationWarning.Stage.begin, .propose, .observe, .end] {
      options.customDrafter = DrafterKind(name: "scripted", defaultNodes: 4) { _ in
        FailingDrafter(ScriptedDrafter(plain.tokens, decoys: 0), in: [stage])
      }
      let found = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(found.tokens == plain.tokens && found.text == plain.text)
      let warning = GenerationWarning(drafter: "scripted", stage: stage, reason: "told to fail")
      #expect(found.warnings == [warning] && found.summary?.warnings == [warning])
      #expect(warning.message.contains("told to fail"))
      let drafted = found.steps.contains { !$0.draftTokens.isEmpty }
      #expect(drafted == (stage == .end), "\(stage)")
    }
  }

  @Test("auto keeps the distribution's guarantee under rejection, and its text when greedy")
  func ensembleRejection() async throws {
    let model = try await ensembleModel()
    let prompt = model.tokenizer.encode("1, 2, 3, 4, 5,", addSpecial: true, parseSpecial: false)
    var options = GenerationOptions(maxTokens: 40, speculation: .none)
    let plain = try await Collected(model.generate(tokens: prompt, options: options))
    options.speculation = .auto
    options.verification = .rejection
    let greedy = try await Collected(model.generate(tokens: prompt, options: options))
    #expect(greedy.tokens == plain.tokens)
    options.sampling = .init(temperature: 0.8, seed: 3)
    let sampled = try await Collected(model.generate(tokens: prompt, options: options))
    #expect(sampled.summary?.guarantee == .distribution)
    #expect(sampled.tokens.count > 1 && sampled.warnings.isEmpty)
  }

  @Test("each step says who was asked, what was expected and what else could have been run")
  func explanations() async throws {
    let model = try await ensembleModel()
    let prompt = model.tokenizer.encode(
      "red green blue red green blue red green blue red", addSpecial: true, parseSpecial: false)
    var options = GenerationOptions(maxTokens: 32, ignoresEndOfText: true)
    options.explainsDrafts = true
    let found = try await Collected(model.generate(tokens: prompt, options: options))
    let steps = found.steps.dropFirst()
    for step in steps {
      let plan = try #require(step.plan)
      #expect(
        plan.members.map(\.drafter)
          == ["copy", "input", "recycling", "aded", "draft-model"])
      #expect(
        plan.chosen.nodes == step.draftTokens.count && step.draftTokens.count <= plan.proposed)
      #expect(plan.chosen.expectedTokens >= 1 && plan.plainMicroseconds > 0)
      for member in plan.members {
        #expect(member.kept <= member.proposed)
        #expect(member.wasAsked || member.note != nil, "\(member)")
      }
      guard let proposers = step.draftProposers else { continue }
      for (index, member) in plan.members.enumerated() {
        #expect(proposers.count { $0 & 1 << UInt32(index) != 0 } == member.kept)
      }
    }
    #expect(steps.contains { !$0.draftTokens.isEmpty })
    options.explainsDrafts = false
    let quiet = try await Collected(model.generate(tokens: prompt, options: options))
    #expect(quiet.tokens == found.tokens && quiet.steps.allSatisfy { $0.plan == nil })
  }
}
