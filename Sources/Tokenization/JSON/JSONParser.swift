/// Why bytes are not the JSON that was expected.
public struct JSONError: Error, Equatable, CustomStringConvertible {
  /// What was found and what was expected.
  public let message: String
  /// How many bytes were read before the mistake.
  public let offset: Int
  /// Where in the document, as in `$.messages[2].content`.
  public let path: String

  /// Message, byte offset and path in one line.
  public var description: String { "Invalid JSON at byte \(offset) (\(path)): \(message)." }
}

extension JSONValue {
  /// Reads one strict JSON document (RFC 8259): UTF-8, no comments, nothing after the value.
  ///
  /// Time and memory are linear in the input. Of equal keys the last value counts.
  ///
  /// - Parameter maximumDepth: How deep arrays and objects may nest; at most 512 is taken.
  /// - Throws: `JSONError` with the byte offset and the path of the first mistake.
  public init(parsing bytes: [UInt8], maximumDepth: Int = 128) throws {
    var parser = JSONParser(bytes: bytes, maximumDepth: min(maximumDepth, 512))
    self = try parser.parseDocument()
  }

  /// Reads one strict JSON document.
  public init(parsing text: String, maximumDepth: Int = 128) throws {
    try self.init(parsing: Array(text.utf8), maximumDepth: maximumDepth)
  }
}

/// A recursive-descent parser whose recursion is bounded by `maximumDepth`.
private struct JSONParser {
  private enum PathComponent {
    case key(String)
    case index(Int)
  }

  private let bytes: [UInt8]
  private let maximumDepth: Int
  private var position = 0
  private var path: [PathComponent] = []

  init(bytes: [UInt8], maximumDepth: Int) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
  }

  mutating func parseDocument() throws -> JSONValue {
    skipWhitespace()
    let value = try parseValue()
    skipWhitespace()
    if position < bytes.count { throw error("there is \(found) after the document") }
    return value
  }

  private mutating func parseValue() throws -> JSONValue {
    switch peek {
    case UInt8(ascii: "{"): return try parseObject()
    case UInt8(ascii: "["): return try parseArray()
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    case UInt8(ascii: "-"): return try parseNumber()
    case let digit? where (0x30...0x39).contains(digit): return try parseNumber()
    default: throw error("expected a value, found \(found)")
    }
  }

  private mutating func parseObject() throws -> JSONValue {
    try open()
    var object = JSONObject()
    if accept("}") { return .object(object) }
    repeat {
      skipWhitespace()
      guard peek == UInt8(ascii: "\"") else { throw error("expected a key, found \(found)") }
      let key = try parseString()
      path.append(.key(key))
      skipWhitespace()
      guard accept(":") else { throw error("expected ':', found \(found)") }
      skipWhitespace()
      object[key] = try parseValue()
      path.removeLast()
      skipWhitespace()
    } while accept(",")
    guard accept("}") else { throw error("expected ',' or '}', found \(found)") }
    return .object(object)
  }

  private mutating func parseArray() throws -> JSONValue {
    try open()
    var items: [JSONValue] = []
    if accept("]") { return .array(items) }
    repeat {
      skipWhitespace()
      path.append(.index(items.count))
      items.append(try parseValue())
      path.removeLast()
      skipWhitespace()
    } while accept(",")
    guard accept("]") else { throw error("expected ',' or ']', found \(found)") }
    return .array(items)
  }

  /// Steps over an opening bracket and the whitespace after it.
  private mutating func open() throws {
    guard path.count < maximumDepth else {
      throw error("arrays and objects nest deeper than \(maximumDepth)")
    }
    position += 1
    skipWhitespace()
  }

  private mutating func parseWord(_ word: String, _ value: JSONValue) throws -> JSONValue {
    guard bytes[position...].starts(with: word.utf8) else {
      throw error("expected \(word), found \(found)")
    }
    position += word.utf8.count
    return value
  }

  private mutating func parseNumber() throws -> JSONValue {
    let start = position
    if peek == UInt8(ascii: "-") { position += 1 }
    if peek == UInt8(ascii: "0") { position += 1 } else { try skipDigits() }
    var isInteger = true
    if peek == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try skipDigits()
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      position = start
      throw error("the number is out of range")
    }
    return .number(value)
  }

  private mutating func skipDigits() throws {
    let start = position
    while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    if position == start { throw error("expected a digit, found \(found)") }
  }

  private mutating func parseString() throws -> String {
    position += 1
    let start = position
    while let byte = peek, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
      position += 1
    }
    var content = Array(bytes[start..<position])
    while let byte = peek, byte != UInt8(ascii: "\"") {
      if byte < 0x20 { throw error("control characters in text must be escaped") }
      position += 1
      if byte == UInt8(ascii: "\\") {
        try parseEscape(into: &content)
      } else {
        content.append(byte)
      }
    }
    guard accept("\"") else { throw error("the text does not end") }
    guard let text = String(validating: content, as: UTF8.self) else {
      position = start
      throw error("the text is not valid UTF-8")
    }
    return text
  }

  private mutating func parseEscape(into content: inout [UInt8]) throws {
    guard let escape = peek else { throw error("the text does not end") }
    position += 1
    switch escape {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(escape)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"): content.append(contentsOf: try parseUnicodeEscape().utf8)
    default:
      position -= 1
      throw error("\\\(found) is not an escape")
    }
  }

  private mutating func parseUnicodeEscape() throws -> String {
    let first = try parseHexDigits()
    if let scalar = Unicode.Scalar(first) { return String(Character(scalar)) }
    // Beyond the basic plane a character is escaped as two surrogates.
    guard first < 0xDC00, accept("\\"), accept("u") else {
      throw error("\\u\(String(first, radix: 16)) is half of a surrogate pair")
    }
    let second = try parseHexDigits()
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw error("\\u\(String(first, radix: 16)) is half of a surrogate pair") }
    return String(Character(scalar))
  }

  private mutating func parseHexDigits() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("expected a hexadecimal digit, found \(found)")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  private mutating func skipWhitespace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private var found: String {
    guard let byte = peek else { return "the end" }
    return byte > 0x20 && byte < 0x7F
      ? "'\(Unicode.Scalar(byte))'" : "the byte 0x\(String(byte, radix: 16))"
  }

  private func error(_ message: String) -> JSONError {
    let names = path.map { component in
      switch component {
      case .key(let key): ".\(key)"
      case .index(let index): "[\(index)]"
      }
    }
    return JSONError(message: message, offset: position, path: "$" + names.joined())
  }
}
