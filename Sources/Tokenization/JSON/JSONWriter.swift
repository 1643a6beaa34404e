/// How a `JSONValue` is written.
public struct JSONFormat: Sendable {
  /// What stands between elements when they are on one line.
  public var itemSeparator: String
  /// What stands between a key and its value.
  public var keySeparator: String
  /// Spaces per level, one element per line; `nil` for a single line.
  public var indent: Int?
  /// Whether keys are sorted by their bytes.
  public var sortsKeys: Bool
  /// Whether everything beyond ASCII is written as `\uXXXX`.
  public var escapesNonASCII: Bool

  /// A format of the given parts.
  public init(
    itemSeparator: String = ",", keySeparator: String = ":", indent: Int? = nil,
    sortsKeys: Bool = false, escapesNonASCII: Bool = false
  ) {
    self.itemSeparator = itemSeparator
    self.keySeparator = keySeparator
    self.indent = indent
    self.sortsKeys = sortsKeys
    self.escapesNonASCII = escapesNonASCII
  }

  /// No spaces.
  public static let compact = JSONFormat()
  /// One line with `, ` and `: `, as Python's `json.dumps` writes it.
  public static let python = JSONFormat(itemSeparator: ", ", keySeparator: ": ")
  /// Two spaces per level.
  public static let pretty = JSONFormat(keySeparator: ": ", indent: 2)
}

extension JSONValue {
  /// This value as JSON text. Numbers that are not finite become `null`.
  public func serialized(_ format: JSONFormat = .compact) -> String {
    var writer = JSONWriter(format: format)
    writer.write(self, level: 0)
    return writer.text
  }
}

private struct JSONWriter {
  let format: JSONFormat
  var text = ""

  init(format: JSONFormat) { self.format = format }

  mutating func write(_ value: JSONValue, level: Int) {
    switch value {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value): text += value.isFinite ? value.pythonDescription : "null"
    case .string(let value): write(value)
    case .array(let items):
      text += "["
      for (index, item) in items.enumerated() {
        separate(index, level: level)
        write(item, level: level + 1)
      }
      close("]", isEmpty: items.isEmpty, level: level)
    case .object(let object):
      let entries =
        format.sortsKeys
        ? object.entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        : object.entries
      text += "{"
      for (index, entry) in entries.enumerated() {
        separate(index, level: level)
        write(entry.key)
        text += format.keySeparator
        write(entry.value, level: level + 1)
      }
      close("}", isEmpty: entries.isEmpty, level: level)
    }
  }

  /// What stands before element `index` of a list at `level`.
  private mutating func separate(_ index: Int, level: Int) {
    if let indent = format.indent {
      if index > 0 { text += "," }
      startLine(indent * (level + 1))
    } else if index > 0 {
      text += format.itemSeparator
    }
  }

  private mutating func close(_ bracket: String, isEmpty: Bool, level: Int) {
    if let indent = format.indent, !isEmpty { startLine(indent * level) }
    text += bracket
  }

  private mutating func startLine(_ spaces: Int) {
    text += "\n"
    text += String(repeating: " ", count: max(0, spaces))
  }

  private mutating func write(_ string: String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{8}": text += "\\b"
      case "\u{C}": text += "\\f"
      case _ where scalar.value < 0x20 || format.escapesNonASCII && scalar.value > 0x7E:
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension Double {
  /// The shortest decimal text that gives this number back, laid out as Python lays it out: an
  /// exponent from 1e16 on, where Swift's own `description` starts at 2^54.
  var pythonDescription: String {
    if isNaN { return "nan" }
    if isInfinite { return self < 0 ? "-inf" : "inf" }
    let text = description
    guard magnitude >= 1e16, !text.contains("e") else { return text }
    let digits = text.drop { $0 == "-" }.prefix { $0 != "." }
    var mantissa = String(digits.prefix(1)) + "." + digits.dropFirst()
    while mantissa.last == "0" { mantissa.removeLast() }
    if mantissa.last == "." { mantissa.removeLast() }
    return (self < 0 ? "-" : "") + mantissa + "e+" + String(digits.count - 1)
  }
}
