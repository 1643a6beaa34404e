import ArgumentParser
import Foretoken

/// `foretoken run`: one answer.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Answer a prompt, or continue a text.",
    discussion: """
      The prompt is put into the model's chat template; --raw continues the text as it is. \
      Without a prompt, standard input is read; with a prompt and --file, the file's text follows \
      the prompt. One line break at the end of a file is left out. The text is written as it \
      comes; Ctrl-C stops it.

      EXAMPLES:
        foretoken run "Name three rivers in Europe."
        foretoken run --raw "The capital of France is" --max-tokens 20
        foretoken run "Summarise this letter:" --file letter.txt
        git log -5 | foretoken run --system "Write release notes." --stats
        foretoken run "Write a limerick." --temperature 0.8 --seed 7 --json
        foretoken run "Correct the spelling:" --file letter.txt --speculate copy --show-drafts
        foretoken run "Count to 30." --explain --max-tokens 40
        foretoken run "Give the story a title:" --file story.txt --decode diverse-beam --n 4
        foretoken run "Who wrote it?" --decode exact-extract --passage letter.txt
        foretoken run "Name a colour." --temperature 1 --n 3 --trace steps.jsonl
        foretoken run "A person:" --json-schema person.json
        foretoken run "Yes or no?" --grammar 'root ::= "yes" | "no"'
      """)

  @OptionGroup var input: PromptArguments

  @Option(
    help: ArgumentHelp(
      "With --json: list each token's log-probability and those of the N likeliest.",
      valueName: "n"))
  var logprobs: Int?

  @Flag(help: "Say on standard error why each step drafted what it drafted, before the text.")
  var explain = false

  @Flag(help: "Print speed and counts to standard error at the end.")
  var stats = false

  @Flag(help: "Print one JSON object at the end instead of the text.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments
  @OptionGroup(title: "Generation") var generation: GenerationArguments
  @OptionGroup(title: "Sampling") var sampling: SamplingArguments
  @OptionGroup(title: "Constraints") var constraints: ConstraintArguments
  @OptionGroup(title: "Samples") var samples: SampleArguments
  @OptionGroup(title: "Drafts") var drafts: DraftArguments

  func validate() throws {
    if let logprobs {
      guard json else { throw ValidationError("--logprobs needs --json") }
      let limit = TokenLogProbabilities.maximumTop
      guard (0...limit).contains(logprobs) else {
        throw ValidationError("--logprobs is \(logprobs), expected 0 to \(limit)")
      }
    }
    if json, drafts.showDrafts {
      throw ValidationError(
        "--show-drafts marks the text, which --json does not print; use --trace instead, or drop "
          + "one of them")
    }
    try generation.check(with: sampling)
    try constraints.check(generation.options(sampling: sampling.options))
    try samples.check(with: sampling, decode: generation.decode)
    if generation.decode == .superposed, samples.count > 1 {
      throw ValidationError(
        "--decode superposed lists all its texts; say how many with --drafts instead of --n")
    }
  }

  func run() async throws {
    let text = try input.text()
    let trace = try drafts.openTrace()
    do {
      try await Interrupts.cancelling { try await answer(text, trace) }
    } catch {
      // What there is of the trace is kept.
      try? trace?.close()
      throw error
    }
    try trace?.close()
  }

  /// Whether the text is written as it comes: explanations would stand in the middle of it.
  private var streams: Bool { !json && samples.bestOf == nil && !listsTexts && !explain }

  private func answer(_ text: String, _ trace: TraceFile?) async throws {
    let prediction = try generation.predictionText()
    var constrained = generation.options()
    try constraints.apply(to: &constrained)
    let passage = try generation.search.passageText()
    let languageModel = try await model.load()
    let question = passage.map { ExactExtractOptions.prompt(passage: $0, question: text) }
    let tokens = try input.tokens(question ?? text, for: languageModel)
    let firstSeed = sampling.seed ?? (runs > 1 ? Self.drawnSeed() : nil)
    let requests = (0..<runs).map { [constrained] index in
      var options = generation.options(
        sampling: sampling.options, logProbabilities: logprobs ?? (samples.bestOf == nil ? nil : 0))
      options.prediction = prediction
      options.constraint = constrained.constraint
      options.alignment = constrained.alignment
      options.explainsDrafts = explain || trace != nil
      options.search.extraction.passage = passage ?? ""
      options.search.results = generation.decode.listsCandidates ? samples.count : 1
      options.sampling.seed = firstSeed.map { $0 &+ UInt64(index) }
      return options
    }
    // Aligned samples learn from those before them.
    let isOrdered = constrained.alignment != .none
    await languageModel.generator.setConcurrency(isOrdered ? 1 : samples.concurrency)
    let began = ContinuousClock.now
    let finished = try await generate(requests, of: languageModel, tokens, trace)
    try report(finished)
    if stats, runs > 1 {
      note(SampleArguments.total(of: finished, in: began.duration(to: .now)))
    }
  }

  /// Generates all samples side by side. The first one's text is written as it comes, the others'
  /// after it.
  private func generate(
    _ requests: [GenerationOptions], of languageModel: LanguageModel, _ tokens: [Int32],
    _ trace: TraceFile?
  ) async throws -> [RunSample] {
    let turns = streams ? TextTurns() : nil
    let streams = languageModel.generator.generate(tokens, samples: requests)
    return try await withThrowingTaskGroup(of: RunSample.self) { group in
      for (index, events) in streams.enumerated() {
        let output = RunOutput(
          turns: turns, place: index, explains: explain, tokenizer: languageModel.tokenizer,
          markup: drafts.markup, trace: trace, generation: index)
        group.addTask {
          try await self.sample(index + 1, of: languageModel, requests[index], events, output)
        }
      }
      var finished: [RunSample] = []
      for try await sample in group { finished.append(sample) }
      return finished.sorted { $0.number < $1.number }
    }
  }

  /// Reads one sample; its text is written if `output` writes.
  private func sample(
    _ number: Int, of languageModel: LanguageModel, _ options: GenerationOptions,
    _ events: AsyncThrowingStream<GenerationEvent, any Error>, _ output: RunOutput
  ) async throws -> RunSample {
    if runs > 1 {
      let seed = options.sampling.seed.map { ", seed \($0)" } ?? ""
      try output.writeTitle("--- sample \(number) of \(runs)\(seed)")
    }
    do {
      for try await event in events { try output.take(event) }
      // An interrupted stream ends without a summary or with one that says so.
      try Task.checkCancellation()
      guard let summary = output.summary else { throw CancellationError() }
      try output.finish()
      return RunSample(
        number: number,
        result: RunResult(
          model: languageModel, options: options, transcript: output.transcript, summary: summary),
        legend: output.legend)
    } catch {
      if Task.isCancelled { try output.endLine() }
      throw error
    }
  }

  /// Generations to run.
  private var runs: Int { samples.runs(of: generation.decode) }

  /// True if the texts that a search found are listed, each under a title.
  private var listsTexts: Bool {
    generation.decode.listsCandidates && (samples.count > 1 || generation.decode == .superposed)
  }

  /// A seed of 32 bits, as generations draw them.
  private static func drawnSeed() -> UInt64 { UInt64(UInt32.random(in: 0...UInt32.max)) }

  // MARK: Reporting

  private func report(_ finished: [RunSample]) throws {
    var ranked = finished
    if samples.bestOf != nil {
      // Equal ranks keep the order of the seeds.
      ranked.sort { ($0.rank, -$0.number) > ($1.rank, -$1.number) }
    }
    let shown = ranked.prefix(samples.count)
    guard let first = shown.first else { return }
    if json {
      try TextStream.output.writeLine(object(first, ranked).serialized())
    } else if listsTexts {
      for line in first.result.candidateLines { try TextStream.output.writeLine(line) }
    } else if !streams {
      for sample in shown { try write(sample) }
    }
    for sample in shown { describe(sample) }
  }

  /// The first sample's object, and all of them if there are several.
  private func object(_ first: RunSample, _ all: [RunSample]) -> JSONValue {
    let lists = logprobs != nil
    var object = first.json(listsLogProbabilities: lists)
    if runs > 1 {
      object["samples"] = .array(all.map { .object($0.json(listsLogProbabilities: lists)) })
    }
    return .object(object)
  }

  private func write(_ sample: RunSample) throws {
    if samples.count > 1 { try TextStream.output.writeLine(sample.title(of: runs)) }
    let text = sample.result.transcript.shownText
    try TextStream.output.write(text.last?.isNewline == true ? text : text + "\n")
  }

  private func describe(_ sample: RunSample) {
    let result = sample.result
    if samples.bestOf != nil { note(sample.title(of: runs)) }
    for line in sample.legend { note(line) }
    if let line = result.passageLine { note(line) }
    if drafts.showDrafts {
      note("\(readableRatio(result.transcript.counts.tokensPerForward)) tokens per forward pass")
    }
    for warning in result.summary.warnings { note("warning: \(warning.message)") }
    if let remark = result.summary.finishReason.note { note("note: \(remark)") }
    if stats { for line in result.statistics { note(line) } }
  }
}
