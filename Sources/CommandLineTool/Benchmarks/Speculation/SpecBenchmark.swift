import Foretoken

/// Runs every prompt through plain decoding and through each method, one right after the other, so
/// that what else the machine does hits all of them.
struct SpecBenchmark: Sendable {
  let settings: SpecSettings
  let prompts: [BenchPrompt]
  /// Loads a model by name.
  let load: @Sendable (String) async throws -> LanguageModel
  /// Measures the passes of a model.
  let measureCost: @Sendable (LanguageModel) async throws -> RelativeCost
  private let clock = ContinuousClock()

  init(
    settings: SpecSettings, prompts: [BenchPrompt],
    load: @escaping @Sendable (String) async throws -> LanguageModel,
    measureCost: @escaping @Sendable (LanguageModel) async throws -> RelativeCost
  ) {
    self.settings = settings
    self.prompts = prompts
    self.load = load
    self.measureCost = measureCost
  }

  /// Measures what `state` does not hold yet.
  /// - Throws: errors of the models, `InputError` for the state, `CancellationError`.
  func run(_ state: SpecState) async throws {
    let progress = ProgressLine()
    defer { progress.clear() }
    let total = settings.models.count * settings.temperatures.count * prompts.count
    let start = clock.now
    let before = state.cells.count
    for name in settings.models {
      guard !isDone(name, state) else { continue }
      progress.clear()
      let model = try await load(name)
      if state.costs[name] == nil { try state.append(try await measureCost(model), of: name) }
      try await warmUp(model)
      for (index, prompt) in prompts.enumerated() {
        for temperature in settings.temperatures
        where !state.has(model: name, temperature: temperature, prompt: prompt.id) {
          let done = state.cells.count
          progress.show(
            .init(
              phase: "\(name), temperature \(readable(temperature))",
              fraction: Double(done) / Double(total),
              detail: "\(done) of \(total)" + eta(start, done - before, total - done)))
          try state.append(
            try await cell(prompt, model, temperature, isReversed: index % 2 == 1))
        }
      }
    }
  }

  private func isDone(_ name: String, _ state: SpecState) -> Bool {
    settings.temperatures.allSatisfy { temperature in
      prompts.allSatisfy { state.has(model: name, temperature: temperature, prompt: $0.id) }
    }
  }

  private func eta(_ start: ContinuousClock.Instant, _ done: Int, _ left: Int) -> String {
    guard done > 0 else { return "" }
    let seconds = start.duration(to: clock.now) / .seconds(1)
    return ", \(readableTime(seconds: seconds / Double(done) * Double(left))) left"
  }

  /// The first pages of the weights come from the disk: not in anybody's time.
  private func warmUp(_ model: LanguageModel) async throws {
    let options = GenerationOptions(maxTokens: 8, speculation: .none)
    for try await _ in model.generate("Hello", options: options) {}
    try Task.checkCancellation()
  }

  // MARK: One prompt

  /// - Parameter isReversed: runs the methods in reverse and plain decoding last, so that neither
  ///   always has the cooler machine.
  private func cell(
    _ prompt: BenchPrompt, _ model: LanguageModel, _ temperature: Double, isReversed: Bool
  ) async throws -> SpecCell {
    var cell = SpecCell(
      model: model.reference, temperature: temperature, prompt: prompt.id,
      category: prompt.category)
    let order =
      [SpecVariant.plain] + settings.variants.filter { $0.isRun(at: temperature) }
    var tokens: [SpecVariant: [Int32]] = [:]
    // Trees share the models' reading of the prompt, so that more of the time goes into what is
    // compared.
    let shared = settings.suite == .trees ? Generator.ConversationID() : nil
    do {
      if let shared, let first = settings.variants.first {
        _ = try await answer(prompt, first, model, temperature, in: shared, limit: 4)
      }
      for variant in isReversed ? order.reversed() : order {
        let (run, output) = try await answer(prompt, variant, model, temperature, in: shared)
        cell.runs.append(run)
        tokens[variant] = output
      }
    } catch let error as GenerationError {
      guard case .promptTooLong = error else { throw error }
      cell.skipped = "\(error)"
      if let shared { await model.generator.forget(shared) }
      return cell
    }
    if let shared { await model.generator.forget(shared) }
    let reference = tokens[.plain] ?? []
    for index in cell.runs.indices where cell.runs[index].guarantee == .bitwise {
      let output = tokens[cell.runs[index].variant] ?? []
      if output != reference {
        cell.runs[index].mismatch = zip(output, reference).prefix { $0 == $1 }.count
      }
    }
    return cell
  }

  /// All turns of a prompt, as one conversation.
  ///
  /// - Parameters:
  ///   - shared: a conversation that others have had before, which is kept; nil for one of its own.
  ///   - limit: most tokens of a turn; nil for what the settings say.
  private func answer(
    _ prompt: BenchPrompt, _ variant: SpecVariant, _ model: LanguageModel, _ temperature: Double,
    in shared: Generator.ConversationID? = nil, limit: Int? = nil
  ) async throws -> (SpecRun, [Int32]) {
    let conversation = shared ?? Generator.ConversationID()
    var run = SpecRun(variant: variant)
    var output: [Int32] = []
    var messages: [ChatMessage] = []
    do {
      for turn in prompt.turns {
        messages.append(ChatMessage(role: "user", content: turn))
        var options = options(variant, temperature)
        options.maxTokens = limit ?? options.maxTokens
        let events = model.generator.generate(
          try encode(messages, model), options: options,
          conversation: conversation,
          // Each method learns from its own runs at this temperature and from no other's.
          memory: "bench \(variant.name) \(temperature)")
        messages.append(
          ChatMessage(role: "assistant", content: try await take(events, &run, &output)))
      }
    } catch {
      await model.generator.forget(conversation)
      throw error
    }
    if shared == nil { await model.generator.forget(conversation) }
    return (run, output)
  }

  private func take(
    _ events: AsyncThrowingStream<GenerationEvent, any Error>, _ run: inout SpecRun,
    _ output: inout [Int32]
  ) async throws -> String {
    var text = ""
    var isFirst = true
    for try await event in events {
      switch event {
      case .step(let step):
        if !isFirst { run.steps.append(SpecStep(step)) }
        isFirst = false
      case .text(let piece):
        text += piece.text
        output += piece.tokens
      case .finish(let summary):
        run.guarantee = min(run.guarantee, summary.guarantee)
        run.tokens += max(0, summary.generatedTokens - 1)
        run.decodeMilliseconds += summary.decodeMilliseconds
        run.drafted += summary.draftedTokens
        run.accepted += summary.acceptedTokens
      case .prompt, .warning: break
      }
    }
    try Task.checkCancellation()
    return text
  }

  private func options(_ variant: SpecVariant, _ temperature: Double) -> GenerationOptions {
    var options = GenerationOptions(
      maxTokens: settings.maxTokens,
      sampling: SamplingOptions(temperature: temperature, seed: settings.seed),
      speculation: SpeculationMethod(rawValue: variant.method), planner: variant.planner)
    if variant != .plain {
      options.verification = settings.verification
      options.maximumDraft = settings.maxDraft
    }
    variant.tree?.apply(to: &options)
    return options
  }

  /// The conversation in the model's chat template, or as plain text where there is none.
  private func encode(_ messages: [ChatMessage], _ model: LanguageModel) throws -> [Int32] {
    if model.tokenizer.chatTemplate != nil { return try model.encode(messages) }
    let text = messages.map { $0.fields["content"]?.stringValue ?? "" }.joined(separator: "\n\n")
    return model.tokenizer.encode(text, addSpecial: true, parseSpecial: false)
  }
}

/// A setting as it was typed: `0`, `0.8`.
func readable(_ value: Double) -> String {
  value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
}
