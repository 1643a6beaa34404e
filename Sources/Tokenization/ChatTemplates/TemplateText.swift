/// How values are written: plainly, as Python's `repr`, and as JSON.
extension TemplateInterpreter {
  /// What `{{ value }}` writes.
  func text(of value: TemplateValue) throws -> String {
    switch value {
    case .string(let text): return text
    case .undefined: return ""
    default:
      let text = try representation(of: value, depth: 0)
      try charge(text: text.utf8.count)
      return text
    }
  }

  private func representation(of value: TemplateValue, depth: Int) throws -> String {
    try step()
    try checkDepth(depth)
    switch value {
    case .undefined: return "Undefined"
    case .none: return "None"
    case .boolean(let value): return value ? "True" : "False"
    case .integer(let value): return String(value)
    case .float(let value): return value.pythonDescription
    case .string(let text): return try quoted(text)
    case .list(let list):
      return "[" + (try representations(list.items, depth)).joined(separator: ", ") + "]"
    case .tuple(let list):
      let parts = try representations(list.items, depth)
      return parts.count == 1 ? "(\(parts[0]),)" : "(" + parts.joined(separator: ", ") + ")"
    case .dictionary(let dictionary), .namespace(let dictionary):
      let keys = try representations(dictionary.entries.map(\.key), depth)
      let values = try representations(dictionary.entries.map(\.value), depth)
      return "{" + zip(keys, values).map { "\($0): \($1)" }.joined(separator: ", ") + "}"
    case .loop, .callable:
      throw TemplateFailure(.evaluation, "a value of type \(value.typeName) cannot be written")
    }
  }

  private func representations(_ values: [TemplateValue], _ depth: Int) throws -> [String] {
    try values.map { try representation(of: $0, depth: depth + 1) }
  }

  private func quoted(_ text: String) throws -> String {
    try charge(text: text.utf8.count)
    let quote: Unicode.Scalar = text.contains("'") && !text.contains("\"") ? "\"" : "'"
    var result = String(quote)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\\": result += "\\\\"
      case quote: result += "\\" + String(quote)
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        result += "\\x" + (digits.count == 1 ? "0" : "") + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + String(quote)
  }

  /// The value as JSON, for `tojson`.
  func json(_ value: TemplateValue, depth: Int = 0) throws -> JSONValue {
    try step()
    try checkDepth(depth)
    switch value {
    case .none: return .null
    case .boolean(let value): return .bool(value)
    case .integer(let value): return .integer(value)
    case .float(let value): return .number(value)
    case .string(let text):
      try charge(text: text.utf8.count)
      return .string(text)
    case .list(let list), .tuple(let list):
      return .array(try list.items.map { try json($0, depth: depth + 1) })
    case .dictionary(let dictionary):
      return .object(
        JSONObject(
          try dictionary.entries.map { (try jsonKey($0.key), try json($0.value, depth: depth + 1)) }
        ))
    case .undefined(let what):
      throw TemplateFailure(.evaluation, "tojson of an undefined value: \(what)")
    case .namespace, .loop, .callable:
      throw TemplateFailure(
        .evaluation, "a value of type \(value.typeName) cannot be written as JSON")
    }
  }

  private func jsonKey(_ key: TemplateValue) throws -> String {
    switch key {
    case .string(let text): text
    case .none: "null"
    case .boolean(let value): value ? "true" : "false"
    default: try representation(of: key, depth: 0)
    }
  }

  private func checkDepth(_ depth: Int) throws {
    if depth > limits.depth {
      throw TemplateFailure(.limit, "a value nests deeper than \(limits.depth)")
    }
  }
}
