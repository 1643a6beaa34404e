import Foretoken
import TestSupport
import Testing

/// Ends of all kinds inside an accepted draft: everything must be as if each token had been decoded
/// alone.
extension RealModelTests {
  private var model: LanguageModel {
    get async throws { try await LoadedModels.shared.model("smollm2-135m") }
  }

  private func prompt(_ model: LanguageModel, _ text: String) throws -> [Int32] {
    try model.encode([ChatMessage(role: "user", content: text)])
  }

  /// Plain decoding, then the same with a drafter that knows the text.
  private func both(
    _ model: LanguageModel, _ tokens: [Int32], _ options: GenerationOptions, decoys: Int = 1,
    script: [Int32]? = nil
  ) async throws -> (plain: Collected, drafted: Collected) {
    var options = options
    options.speculation = .none
    let plain = try await Collected(model.generate(tokens: tokens, options: options))
    options.planner = .off
    options.customDrafter = ScriptedDrafter.kind(script ?? plain.tokens, decoys: decoys)
    let drafted = try await Collected(model.generate(tokens: tokens, options: options))
    return (plain, drafted)
  }

  private func expectSame(_ plain: Collected, _ drafted: Collected) throws {
    #expect(drafted.tokens == plain.tokens)
    #expect(drafted.text == plain.text)
    #expect(drafted.summary?.finishReason == plain.summary?.finishReason)
    #expect(drafted.summary?.generatedTokens == plain.summary?.generatedTokens)
    let forwards = try #require(drafted.summary?.forwards)
    #expect(forwards < (plain.summary?.forwards ?? 0))
    #expect(drafted.steps.map(\.accepted.count).max() ?? 0 > 1)
  }

  @Test("a known text is accepted whole, whatever the decoys and however it is sampled")
  func scripted() async throws {
    let model = try await model
    let tokens = try prompt(model, "Tell me about the moon.")
    for (decoys, temperature) in [(0, 0.0), (1, 0.0), (2, 0.8), (3, 1.0)] {
      let options = GenerationOptions(
        maxTokens: 60, sampling: .init(temperature: temperature, topP: 0.95, seed: 5),
        ignoresEndOfText: true)
      let (plain, drafted) = try await both(model, tokens, options, decoys: decoys)
      try expectSame(plain, drafted)
      let steps = drafted.steps.dropFirst()
      // A node is kept for every level that fits: 16 nodes make 16 / (decoys + 1) levels.
      let levels = 16 / (decoys + 1)
      #expect(steps.dropLast().allSatisfy { $0.accepted.count == levels }, "\(decoys)")
      #expect(drafted.summary?.acceptedTokens == steps.map(\.accepted.count).reduce(0, +))
    }
  }

  @Test("a drafter that is always wrong costs no text and no pass")
  func alwaysWrong() async throws {
    let model = try await model
    let tokens = try prompt(model, "Tell me about the sea.")
    let options = GenerationOptions(maxTokens: 30, ignoresEndOfText: true)
    var plainly = options
    plainly.speculation = .none
    let plain = try await Collected(model.generate(tokens: tokens, options: plainly))
    let (_, drafted) = try await both(
      model, tokens, options, script: plain.tokens.map { $0 ^ 7 })
    #expect(drafted.tokens == plain.tokens)
    #expect(drafted.summary?.forwards == plain.summary?.forwards)
    #expect(drafted.summary?.acceptedTokens == 0)
    #expect(drafted.steps.dropFirst().dropLast().allSatisfy { $0.outcome == .mismatch })
  }

  @Test("a stop string inside an accepted draft ends the text before it")
  func stopStringInside() async throws {
    let model = try await model
    let tokens = model.tokenizer.encode(
      "1, 2, 3, 4, 5, 6, 7,", addSpecial: true, parseSpecial: false)
    let free = try await Collected(model.generate(tokens: tokens, options: .init(maxTokens: 40)))
    let (plain, drafted) = try await both(
      model, tokens, .init(maxTokens: 40, stopStrings: [", 11"]), script: free.tokens)
    #expect(plain.summary?.finishReason == .stopString(", 11"))
    try expectSame(plain, drafted)
  }

  @Test("an end of text inside a draft ends the generation and is not part of it")
  func endOfTextInside() async throws {
    let model = try await model
    let tokens = try prompt(model, "What is 2+2? Answer with one word.")
    let free = try await Collected(model.generate(tokens: tokens, options: .init(maxTokens: 80)))
    guard case .stopToken(let end) = free.summary?.finishReason else {
      Issue.record("the answer did not end by itself: \(free.text)")
      return
    }
    let beyond = free.tokens + [end] + free.tokens
    let (plain, drafted) = try await both(
      model, tokens, .init(maxTokens: 80), script: beyond)
    try expectSame(plain, drafted)
    #expect(drafted.steps.last?.outcome == .stopped)
  }

  @Test("a maximum of tokens inside a draft is kept to the token", arguments: 1...9)
  func maximumInside(_ count: Int) async throws {
    let model = try await model
    let tokens = try prompt(model, "Tell me about the moon.")
    let free = try await Collected(model.generate(tokens: tokens, options: .init(maxTokens: 20)))
    let (plain, drafted) = try await both(
      model, tokens, .init(maxTokens: count), decoys: 0, script: free.tokens)
    #expect(drafted.tokens == plain.tokens && drafted.tokens.count == count)
    #expect(drafted.summary?.finishReason == .length)
    #expect(drafted.summary?.forwards == (count == 1 ? 1 : 2))
  }

  @Test("a context that fills up inside a draft ends at the same token", arguments: 1...6)
  func contextFullInside(_ room: Int) async throws {
    let url = try await TestModels.path("smollm2-135m")
    let tokens: [Int32] = [504, 3575, 282, 4649, 314]
    let model = try await LanguageModel.load(
      url, options: .init(context: tokens.count + room))
    let free = try await Collected(
      self.model.generate(tokens: tokens, options: .init(maxTokens: 20)))
    let options = GenerationOptions(maxTokens: nil, ignoresEndOfText: true)
    let (plain, drafted) = try await both(
      model, tokens, options, decoys: 0, script: free.tokens)
    #expect(plain.summary?.finishReason == .contextFull(limit: tokens.count + room))
    #expect(drafted.tokens == plain.tokens)
    #expect(drafted.tokens.count == room + 1)
    #expect(drafted.summary?.finishReason == plain.summary?.finishReason)
  }

  @Test("log-probabilities of drafted tokens are those of plain decoding, bit for bit")
  func logProbabilitiesInside() async throws {
    let model = try await model
    let tokens = try prompt(model, "Tell me about the moon.")
    let options = GenerationOptions(
      maxTokens: 40, sampling: .init(temperature: 0.7, seed: 2), logProbabilities: 4)
    let (plain, drafted) = try await both(model, tokens, options)
    try expectSame(plain, drafted)
    #expect(
      drafted.pieces.flatMap { $0.logProbabilities ?? [] }
        == plain.pieces.flatMap { $0.logProbabilities ?? [] })
  }

  @Test("cancelling between the pieces of one step frees the pages")
  func cancelledInside() async throws {
    let model = try await model
    let tokens = try prompt(model, "Tell me about the moon.")
    let free = try await Collected(
      model.generate(tokens: tokens, options: .init(maxTokens: 200, ignoresEndOfText: true)))
    var options = GenerationOptions(maxTokens: 4000, planner: .off)
    options.customDrafter = ScriptedDrafter.kind(free.tokens)
    var pieces = 0
    for try await event in model.generate(tokens: tokens, options: options) {
      if case .text = event { pieces += 1 }
      if pieces == 5 { break }
    }
    try await settle(model)
  }

  @Test("a conversation goes on the same after turns that were drafted")
  func turns() async throws {
    let model = try await model
    let questions = ["Name three rivers.", "Which one is longest?", "Name them again."]
    var answers: [[String]] = []
    for method in [SpeculationMethod.none, "copy"] {
      let session = ChatSession(
        model, options: .init(maxTokens: 40, speculation: method, planner: .off))
      var texts: [String] = []
      for question in questions { texts.append(try await session.respond(to: question)) }
      answers.append(texts)
    }
    #expect(answers[0] == answers[1])
  }
}
