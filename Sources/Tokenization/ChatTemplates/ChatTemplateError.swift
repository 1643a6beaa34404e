/// Why a chat template cannot be parsed or rendered, and where.
public struct ChatTemplateError: Error, Equatable, CustomStringConvertible {
  /// What kind of mistake it is.
  public enum Kind: Sendable, Equatable {
    /// The source is not a template this subset understands.
    case syntax
    /// An operation failed while rendering: wrong types, something undefined.
    case evaluation
    /// The template itself refused its input through `raise_exception`.
    case raised
    /// The template took too many steps, too much text or too deep a recursion.
    case limit
  }

  /// What kind of mistake it is.
  public let kind: Kind
  /// What was found and what was expected.
  public let message: String
  /// The line of the template, from 1.
  public let line: Int
  /// The column of the template in characters, from 1.
  public let column: Int

  /// Message and place in one line.
  public var description: String {
    switch kind {
    case .syntax: "Chat template, line \(line), column \(column): syntax error: \(message)."
    case .evaluation: "Chat template, line \(line), column \(column): \(message)."
    case .raised: "The chat template refused the messages (line \(line)): \(message)"
    case .limit: "Chat template, line \(line), column \(column): stopped: \(message)."
    }
  }
}

/// An error on its way up that knows its byte offset but not yet line and column.
struct TemplateFailure: Error {
  var kind: ChatTemplateError.Kind
  var message: String
  /// Byte offset in the source with normalised line ends; -1 until a node of the tree adds its own.
  var offset: Int

  init(_ kind: ChatTemplateError.Kind, _ message: String, at offset: Int = -1) {
    self.kind = kind
    self.message = message
    self.offset = offset
  }

  /// The same error, placed at `offset` unless it has a place.
  func placed(at offset: Int) -> TemplateFailure {
    self.offset >= 0 ? self : TemplateFailure(kind, message, at: offset)
  }

  /// The public error, with line and column looked up in `source`.
  func resolved(in source: [UInt8]) -> ChatTemplateError {
    let before = source.prefix(max(0, offset))
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    let line = before.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
    let column = String(decoding: before[lineStart...], as: UTF8.self).unicodeScalars.count + 1
    return ChatTemplateError(kind: kind, message: message, line: line, column: column)
  }
}
