import Foundation

/// One of the process's two output streams.
///
/// Writes go straight to the descriptor: a token is on the reader's screen when it is written, and a
/// reader that went away is noticed at once.
struct TextStream: Sendable {
  /// Results.
  static let output = TextStream(descriptor: STDOUT_FILENO, name: "standard output")
  /// Progress, notes and errors.
  static let error = TextStream(descriptor: STDERR_FILENO, name: "standard error")

  /// Whether a person reads the stream on a terminal.
  let isTerminal: Bool
  /// Whether styles are written: on a terminal, unless `NO_COLOR` is set or the terminal is `dumb`.
  let usesColor: Bool
  private let descriptor: Int32
  private let name: String

  private init(descriptor: Int32, name: String) {
    self.descriptor = descriptor
    self.name = name
    isTerminal = isatty(descriptor) != 0
    let environment = ProcessInfo.processInfo.environment
    usesColor =
      isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }

  /// Columns of the terminal; nil if the stream is none.
  var width: Int? { isTerminal ? size.map { Int($0.ws_col) } ?? 80 : nil }

  /// Lines of the terminal; nil if the stream is none.
  var height: Int? { isTerminal ? size.map { Int($0.ws_row) } ?? 24 : nil }

  /// As the terminal says; nil if it does not know.
  private var size: winsize? {
    var size = winsize()
    let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
    return isKnown && size.ws_col > 0 && size.ws_row > 0 ? size : nil
  }

  /// Writes all of `text`.
  /// - Throws: `OutputError`.
  func write(_ text: String) throws(OutputError) {
    let failure = Array(text.utf8).withUnsafeBytes { Self.write($0, to: descriptor) }
    guard let failure else { return }
    throw failure == EPIPE
      ? .closed : .failed(stream: name, detail: String(cString: strerror(failure)))
  }

  /// Writes `text` and ends the line.
  /// - Throws: `OutputError`.
  func writeLine(_ text: String = "") throws(OutputError) { try write(text + "\n") }

  /// `text` in `styles`, if the stream takes colour.
  func styled(_ text: String, _ styles: Style...) -> String {
    guard usesColor, !text.isEmpty, !styles.isEmpty else { return text }
    let codes = styles.map { "\($0.rawValue)" }.joined(separator: ";")
    return "\u{1B}[\(codes)m\(text)\u{1B}[0m"
  }

  /// Returns the error number of the write that failed; nil if all was written.
  private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
    var rest = bytes
    while !rest.isEmpty {
      let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return errno }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    }
    return nil
  }
}

/// How text looks on a terminal, by the terminal's code.
enum Style: Int, Sendable {
  case bold = 1
  case dim = 2
  case underline = 4
  case reverse = 7
  case red = 31
  case green = 32
  case yellow = 33
  case blue = 34
  case magenta = 35
  case cyan = 36
}

/// Why output could not be written.
enum OutputError: Error, Equatable, CustomStringConvertible {
  /// The reader of the pipe has gone; no reason to say anything.
  case closed
  /// The system refused the bytes.
  case failed(stream: String, detail: String)

  var description: String {
    switch self {
    case .closed: "the reader of the output has gone"
    case .failed(let stream, let detail): "\(stream) cannot be written: \(detail)"
    }
  }
}

/// Writes a line for a person to standard error. A closed standard error is no reason to stop.
func note(_ text: String) {
  try? TextStream.error.writeLine(TextStream.error.styled(text, .dim))
}
