import Foretoken

/// How models write calls: `<tool_call>` and `</tool_call>` around a call, which is
///
/// - a JSON object with `name` and `arguments` (Hermes and Qwen 2.5), or
/// - `<function=NAME>` with `<parameter=KEY>` elements inside (Qwen 3 Coder).
enum ToolCallFormat {
  static let opening = "<tool_call>"
  static let closing = "</tool_call>"

  /// A call that was read.
  struct Call: Equatable {
    let name: String
    /// The arguments as JSON text.
    let arguments: String
  }

  /// The call between the marks; nil if it is none.
  static func call(in text: String) -> Call? {
    let trimmed = text.trimmingWhitespace
    return trimmed.hasPrefix("<function=") ? elements(trimmed) : object(trimmed)
  }

  private static func object(_ text: String) -> Call? {
    guard let value = try? JSONValue(parsing: text), let name = value["name"]?.stringValue else {
      return nil
    }
    let arguments = value["arguments"] ?? value["parameters"] ?? [:]
    switch arguments {
    case .object: return Call(name: name, arguments: arguments.serialized())
    // Some models write the arguments as a text that is JSON.
    case .string(let text):
      guard (try? JSONValue(parsing: text))?.objectValue != nil else { return nil }
      return Call(name: name, arguments: text)
    default: return nil
    }
  }

  /// Values are JSON where they can be read as JSON, else text.
  private static func elements(_ text: String) -> Call? {
    var rest = text[...]
    guard let name = take(&rest, from: "<function=", to: ">") else { return nil }
    var arguments = JSONObject()
    while let key = take(&rest, from: "<parameter=", to: ">") {
      guard let end = rest.firstRange(of: "</parameter>") else { return nil }
      let value = String(rest[..<end.lowerBound]).trimmingWhitespace
      arguments[key] = (try? JSONValue(parsing: value)) ?? .string(value)
      rest = rest[end.upperBound...]
    }
    return Call(name: name, arguments: JSONValue.object(arguments).serialized())
  }

  private static func take(
    _ rest: inout Substring, from opening: String, to closing: String
  ) -> String? {
    guard let begin = rest.firstRange(of: opening),
      let end = rest[begin.upperBound...].firstRange(of: closing)
    else { return nil }
    defer { rest = rest[end.upperBound...] }
    return String(rest[begin.upperBound..<end.lowerBound]).trimmingWhitespace
  }
}

extension String {
  /// Without spaces and line breaks at both ends.
  var trimmingWhitespace: String {
    let start = drop { $0.isWhitespace }
    guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(start[...last])
  }
}
