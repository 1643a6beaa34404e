import Foretoken
import TestSupport
import Testing

extension RealModelTests {
  private var model: LanguageModel {
    get async throws { try await LoadedModels.shared.model("smollm2-135m") }
  }

  @Test("the example of the documentation writes text")
  func example() async throws {
    let model = try await model
    var text = ""
    for try await event in model.generate(
      "The capital of France is", options: .init(maxTokens: 8, speculation: .auto))
    {
      if case .text(let piece) = event { text += piece.text }
    }
    #expect(text.hasPrefix(" Paris"))
  }

  @Test("the same seed gives the same text for any thread count and prefill chunk")
  func seeds() async throws {
    let url = try await TestModels.path("smollm2-135m")
    let prompt =
      "Once upon a time, in a small village by the sea, there lived an old fisherman "
      + "who told stories to the children every evening. His favourite story was the one about"
    var texts: Set<String> = []
    for threads in [1, 2] {
      let model = try await LanguageModel.load(url, options: .init(threads: threads))
      for chunk in [1, 7, 64, 512] {
        let options = GenerationOptions(
          maxTokens: 40, sampling: .init(temperature: 0.8, topP: 0.95, seed: 7),
          prefillChunk: chunk)
        texts.insert(try await Collected(model.generate(prompt, options: options)).text)
      }
      var other = GenerationOptions(maxTokens: 40, sampling: .init(temperature: 0.8, seed: 8))
      other.sampling.topP = 0.95
      let different = try await Collected(model.generate(prompt, options: other)).text
      #expect(!texts.contains(different))
    }
    #expect(texts.count == 1)
  }

  @Test("an unseeded sample can be had again with the seed that its summary reports")
  func reportedSeed() async throws {
    let model = try await model
    var options = GenerationOptions(maxTokens: 20, sampling: .init(temperature: 1))
    let first = try await Collected(model.generate("A poem:", options: options))
    options.sampling.seed = first.summary?.seed
    #expect(try await Collected(model.generate("A poem:", options: options)).text == first.text)
  }

  @Test("events account for the prompt, every token and every pass")
  func accounting() async throws {
    let model = try await model
    let tokens = model.tokenizer.encode(
      "1, 2, 3, 4, 5, 6, 7,", addSpecial: true, parseSpecial: false)
    let found = try await Collected(
      model.generate(
        tokens: tokens,
        options: .init(maxTokens: 12, logProbabilities: 3, speculation: .none, prefillChunk: 8)))
    let summary = try #require(found.summary)
    let chunks = (tokens.count + 7) / 8
    #expect(found.progress.map(\.processed) == (1...chunks).map { min($0 * 8, tokens.count) })
    #expect(summary.promptTokens == tokens.count)
    #expect(summary.generatedTokens == 12)
    #expect(summary.finishReason == .length)
    #expect(summary.forwards == chunks + 11)
    #expect(summary.forwardRows == tokens.count + 11)
    #expect(summary.method == "none")
    #expect(summary.guarantee == .bitwise)
    #expect(found.steps.flatMap(\.emitted) == found.tokens)
    #expect(found.steps.map(\.position) == (0..<12).map { tokens.count + $0 })
    #expect(found.text == model.tokenizer.decode(found.tokens))
    for piece in found.pieces {
      let entries = try #require(piece.logProbabilities)
      #expect(entries.map(\.chosen.token) == piece.tokens)
      // Greedy: the chosen token is the likeliest.
      for entry in entries { #expect(entry.top.count == 3 && entry.top[0] == entry.chosen) }
    }
  }

  @Test("a stop string ends the text before it")
  func stopString() async throws {
    let model = try await model
    let prompt = "1, 2, 3, 4, 5, 6, 7,"
    let free = try await Collected(model.generate(prompt, options: .init(maxTokens: 24))).text
    let cut = try #require(free.range(of: ", 11"))
    let found = try await Collected(
      model.generate(prompt, options: .init(maxTokens: 24, stopStrings: ["zzz", ", 11"])))
    #expect(found.text == String(free[..<cut.lowerBound]))
    #expect(found.summary?.finishReason == .stopString(", 11"))
  }

  @Test("a stop token ends the text, and ignoring the model's own lets it go on")
  func stopTokens() async throws {
    let model = try await model
    let question = [ChatMessage(role: "user", content: "What is 2+2? Answer with one word.")]
    let answer = try await Collected(model.chat(question, options: .init(maxTokens: 100)))
    guard case .stopToken(let end) = answer.summary?.finishReason else {
      Issue.record("the answer did not end by itself: \(answer.text)")
      return
    }
    #expect(model.tokenizer.isEndOfGeneration(end))
    #expect(!answer.tokens.contains(end))
    let endless = try await Collected(
      model.chat(
        question, options: .init(maxTokens: answer.tokens.count + 5, ignoresEndOfText: true)))
    #expect(endless.tokens.count == answer.tokens.count + 5)
    #expect(endless.tokens.starts(with: answer.tokens))
    let third = answer.tokens[2]
    let stopped = try await Collected(model.chat(question, options: .init(stopTokens: [third])))
    #expect(stopped.tokens == Array(answer.tokens.prefix { $0 != third }))
    #expect(stopped.summary?.finishReason == .stopToken(third))
  }

  @Test("cancelling or dropping a generation frees its pages")
  func cancellation() async throws {
    let model = try await model
    #expect(await model.generator.usedPages == 0)
    for try await event in model.generate("Once upon a time", options: .init(maxTokens: 4000)) {
      if case .step = event { break }
    }
    try await settle(model)
    let task = Task {
      for try await _ in model.generate("Once upon a time", options: .init(maxTokens: 4000)) {}
    }
    task.cancel()
    _ = await task.result
    try await settle(model)
  }

  /// Waits until the engine has no pages in use: a later generation's end comes after the one
  /// before was given up.
  func settle(_ model: LanguageModel) async throws {
    for _ in 0..<1000 where await model.generator.usedPages > 0 { await Task.yield() }
    #expect(await model.generator.usedPages == 0)
  }

  @Test("what cannot be generated is an error before the first event")
  func refusals() async throws {
    let model = try await model
    await #expect(
      throws: GenerationError.promptTooLong(
        tokens: model.contextLimit + 1, limit: model.contextLimit)
    ) {
      _ = try await Collected(
        model.generate(tokens: Array(repeating: 100, count: model.contextLimit + 1)))
    }
    await #expect(throws: GenerationError.emptyPrompt) {
      _ = try await Collected(model.generate(tokens: []))
    }
    await #expect(throws: ForwardError.self) {
      _ = try await Collected(model.generate(tokens: [-1]))
    }
    await #expect(throws: MethodError.self) {
      _ = try await Collected(
        model.generate("Hello", options: .init(speculation: "chimera")))
    }
    await #expect(throws: SamplingError.self) {
      _ = try await Collected(
        model.generate("Hello", options: .init(sampling: .init(temperature: -1))))
    }
    #expect(await model.generator.usedPages == 0)
  }

  @Test("generation up to the end of the context stops there and says so")
  func fullContext() async throws {
    let model = try await LanguageModel.load(
      try await TestModels.path("smollm2-135m"), options: .init(context: 24))
    let found = try await Collected(
      model.generate(
        "The history of the city begins", options: .init(maxTokens: nil, ignoresEndOfText: true)))
    let summary = try #require(found.summary)
    #expect(summary.finishReason == .contextFull(limit: 24))
    // The last token needs no room: it is not run.
    #expect(summary.promptTokens + summary.generatedTokens == 25)
    await #expect(throws: LanguageModelError.self) {
      try await LanguageModel.load(
        try await TestModels.path("smollm2-135m"), options: .init(context: 10_000_000))
    }
  }

  @Test("generations at the same time give what each gives alone")
  func concurrent() async throws {
    let model = try await model
    let prompts = ["The capital of France is", "def add(a, b):", "Once upon a time"]
    let options = GenerationOptions(maxTokens: 24, sampling: .init(temperature: 0.7, seed: 3))
    var alone: [String] = []
    for prompt in prompts {
      alone.append(try await Collected(model.generate(prompt, options: options)).text)
    }
    let together = try await withThrowingTaskGroup(of: (Int, String).self) { group in
      for (index, prompt) in prompts.enumerated() {
        group.addTask {
          (index, try await Collected(model.generate(prompt, options: options)).text)
        }
      }
      var texts = [String](repeating: "", count: prompts.count)
      for try await (index, text) in group { texts[index] = text }
      return texts
    }
    #expect(together == alone)
  }

  @Test("a turn of a chat runs only what is new, and answers as without the cache")
  func chatReuse() async throws {
    let model = try await model
    let options = GenerationOptions(maxTokens: 24)
    let session = ChatSession(model, instructions: "You are terse.", options: options)
    _ = try await session.respond(to: "Name a colour.")
    let before = await session.messages
    #expect(before.map(\.role) == ["system", "user", "assistant"])
    let second = try await Collected(session.events(replyingTo: "Name another one."))
    let summary = try #require(second.summary)
    #expect(summary.reusedTokens > 20)
    let fresh = try await Collected(
      model.chat(
        before + [ChatMessage(role: "user", content: "Name another one.")],
        options: options))
    #expect(fresh.text == second.text)
    #expect(fresh.summary?.reusedTokens == 0)
    #expect(await session.messages.last?.content == second.text)
  }

  @Test("asking again ends the answer before, and keeps what there is of it")
  func interruptedTurn() async throws {
    let model = try await model
    let session = ChatSession(model, options: .init(maxTokens: 2000, ignoresEndOfText: true))
    var partial = ""
    for try await event in await session.events(replyingTo: "Count to one thousand.") {
      if case .text(let piece) = event { partial += piece.text }
      if partial.count > 20 { break }
    }
    await session.setOptions(.init(maxTokens: 4))
    #expect(try await session.respond(to: "Stop. Say hello.") != "")
    let messages = await session.messages
    #expect(messages.map(\.role) == ["user", "assistant", "user", "assistant"])
    #expect(messages[1].content == partial)
  }
}
