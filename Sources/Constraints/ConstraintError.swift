import Foundation

/// Where in a source text something was found; lines and columns count from 1, columns in
/// characters.
public struct SourceLocation: Sendable, Equatable, CustomStringConvertible {
  /// Line, from 1.
  public let line: Int
  /// Character of the line, from 1.
  public let column: Int

  /// A place in a text.
  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// The place of byte `offset` of `bytes`.
  init(offset: Int, in bytes: [UInt8]) {
    let before = bytes[..<min(max(offset, 0), bytes.count)]
    let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    line = before.reduce(1) { $0 + ($1 == 0x0A ? 1 : 0) }
    // Bytes 10xxxxxx go on with a character.
    column = before[lineStart...].reduce(1) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
  }

  /// As in "line 3, column 7".
  public var description: String { "line \(line), column \(column)" }
}

/// Why a constraint cannot be used or followed.
public enum ConstraintError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// The text of a grammar, expression or schema is not what it should be.
  case syntax(language: String, at: SourceLocation, message: String)
  /// A JSON Schema says something that is not supported; the pointer says where.
  case schema(pointer: String, message: String)
  /// The constraint is larger than what can be worked with.
  case tooLarge(String)
  /// No finite text satisfies the constraint.
  case unsatisfiable(String)
  /// At this point of a text there are too many ways to read it.
  case tooAmbiguous(limit: Int)
  /// The text so far can go on, but no token of the vocabulary continues it.
  case noToken(text: String)
  /// A state that was made before the matcher dropped its states.
  case staleState

  /// What was found, what was expected, where, what to do.
  public var description: String {
    switch self {
    case .syntax(let language, let place, let message): "\(language), \(place): \(message)"
    case .schema(let pointer, let message):
      "JSON schema at \(pointer.isEmpty ? "its root" : pointer): \(message)"
    case .tooLarge(let message): message
    case .unsatisfiable(let message): message
    case .tooAmbiguous(let limit):
      "the constraint can be read in more than \(limit) ways at one point of the text; write it "
        + "without alternatives that match the same text"
    case .noToken(let text):
      "the constraint goes on after \(text.debugDescription), but no token of the vocabulary "
        + "does; check the logit bias and the constraint's characters"
    case .staleState:
      "the state is older than the matcher's latest renewal; follow the text anew from start()"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
