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
      // Trees: the first child is always the target's own choice; only beams may leave its path for
      // likelier ones. Truncation leaves some nodes fewer tokens than siblings wanted.
      options.maximumDraft = 10
      options.draftDepth = 5
      for tree in [TreeMethod.rsdC, .rsdS, .static] {
        options.tree = tree
        options.verification = .coupled
        let grown = try await Collected(model.generate(tokens: prompt, options: options))
        #expect(grown.tokens == plain.tokens)
        let forwards = grown.summary?.forwards ?? 0
        #expect(tree == .rsdS ? (11...13).contains(forwards) : forwards == 11, "\(tree)")
        #expect(
          (8 * (forwards - 1)...10 * (forwards - 1)).contains(grown.summary?.draftedTokens ?? 0))
        #expect(grown.summary?.guarantee == .bitwise)
      }
      options.tree = nil
      options.verification = .spectr
      let transported = try await Collected(model.generate(tokens: prompt, options: options))
      #expect(transported.summary?.method == "spectr")
      #expect((transported.summary?.forwards ?? 99) <= 14)
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

  @Test(
    "trees take one pass a level, from the distributions of their paths, and the cache follows",
    arguments: [0.0, 0.8])
  func treeDistributions(_ temperature: Double) throws {
    let file = try GGUFFile(
      path: ModelStore().resolve("smollm2-135m").url.path(percentEncoded: false))
    let engine = try ForwardEngine(model: try Transformer(file: file), threads: 2)
    let tokenizer = try Tokenizer(file)
    let sampling = SamplingOptions(temperature: temperature, frequencyPenalty: 0.3)
    let vocabulary = tokenizer.vocabularyCount
    let drafter = try DraftModelDrafter(
      DrafterSetup(
        options: GenerationOptions(sampling: sampling, planner: .off), vocabularyCount: vocabulary,
        tokenizer: tokenizer, modelMemory: DrafterMemory(), conversationMemory: DrafterMemory(),
        samplesMemory: DrafterMemory(),
        draftModel: DraftModel(
          name: "small", engine: engine, tokenizer: tokenizer, target: tokenizer)))
    var history: [Int32] = [504, 3575, 282, 4649, 314]
    func context() -> DraftContext {
      DraftContext(
        history: TokenHistory(history), promptCount: 5, sampling: sampling,
        noise: RandomStream(seed: 5, purpose: .draft), needsDistributions: true)
    }
    try drafter.begin(context())
    var warm = sampling
    if sampling.isGreedy { warm.temperature = 1 }
    let processor = try LogitsProcessor(options: warm, vocabularyCount: vocabulary, seed: 0)
    for _ in 0..<3 {
      var tree = TokenTree()
      let before = engine.statistics.passes
      let builder = TreeDrafter(
        drafter, TreeMethod.rsdC.builder(law: .withoutReplacement, usesWholeDepth: true))
      try builder.propose(DraftBudget(nodes: 14, depth: 3), context: context(), into: &tree)
      #expect(engine.statistics.passes - before == 3)
      #expect(tree.count == 14 && tree.depth == 3)
      let inner = [TokenTree.root] + (0..<tree.count).filter { tree.depths[$0] < 2 }
      for node in inner {
        let path = tree.path(to: node)
        let cache = engine.makeCache()
        defer { cache.release() }
        let fresh = try engine.prefill(history + path, into: cache)
        let expected = try path.withUnsafeBufferPointer {
          try processor.withDistribution(
            logits: fresh.logits(0), history: TokenHistory(history), path: $0
          ) { DraftDistribution(tokens: $0, weights: $1) }
        }
        if sampling.isGreedy {
          // Siblings stand in order of probability.
          let first = try #require(tree.firstChild(below: node))
          let best = expected.probabilities.indices.max {
            expected.probabilities[$0] < expected.probabilities[$1]
          }
          #expect(tree.tokens[first] == best.map { expected.tokens[$0] })
          #expect(!tree.isDrawn)
          continue
        }
        let found = try #require(tree.distribution(below: node))
        let mass = found.tokens.reduce(0.0) { sum, token in
          sum
            + (SortedTokens.index(of: token, in: expected.tokens)
              .map { expected.probabilities[$0] } ?? -1)
        }
        #expect(mass > 0.995 && mass <= 1 + 1e-9)
        for (token, probability) in zip(found.tokens, found.probabilities) where probability > 1e-4
        {
          let place = try #require(SortedTokens.index(of: token, in: expected.tokens))
          #expect(abs(probability * mass - expected.probabilities[place]) < 1e-6)
        }
      }
      // The second child of the first node is accepted, then comes something else.
      let child = try #require(tree.firstChild(below: 0).flatMap { tree.sibling(after: $0) })
      history += tree.path(to: child) + [tree.tokens[child] == 99 ? 98 : 99]
    }
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
