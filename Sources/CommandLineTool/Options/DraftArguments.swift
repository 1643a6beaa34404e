import ArgumentParser
import Foretoken

/// What is shown and recorded of drafts.
struct DraftArguments: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Show accepted drafts in the drafter's colour, or between its brackets where there is no "
        + "colour, with a legend at the end."))
  var showDrafts = false

  @Option(
    help: ArgumentHelp(
      "Write a trace of each step to a file, as JSON lines. (default: none)", valueName: "path"),
    completion: .file())
  var trace: String?

  /// The marks of one generation; nil if none were asked for.
  var markup: DraftMarkup? { showDrafts ? DraftMarkup(.output) : nil }

  /// The file of traces, opened; nil if none was asked for.
  /// - Throws: `InputError`.
  func openTrace() throws -> TraceFile? { try trace.map { try TraceFile(path: $0) } }
}
