import Foundation
import Synchronization

/// Reads lines from a terminal with editing, a history of this run, and completion of words that
/// begin a line. Lines longer than the terminal scroll sideways; pasted line breaks stay in the
/// line.
final class LineEditor: Sendable {
  private let completions: [String]
  private let history = Mutex<[String]>([])

  /// - Parameter completions: offered by the tab key at the beginning of a line.
  init(completions: [String] = []) { self.completions = completions }

  /// Reads one line.
  ///
  /// - Parameter promptWidth: columns that `prompt` takes, styles not counted.
  /// - Returns: nil at the end of input: Ctrl-D in an empty line, or a closed terminal.
  /// - Throws: `OutputError`.
  func readLine(prompt: String, promptWidth: Int) throws -> String? {
    guard let mode = RawMode() else {
      try TextStream.output.write(prompt)
      return Swift.readLine()
    }
    defer { mode.restore() }
    var edit = LineEdit(entries: history.withLock { $0 })
    let reader = KeyReader()
    while true {
      try draw(edit, prompt, promptWidth)
      guard let key = reader.next() else { return nil }
      switch key {
      case .enter:
        try TextStream.output.write("\r\n")
        remember(edit.text)
        return edit.text
      case .endOfInput where edit.isEmpty:
        try TextStream.output.write("\r\n")
        return nil
      case .interrupt:
        try TextStream.output.write("^C\r\n")
        edit = LineEdit(entries: history.withLock { $0 })
      case .suspend:
        mode.restore()
        kill(0, SIGTSTP)
        mode.enter()
      case .clearScreen: try TextStream.output.write("\u{1B}[H\u{1B}[2J")
      case .tab: edit.complete(completions)
      default: edit.apply(key)
      }
    }
  }

  private func remember(_ line: String) {
    history.withLock { entries in
      if !line.isEmpty, entries.last != line { entries.append(line) }
    }
  }

  private func draw(_ edit: LineEdit, _ prompt: String, _ promptWidth: Int) throws {
    let room = max(8, (TextStream.output.width ?? 80) - promptWidth - 1)
    let (text, column) = edit.window(columns: room)
    try TextStream.output.write(
      "\r\u{1B}[K\(prompt)\(text)\r\u{1B}[\(promptWidth + column)C")
  }
}

/// A terminal that gives every key at once and echoes nothing.
private struct RawMode {
  private let original: termios
  private let raw: termios

  init?() {
    var mode = termios()
    guard tcgetattr(STDIN_FILENO, &mode) == 0 else { return nil }
    original = mode
    mode.c_iflag &= ~tcflag_t(ICRNL | IXON | BRKINT | INPCK | ISTRIP)
    mode.c_lflag &= ~tcflag_t(ECHO | ICANON | IEXTEN | ISIG)
    raw = mode
    enter()
  }

  /// Also asks the terminal to mark pasted text.
  func enter() {
    var mode = raw
    tcsetattr(STDIN_FILENO, TCSADRAIN, &mode)
    try? TextStream.output.write("\u{1B}[?2004h")
  }

  func restore() {
    try? TextStream.output.write("\u{1B}[?2004l")
    var mode = original
    tcsetattr(STDIN_FILENO, TCSADRAIN, &mode)
  }
}
