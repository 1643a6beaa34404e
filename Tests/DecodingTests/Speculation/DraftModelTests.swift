import Compute
import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding
@testable import Transformers

extension RealModelTests {
  /// SmolLM2 drafting for itself: every draft is right, so that what is counted is exact.
  private func twins() async throws -> LanguageModel {
    let url = try await TestModels.path("smollm2-135m")
    return try await LanguageModel.load(url, options: .init(draft: url.path))
  }

  @Test("a draft model that is the target is right with every token, greedy and sampled")
  func selfDraft() async throws {
    let model = try await twins()
    let prompt = try model.encode([ChatMessage(role: "user", content: "Tell me about the moon.")])
    for sampling in [
      SamplingOptions.greedy, SamplingOptions(temperature: 0.8, topP: 0.95, seed: 3),
      SamplingOptions(temperature: 1, repetitionPenalty: 1.2, seed: 4),
    ] {
      var options = GenerationOptions(
        maxTokens: 61, sampling: sampling, ignoresEndOfText: true, speculation: .none)
      let plain = try await Collected(model.generate(tokens: prompt, options: options))
      options.speculation = "draft-model"
      options.planner = .off
      options.maximumDraft = 5
      let drafted = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(drafted.tokens == plain.tokens)
      // The prompt's pass gives one token, ten passes give six each.
      #expect(drafted.summary?.forwards == 11)
      #expect(drafted.summary?.acceptedTokens == 50)
      #expect(drafted.summary?.method == "draft-model")
      #expect(drafted.summary?.guarantee == .bitwise)
      // Distributions that are the target's are never rejected.
      options.verification = .rejection
      let tested = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(tested.summary?.forwards == 11)
      #expect(tested.steps.allSatisfy { $0.accepted.count == $0.draftTokens.count })
      #expect(tested.summary?.guarantee == (sampling.isGreedy ? .bitwise : .distribution))
    }
    #expect(await model.generator.usedPages == 0)
  }

  @Test("the draft model follows a conversation, and another one beside it")
  func draftedConversations() async throws {
    let model = try await twins()
    var drafting = GenerationOptions(maxTokens: 24, speculation: "draft-model", planner: .off)
    drafting.maximumDraft = 4
    var plain = drafting
    plain.speculation = .none
    let sessions = (
      ChatSession(model, options: plain), ChatSession(model, options: drafting),
      ChatSession(model, options: drafting)
    )
    for question in ["Name a river.", "Where is it?", "Name another one."] {
      let expected = try await sessions.0.respond(to: question)
      async let other = sessions.2.respond(to: "What is \(question.count) + 1?")
      #expect(try await sessions.1.respond(to: question) == expected)
      _ = try await other
    }
  }

  @Test("the draft model's cache follows: one row after a rejection, two after a full acceptance")
  func draftSequence() throws {
    let file = try GGUFFile(
      path: ModelStore().resolve("smollm2-135m").url.path(percentEncoded: false))
    let engine = try ForwardEngine(model: try Transformer(file: file), threads: 2)
    let sequence = DraftSequence(engine)
    var history: [Int32] = [504, 3575, 282, 4649, 314]
    func expectSameAsFresh(_ logits: UnsafeBufferPointer<Float>) throws {
      let found = Array(logits)
      let cache = engine.makeCache()
      defer { cache.release() }
      let fresh = try engine.prefill(history, into: cache)
      #expect(found == Array(fresh.logits(0)))
    }
    func rows(_ body: () throws -> Void) rethrows -> Int {
      let before = engine.statistics.rows
      try body()
      return engine.statistics.rows - before
    }
    #expect(sequence.missing(history) == 5)
    #expect(try rows { _ = try sequence.follow(history) } == 5)
    try expectSameAsFresh(try sequence.follow(history))
    func draft(_ tokens: [Int32]) throws {
      _ = try sequence.follow(history)
      for (index, token) in tokens.dropLast().enumerated() {
        _ = try sequence.extend([(token, parent: index - 1)])
      }
    }
    // Full acceptance: the last drafted token was never run, and the target's own is new.
    try draft([7, 8, 9])
    history += [7, 8, 9, 10]
    #expect(sequence.missing(history) == 2)
    #expect(try rows { _ = try sequence.follow(history) } == 2)
    try expectSameAsFresh(try sequence.follow(history))
    // Rejected at the second: the first stays, the target's own token is run.
    try draft([11, 12, 13])
    history += [11, 99]
    #expect(sequence.missing(history) == 1)
    #expect(try rows { _ = try sequence.follow(history) } == 1)
    try expectSameAsFresh(try sequence.follow(history))
    // Plain steps in between are caught up on; another prompt is followed from where it parts.
    history += [20, 21, 22, 23]
    #expect(sequence.missing(history) == 4)
    try expectSameAsFresh(try sequence.follow(history))
    sequence.beginGeneration()
    history = Array(history.prefix(6)) + [55, 56]
    #expect(sequence.missing(history) == 2)
    try expectSameAsFresh(try sequence.follow(history))
    #expect(!sequence.canHold(history + [Int32(engine.model.configuration.vocabularyCount)]))
  }

  @Test("a real pair: the 0.5B model drafts for the 1.5B one, with the same tokens")
  func realPair() async throws {
    let url = try await TestModels.path("qwen2.5-coder-1.5b")
    let model = try await LanguageModel.load(
      url, options: .init(draft: "qwen2.5-coder-0.5b"))
    let prompt = try model.encode([
      ChatMessage(role: "user", content: "Write a Python function that adds two numbers.")
    ])
    for temperature in [0.0, 0.8] {
      var options = GenerationOptions(
        maxTokens: 40, sampling: .init(temperature: temperature, seed: 9), speculation: .none)
      let plain = try await Collected(model.generate(tokens: prompt, options: options))
      options.speculation = "draft-model"
      for planner in PlannerMode.allCases {
        options.planner = planner
        let drafted = try await Collected(model.generate(tokens: prompt, options: options))
        #expect(drafted.tokens == plain.tokens)
        let summary = try #require(drafted.summary)
        if planner == .off {
          #expect(2 * summary.forwards < summary.generatedTokens, "\(summary.forwards)")
        }
      }
    }
  }

  @Test("models of different vocabularies are refused, and the error says what differs first")
  func differentVocabulary() async throws {
    let url = try await TestModels.path("smollm2-135m")
    let error = await #expect(throws: DraftModelError.self) {
      try await LanguageModel.load(url, options: .init(draft: "qwen2.5-coder-0.5b"))
    }
    let text = try #require(error?.description)
    #expect(text.contains("token 0 is control \"<|endoftext|>\" in one, \"!\" in the other"))
    #expect(text.contains("--draft MODEL"))
  }

  @Test("drafting with a model needs one")
  func missingDraftModel() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let options = GenerationOptions(maxTokens: 4, speculation: "draft-model")
    let error = await #expect(throws: DraftModelError.missing) {
      try await Collected(model.generate("Hello", options: options))
    }
    #expect(error?.description.contains("--draft MODEL") == true)
  }

  @Test("measuring costs leaves no trace in counts and pages, and one file for a model and machine")
  func measuring() async throws {
    let folder = try TemporaryFolder()
    let url = try await TestModels.path("smollm2-135m")
    let store = ModelStore(root: folder.url)
    let costs = folder.url.appending(path: "costs")
    func run(_ planner: PlannerMode) async throws {
      let model = try await LanguageModel.load(url, store: store)
      var options = GenerationOptions(maxTokens: 30, ignoresEndOfText: true, planner: planner)
      options.customDrafter = ScriptedDrafter.kind([])
      let found = try await Collected(model.generate("One, two,", options: options))
      #expect(await model.generator.statistics.passes == found.summary?.forwards)
      #expect(await model.generator.statistics.rows == found.summary?.forwardRows)
      #expect(await model.generator.usedPages == 0)
    }
    try await run(.off)
    #expect(!FileManager.default.fileExists(atPath: costs.path))
    try await run(.on)
    let files = try FileManager.default.contentsOfDirectory(atPath: costs.path)
    #expect(files.count == 1)
    try await run(.on)
    #expect(try FileManager.default.contentsOfDirectory(atPath: costs.path) == files)
    let key = CostCurveKey(file: url, threads: WorkerPool.defaultWorkers, kv: .f16)
    let curve = try #require(CostCurveStore(folder: costs, key: key).load())
    #expect(curve.points.count >= 2)
    #expect(curve.microseconds(rows: 16) >= curve.microseconds(rows: 1))
  }
}
