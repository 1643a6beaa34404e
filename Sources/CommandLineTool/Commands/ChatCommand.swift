import ArgumentParser
import Foretoken

/// `foretoken chat`: a conversation.
struct ChatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat",
    abstract: "Talk with a model.",
    discussion: """
      What was said stays in memory, so that a turn costs only its own tokens. Ctrl-C stops an \
      answer, Ctrl-D or /quit ends; /help lists the commands. A line that ends with \\ goes on in \
      the next one. In a pipe every line is a turn.

      EXAMPLES:
        foretoken chat
        foretoken chat --model qwen2.5-coder-0.5b --system "Answer in one sentence."
        foretoken chat --speculate copy --show-drafts
        printf 'What is 2+2?\\nAnd doubled?\\n' | foretoken chat
      """)

  @Option(
    help: ArgumentHelp(
      "System message: how to answer. (default: the chat template's own)", valueName: "text"))
  var system: String?

  @Option(
    name: .customLong("file"),
    help: ArgumentHelp(
      "Go on with a conversation that /save wrote. (default: none)", valueName: "path"),
    completion: .file())
  var file: String?

  @Flag(help: "Print speed and counts to standard error after each answer.")
  var stats = false

  @OptionGroup(title: "Model") var model: ModelArguments
  @OptionGroup(title: "Generation") var generation: GenerationArguments
  @OptionGroup(title: "Sampling") var sampling: SamplingArguments
  @OptionGroup(title: "Constraints") var constraints: ConstraintArguments
  @OptionGroup(title: "Drafts") var drafts: DraftArguments

  func validate() throws {
    try generation.check(with: sampling)
    try constraints.check(generation.options(sampling: sampling.options))
  }

  func run() async throws {
    var transcript = ChatTranscript(instructions: system)
    if let file {
      transcript = try ChatTranscript(reading: file)
      if let system { transcript.instructions = system }
    }
    var options = generation.options(sampling: sampling.options)
    try constraints.apply(to: &options)
    let languageModel = try await Interrupts.cancelling { [model] in try await model.load() }
    // A model that cannot converse is refused now and not after the first question.
    _ = try languageModel.chatTemplate()
    options.prediction = try generation.predictionText()
    let trace = try drafts.openTrace()
    var conversation = ChatConversation(
      model: languageModel, options: options, transcript: transcript,
      showsStatistics: stats, markup: drafts.markup, trace: trace)
    do {
      try await conversation.run()
    } catch {
      try? trace?.close()
      throw error
    }
    try trace?.close()
  }
}
