import Foretoken

/// The loop of `foretoken chat`: reads a line, answers or obeys, until the input ends.
struct ChatConversation {
  private let model: LanguageModel
  private let options: GenerationOptions
  private let showsStatistics: Bool
  private let markup: DraftMarkup?
  private let trace: TraceFile?
  private var turnCount = 0
  private let input = ChatInput()
  private var instructions: String?
  private var session: ChatSession
  private var latest: [String] = []

  init(
    model: LanguageModel, options: GenerationOptions, transcript: ChatTranscript,
    showsStatistics: Bool, markup: DraftMarkup?, trace: TraceFile?
  ) {
    self.model = model
    self.options = options
    self.showsStatistics = showsStatistics
    self.markup = markup
    self.trace = trace
    instructions = transcript.instructions
    session = ChatSession(
      model, instructions: transcript.instructions, history: transcript.history, options: options)
  }

  /// Runs until the input ends or `/quit`.
  /// - Throws: `OutputError`. Mistakes in a turn are shown, and the conversation goes on; in a pipe
  ///   they end it.
  mutating func run() async throws {
    if input.isInteractive {
      note("\(model.reference) is ready. /help lists the commands, Ctrl-D ends.")
    }
    while let line = try await input.nextLine() {
      do {
        guard try await take(line) else { return }
      } catch let error as OutputError {
        throw error
      } catch {
        guard input.isInteractive else { throw error }
        _ = ErrorReport(error, command: ChatCommand.self).show()
      }
    }
  }

  /// Returns false if the user wants to leave.
  private mutating func take(_ line: String) async throws -> Bool {
    guard !line.isEmpty else { return true }
    guard line.hasPrefix("/") else {
      try await answer(line)
      return true
    }
    let parts = line.dropFirst().split(separator: " ", maxSplits: 1)
    let argument = parts.count > 1 ? parts[1].trimmingPrefix(while: \.isWhitespace) : ""
    return try await obey(String(parts.first ?? ""), String(argument))
  }

  private mutating func answer(_ question: String) async throws {
    let output = RunOutput(
      turns: TextTurns(), tokenizer: model.tokenizer, markup: markup, trace: trace,
      generation: turnCount)
    turnCount += 1
    let session = session
    do {
      try await Interrupts.cancelling {
        for try await event in await session.events(replyingTo: question) { try output.take(event) }
      }
    } catch is Interrupted {
      try output.endLine()
      return note("stopped")
    }
    try output.endLine()
    guard let summary = output.summary else { return }
    for warning in summary.warnings { note("warning: \(warning.message)") }
    if let remark = summary.finishReason.note { note("note: \(remark)") }
    for line in output.legend { note(line) }
    latest =
      RunResult(
        model: model, options: options, transcript: output.transcript, summary: summary
      ).statistics
    if showsStatistics { showStatistics() }
    if input.isInteractive { try TextStream.output.writeLine() }
  }

  // MARK: Commands

  static let commands: [(name: String, argument: String, help: String)] = [
    ("help", "", "list the commands"),
    ("reset", "", "forget what was said"),
    ("system", "TEXT", "set the system message and start anew; without a text, show it"),
    ("save", "FILE", "write the conversation to a file"),
    ("load", "FILE", "go on with a conversation from a file"),
    ("stats", "", "show speed and counts of the latest answer"),
    ("quit", "", "leave"),
  ]

  private mutating func obey(_ command: String, _ argument: String) async throws -> Bool {
    switch command {
    case "help", "?": showHelp()
    case "reset": restart(ChatTranscript(instructions: instructions), "forgot what was said")
    case "system":
      guard !argument.isEmpty else {
        note(instructions ?? "no system message is set")
        return true
      }
      restart(ChatTranscript(instructions: argument), "started anew with this system message")
    case "save":
      try needsArgument(command, argument)
      try await ChatTranscript(session.messages).write(to: argument)
      note("saved to \(argument)")
    case "load":
      try needsArgument(command, argument)
      let transcript = try ChatTranscript(reading: argument)
      restart(transcript, "going on after \(transcript.history.count) messages")
    case "stats":
      if latest.isEmpty { note("nothing was answered yet") } else { showStatistics() }
    case "quit", "exit", "bye": return false
    default:
      throw UsageError("there is no command /\(command); /help lists them")
    }
    return true
  }

  private func needsArgument(_ command: String, _ argument: String) throws {
    guard !argument.isEmpty else { throw UsageError("/\(command) needs the name of a file") }
  }

  private mutating func restart(_ transcript: ChatTranscript, _ message: String) {
    instructions = transcript.instructions
    latest = []
    session = ChatSession(
      model, instructions: transcript.instructions, history: transcript.history, options: options)
    note(message)
  }

  private func showStatistics() { for line in latest { note(line) } }

  private func showHelp() {
    for command in Self.commands {
      note("/\(command.name) \(command.argument)".padded(to: 16) + command.help)
    }
    note("Ctrl-C stops an answer, Ctrl-D leaves; \\ at the end of a line goes on in the next one")
  }
}
