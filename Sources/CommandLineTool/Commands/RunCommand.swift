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
      """)

  @Argument(help: ArgumentHelp("Text to answer or to continue; - for standard input."))
  var prompt: String?

  @Option(
    help: ArgumentHelp(
      "Read the prompt, or what follows it, from a file; - for standard input. (default: none)",
      valueName: "path"),
    completion: .file())
  var file: String?

  @Option(
    help: ArgumentHelp(
      "System message: how to answer. (default: the chat template's own)", valueName: "text"))
  var system: String?

  @Flag(help: "Continue the text as it is, without the model's chat template.")
  var raw = false

  @Option(
    help: ArgumentHelp(
      "With --json: list each token's log-probability and those of the N likeliest.",
      valueName: "n"))
  var logprobs: Int?

  @Flag(help: "Print speed and counts to standard error at the end.")
  var stats = false

  @Flag(help: "Print one JSON object at the end instead of the text.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments
  @OptionGroup(title: "Generation") var generation: GenerationArguments
  @OptionGroup(title: "Sampling") var sampling: SamplingArguments

  func validate() throws {
    if raw, system != nil {
      throw ValidationError("--system needs the chat template, which --raw leaves out; drop one")
    }
    if let logprobs {
      guard json else { throw ValidationError("--logprobs needs --json") }
      let limit = TokenLogProbabilities.maximumTop
      guard (0...limit).contains(logprobs) else {
        throw ValidationError("--logprobs is \(logprobs), expected 0 to \(limit)")
      }
    }
  }

  func run() async throws {
    let text = try TextInput.read(argument: prompt, file: file, what: "prompt")
    guard raw || !text.allSatisfy(\.isWhitespace) else { throw UsageError("the prompt is empty") }
    let output = RunOutput(streams: !json)
    do {
      try await Interrupts.cancelling { try await answer(text, output) }
    } catch let error as Interrupted {
      try output.endLine()
      throw error
    }
  }

  private func answer(_ text: String, _ output: RunOutput) async throws {
    var options = generation.options(sampling: sampling.options, logProbabilities: logprobs)
    options.prediction = try generation.predictionText()
    let languageModel = try await model.load()
    for try await event in events(of: languageModel, text, options) { try output.take(event) }
    guard let summary = output.summary else { throw CancellationError() }
    let result = RunResult(model: languageModel, transcript: output.transcript, summary: summary)
    if json {
      try TextStream.output.writeLine(result.json.serialized())
    } else {
      try output.endLine()
    }
    if let remark = summary.finishReason.note { note("note: \(remark)") }
    if stats { for line in result.statistics { note(line) } }
  }

  private func events(
    of languageModel: LanguageModel, _ text: String, _ options: GenerationOptions
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    if raw { return languageModel.generate(text, options: options) }
    let instructions = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
    return languageModel.chat(
      instructions + [ChatMessage(role: "user", content: text)], options: options)
  }
}
