import Foretoken
import Foundation

/// Lines that the user types or pipes in. Reading happens on a thread of its own.
final class ChatInput: Sendable {
  /// Whether a person types on a terminal and reads on one.
  let isInteractive = isatty(STDIN_FILENO) != 0 && TextStream.output.isTerminal
  private let thread = ThreadExecutor(name: "foretoken.input")
  private let editor = LineEditor(
    completions: ChatConversation.commands.map { "/\($0.name)" })

  /// The next entry, lines that end with `\` joined with the one after; nil at the end of input.
  /// - Throws: `OutputError`.
  func nextLine() async throws -> String? {
    var entry: String?
    while let line = try await read(isFirst: entry == nil) {
      entry = entry.map { "\($0)\n\(line)" } ?? line
      guard entry?.last == "\\" else { return entry }
      entry?.removeLast()
    }
    return entry
  }

  private func read(isFirst: Bool) async throws -> String? {
    let (isInteractive, editor) = (isInteractive, editor)
    return try await thread.perform { _ in
      guard isInteractive else { return readLine() }
      let prompt = TextStream.output.styled(isFirst ? "> " : "… ", .green, .bold)
      return try editor.readLine(prompt: prompt, promptWidth: 2)
    }
  }
}
