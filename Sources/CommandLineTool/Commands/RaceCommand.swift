import ArgumentParser
import Foretoken

/// `foretoken race`: one prompt, two methods.
struct RaceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "race",
    abstract: "Run two methods on one prompt, side by side.",
    discussion: """
      Shows both texts as they are written, with accepted drafts marked, then tokens per forward \
      pass, tokens per second, their ratio, and whether the bytes agree. The methods take turns, so that what else \
      the machine does hits both; drafters begin each run without what they learnt in the one \
      before. Exit status 1 if two methods that promise the same bytes differ.

      EXAMPLES:
        foretoken race "Repeat this sentence five times: the sky is blue."
        foretoken race "Rewrite in capitals:" --file letter.txt --between copy,none
        foretoken race "Tell me a story." --speculate copy --temperature 0.8 --seed 7 --json
      """)

  @OptionGroup var input: PromptArguments

  @Option(
    help: ArgumentHelp(
      "The two methods. (default: the one that --speculate names, and none)",
      valueName: "method,method"))
  var between: MethodPair?

  @Option(help: ArgumentHelp("Runs of each method; figures are medians.", valueName: "count"))
  var repeats = 3

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments
  @OptionGroup(title: "Generation") var generation: GenerationArguments
  @OptionGroup(title: "Sampling") var sampling: SamplingArguments

  /// The methods that run.
  private var methods: MethodPair {
    between ?? MethodPair(first: generation.speculate.rawValue, second: "none")
  }

  /// Texts are shown as they are written.
  private var showsTexts: Bool { !json && TextStream.output.isTerminal }

  func validate() throws {
    guard (1...100).contains(repeats) else {
      throw ValidationError("--repeats is \(repeats), expected 1 to 100")
    }
    if between != nil, generation.speculate != .auto {
      throw ValidationError(
        "--between names both methods, --speculate one against none; drop one of them")
    }
    for name in [methods.first, methods.second] {
      do {
        _ = try MethodRegistry.select(option: "--speculate", value: name)
      } catch {
        throw ValidationError("--between: \(error)")
      }
    }
    try generation.check(
      with: sampling, methods: [methods.first, methods.second].filter { $0 != "none" })
  }

  func run() async throws {
    let text = try input.text()
    let result = try await Interrupts.cancelling { try await race(text) }
    if json {
      try TextStream.output.writeLine(result.json.serialized())
    } else {
      for line in RaceView(result, for: .output).lines { try TextStream.output.writeLine(line) }
    }
    if result.mustAgree, let difference = result.difference {
      throw RaceDisagreement(
        first: methods.first, second: methods.second, token: difference + 1)
    }
  }

  private func race(_ text: String) async throws -> RaceResult {
    let languageModel = try await model.load()
    let tokens = try input.tokens(text, for: languageModel)
    let seed = sampling.seed ?? UInt64(UInt32.random(in: 0...UInt32.max))
    let progress = ProgressLine(delay: .milliseconds(300))
    defer { progress.clear() }
    var contestants = [methods.first, methods.second].map { Contestant(name: $0) }
    var screen = RaceScreen(contestants.map(\.name), for: .output)
    defer { screen.clear() }
    // The first pages of the weights come from the disk: not in anybody's time.
    _ = try await lap(
      "none", of: languageModel, tokens, seed: seed, limit: 4, memory: "warm-up"
    ) { _, _, _, _ in }
    for index in 0..<repeats {
      // Who begins changes from repeat to repeat.
      for place in index % 2 == 0 ? [0, 1] : [1, 0] {
        let name = contestants[place].name
        let done = Double(index * 2 + (place == index % 2 ? 0 : 1)) / Double(repeats * 2)
        if index > 0 || !showsTexts {
          progress.show(
            .init(phase: "run \(index + 1) of \(repeats)", fraction: done, detail: name))
        }
        let lap = try await lap(
          name, of: languageModel, tokens, seed: seed, limit: generation.maxTokens,
          memory: "race \(place) \(index)"
        ) { runs, tokens, counts, isLast in
          // Later runs are for the figures only.
          guard index == 0, showsTexts else { return }
          screen.show(place, runs: runs, tokens: tokens, counts: counts, isLast: isLast)
        }
        contestants[place].append(lap)
      }
    }
    return RaceResult(
      first: contestants[0], second: contestants[1], seed: seed, promptTokens: tokens.count)
  }

  private func lap(
    _ method: String, of languageModel: LanguageModel, _ tokens: [Int32], seed: UInt64,
    limit: Int, memory: String,
    show: (_ runs: [DraftedRun], _ tokens: Int, _ counts: StepCounts, _ isLast: Bool) -> Void
  ) async throws -> Lap {
    var options = generation.options(sampling: sampling.options)
    if method == SpeculationMethod.none.rawValue {
      // What is said about drafts is not about plain decoding.
      options.draftMemory = nil
      options.maximumDraft = nil
      (options.tree, options.draftDepth, options.verification) = (nil, nil, nil)
      options.planner = .on
    } else {
      options.prediction = try generation.predictionText()
    }
    options.speculation = SpeculationMethod(rawValue: method)
    options.sampling.seed = seed
    options.maxTokens = limit
    var drafted = DraftedText()
    var runs: [DraftedRun] = []
    var output: [Int32] = []
    var counts = StepCounts()
    var summary: GenerationSummary?
    let events = languageModel.generator.generate(tokens, options: options, memory: memory)
    for try await event in events {
      switch event {
      case .step(let step):
        counts.append(step)
        drafted.append(step)
      case .text(let piece):
        output += piece.tokens
        for run in drafted.append(piece, tokenizer: languageModel.tokenizer) {
          if let last = runs.indices.last, runs[last].drafter == run.drafter {
            runs[last].text += run.text
          } else {
            runs.append(run)
          }
        }
        show(runs, output.count, counts, false)
      case .finish(let value):
        summary = value
        show(runs, output.count, counts, true)
      case .prompt, .warning: break
      }
    }
    await languageModel.generator.forgetMemory(memory)
    try Task.checkCancellation()
    guard let summary else { throw CancellationError() }
    return Lap(
      runs: runs, drafters: drafted.drafters, acceptedCounts: drafted.acceptedCounts,
      tokens: output, counts: counts, summary: summary)
  }
}

/// Two names of methods, as `--between` takes them.
struct MethodPair: ExpressibleByArgument {
  let first: String
  let second: String

  init(first: String, second: String) {
    self.first = first
    self.second = second
  }

  init?(argument: String) {
    let names = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard names.count == 2, names.allSatisfy({ !$0.isEmpty }) else { return nil }
    self.init(first: names[0], second: names[1])
  }

  static var allValueStrings: [String] { [] }
}
