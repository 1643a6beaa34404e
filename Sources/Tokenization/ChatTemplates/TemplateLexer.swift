/// One piece of a template.
struct TemplateToken {
  enum Kind: Equatable {
    /// Text outside of tags, whitespace control applied.
    case text(String)
    /// `{{`.
    case outputBegin
    /// `}}`.
    case outputEnd
    /// `{%`.
    case blockBegin
    /// `%}`.
    case blockEnd
    case name(String)
    case string(String)
    case integer(Int)
    case float(Double)
    case symbol(String)
    case end
  }

  var kind: Kind
  /// Byte offset in the source.
  var offset: Int
}

/// Cuts a template into tokens, with the whitespace rules of Jinja under `trim_blocks` and
/// `lstrip_blocks`, the environment chat templates are written for: the line break after a block tag
/// and the spaces before it go, unless the tag carries a `+`; a `-` takes all whitespace.
struct TemplateLexer {
  /// The source, line ends normalised to `\n` and one line end at the very end dropped, as Jinja
  /// does.
  let source: [UInt8]
  private var position = 0
  private var tokens: [TemplateToken] = []
  /// Whether the last tag ended with a line break, so that the next text starts a line.
  private var isAtLineStart = true

  private enum Tag {
    case output, block, comment
  }

  init(_ text: String) {
    var source: [UInt8] = []
    source.reserveCapacity(text.utf8.count)
    var previous: UInt8 = 0
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\r") {
        source.append(UInt8(ascii: "\n"))
      } else if byte != UInt8(ascii: "\n") || previous != UInt8(ascii: "\r") {
        source.append(byte)
      }
      previous = byte
    }
    if source.last == UInt8(ascii: "\n") { source.removeLast() }
    self.source = source
  }

  mutating func tokenize() throws -> [TemplateToken] {
    while let (tag, open) = nextTag() {
      let textStart = position
      position = open + 2
      let sign = acceptSign()
      emitText(textStart..<open, sign: sign, isOutput: tag == .output)
      switch tag {
      case .comment: try skipComment(from: open)
      case .output: try lexTag(from: open, begin: .outputBegin, end: .outputEnd, close: "}}")
      case .block:
        if !(try lexRaw(from: open)) {
          try lexTag(from: open, begin: .blockBegin, end: .blockEnd, close: "%}")
        }
      }
    }
    emit(.text(string(position..<source.count)), at: position)
    emit(.end, at: source.count)
    return tokens
  }

  // MARK: Text and tags

  private func nextTag() -> (Tag, Int)? {
    var at = position
    while at + 1 < source.count {
      if source[at] == UInt8(ascii: "{") {
        switch source[at + 1] {
        case UInt8(ascii: "{"): return (.output, at)
        case UInt8(ascii: "%"): return (.block, at)
        case UInt8(ascii: "#"): return (.comment, at)
        default: break
        }
      }
      at += 1
    }
    return nil
  }

  private mutating func acceptSign() -> UInt8? {
    guard let byte = peek(0), byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") else {
      return nil
    }
    position += 1
    return byte
  }

  /// Emits the text before a tag, without what the tag strips.
  private mutating func emitText(_ range: Range<Int>, sign: UInt8?, isOutput: Bool) {
    var end = range.upperBound
    if sign == UInt8(ascii: "-") {
      while end > range.lowerBound, isWhitespace(source[end - 1]) { end -= 1 }
    } else if sign == nil, !isOutput {
      var lineStart = end
      while lineStart > range.lowerBound, source[lineStart - 1] != UInt8(ascii: "\n") {
        lineStart -= 1
      }
      if lineStart > range.lowerBound || isAtLineStart,
        source[lineStart..<end].allSatisfy(isWhitespace)
      {
        end = lineStart
      }
    }
    emit(.text(string(range.lowerBound..<end)), at: range.lowerBound)
  }

  private mutating func skipComment(from open: Int) throws {
    while position + 1 < source.count {
      if source[position] == UInt8(ascii: "#"), source[position + 1] == UInt8(ascii: "}") {
        let sign = source[position - 1]
        position += 2
        endTag(sign: sign, trimsLine: true)
        return
      }
      position += 1
    }
    throw TemplateFailure(.syntax, "the comment does not end", at: open)
  }

  /// `{% raw %}` to `{% endraw %}`, whose text is taken as it stands.
  private mutating func lexRaw(from open: Int) throws -> Bool {
    let start = position
    guard acceptWord("raw"), let closeSign = acceptClose() else {
      position = start
      return false
    }
    if closeSign == UInt8(ascii: "-") { skipWhitespace() }
    isAtLineStart = source[position - 1] == UInt8(ascii: "\n")
    let textStart = position
    while position + 1 < source.count {
      let tagStart = position
      if source[position] == UInt8(ascii: "{"), source[position + 1] == UInt8(ascii: "%") {
        position += 2
        let sign = acceptSign()
        if acceptWord("endraw"), let closeSign = acceptClose() {
          emitText(textStart..<tagStart, sign: sign, isOutput: false)
          endTag(sign: closeSign, trimsLine: true)
          return true
        }
      }
      position = tagStart + 1
    }
    throw TemplateFailure(.syntax, "{% raw %} without {% endraw %}", at: open)
  }

  private mutating func acceptWord(_ word: String) -> Bool {
    skipWhitespace()
    guard source[position...].starts(with: word.utf8) else { return false }
    position += word.utf8.count
    return true
  }

  /// Steps over `%}` with its sign and returns the sign, or a zero byte without one.
  private mutating func acceptClose() -> UInt8? {
    skipWhitespace()
    let start = position
    let sign = acceptSign() ?? 0
    if peek(0) == UInt8(ascii: "%"), peek(1) == UInt8(ascii: "}") {
      position += 2
      return sign
    }
    position = start
    return nil
  }

  /// Strips what follows a closed tag.
  private mutating func endTag(sign: UInt8, trimsLine: Bool) {
    if sign == UInt8(ascii: "-") {
      skipWhitespace()
    } else if sign != UInt8(ascii: "+"), trimsLine, peek(0) == UInt8(ascii: "\n") {
      position += 1
    }
    isAtLineStart = source[position - 1] == UInt8(ascii: "\n")
  }

  // MARK: Inside of tags

  private mutating func lexTag(
    from open: Int, begin: TemplateToken.Kind, end: TemplateToken.Kind, close: String
  ) throws {
    emit(begin, at: open)
    let close = Array(close.utf8)
    var brackets: [UInt8] = []
    while true {
      skipWhitespace()
      guard let byte = peek(0) else {
        throw TemplateFailure(.syntax, "the tag does not end", at: open)
      }
      if brackets.isEmpty, let sign = acceptEnd(byte, close) {
        emit(end, at: position - 2)
        endTag(sign: sign, trimsLine: end == .blockEnd)
        return
      }
      try lexToken(byte, &brackets)
    }
  }

  private mutating func acceptEnd(_ byte: UInt8, _ close: [UInt8]) -> UInt8? {
    let isBlock = close[0] == UInt8(ascii: "%")
    let hasSign = byte == UInt8(ascii: "-") || isBlock && byte == UInt8(ascii: "+")
    let start = hasSign ? 1 : 0
    guard peek(start) == close[0], peek(start + 1) == close[1] else { return nil }
    position += start + 2
    return hasSign ? byte : 0
  }

  private mutating func lexToken(_ byte: UInt8, _ brackets: inout [UInt8]) throws {
    let start = position
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"):
      try lexNumber()
    case UInt8(ascii: "'"), UInt8(ascii: "\""):
      emit(.string(try lexString(quote: byte)), at: start)
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "_"), 0x80...0xFF:
      while let next = peek(0), isNameByte(next) { position += 1 }
      emit(.name(string(start..<position)), at: start)
    default:
      try lexSymbol(byte, &brackets)
    }
  }

  private static let symbols = [
    "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[",
    "]", "{", "}", ".", ",", ":", "|",
  ]

  private mutating func lexSymbol(_ byte: UInt8, _ brackets: inout [UInt8]) throws {
    guard let symbol = Self.symbols.first(where: { source[position...].starts(with: $0.utf8) })
    else { throw TemplateFailure(.syntax, "unexpected character", at: position) }
    switch symbol {
    case "(": brackets.append(UInt8(ascii: ")"))
    case "[": brackets.append(UInt8(ascii: "]"))
    case "{": brackets.append(UInt8(ascii: "}"))
    case ")", "]", "}":
      guard brackets.popLast() == byte else {
        throw TemplateFailure(.syntax, "unexpected '\(symbol)'", at: position)
      }
    default: break
    }
    emit(.symbol(symbol), at: position)
    position += symbol.utf8.count
  }

  private mutating func lexNumber() throws {
    let start = position
    skipDigits()
    var isFloat = false
    if peek(0) == UInt8(ascii: "."), isDigit(peek(1)) {
      isFloat = true
      position += 1
      skipDigits()
    }
    if peek(0) == UInt8(ascii: "e") || peek(0) == UInt8(ascii: "E") {
      let hasSign = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-")
      if isDigit(peek(hasSign ? 2 : 1)) {
        isFloat = true
        position += hasSign ? 2 : 1
        skipDigits()
      }
    }
    let text = string(start..<position).filter { $0 != "_" }
    if isFloat, let value = Double(text) {
      emit(.float(value), at: start)
    } else if let value = Int(text) {
      emit(.integer(value), at: start)
    } else {
      throw TemplateFailure(.syntax, "the number \(text) is out of range", at: start)
    }
  }

  private mutating func skipDigits() {
    while isDigit(peek(0)) || peek(0) == UInt8(ascii: "_") && isDigit(peek(1)) { position += 1 }
  }

  /// A quoted text with the escapes of Python.
  private mutating func lexString(quote: UInt8) throws -> String {
    let start = position
    position += 1
    var content: [UInt8] = []
    while let byte = peek(0) {
      position += 1
      if byte == quote { return String(decoding: content, as: UTF8.self) }
      if byte == UInt8(ascii: "\\") {
        try lexEscape(into: &content)
      } else {
        content.append(byte)
      }
    }
    throw TemplateFailure(.syntax, "the text does not end", at: start)
  }

  private mutating func lexEscape(into content: inout [UInt8]) throws {
    guard let escape = peek(0) else { return }
    position += 1
    switch escape {
    case UInt8(ascii: "\n"): break
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): content.append(escape)
    case UInt8(ascii: "a"): content.append(0x07)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "v"): content.append(0x0B)
    case UInt8(ascii: "x"): try lexHexEscape(digits: 2, into: &content)
    case UInt8(ascii: "u"): try lexHexEscape(digits: 4, into: &content)
    case UInt8(ascii: "U"): try lexHexEscape(digits: 8, into: &content)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      var code = UInt32(escape - 0x30)
      for _ in 0..<2 {
        guard let digit = peek(0), (0x30...0x37).contains(digit) else { break }
        code = code * 8 + UInt32(digit - 0x30)
        position += 1
      }
      append(code, to: &content)
    default:
      // Python leaves a backslash that escapes nothing where it is.
      content.append(UInt8(ascii: "\\"))
      content.append(escape)
    }
  }

  private mutating func lexHexEscape(digits: Int, into content: inout [UInt8]) throws {
    let start = position
    guard position + digits <= source.count,
      let code = UInt32(string(position..<position + digits), radix: 16),
      Unicode.Scalar(code) != nil
    else { throw TemplateFailure(.syntax, "invalid escape in text", at: start) }
    position += digits
    append(code, to: &content)
  }

  private func append(_ code: UInt32, to content: inout [UInt8]) {
    if let scalar = Unicode.Scalar(code) { content.append(contentsOf: String(scalar).utf8) }
  }

  // MARK: Bytes

  private mutating func emit(_ kind: TemplateToken.Kind, at offset: Int) {
    if case .text("") = kind { return }
    tokens.append(TemplateToken(kind: kind, offset: offset))
  }

  private func peek(_ ahead: Int) -> UInt8? {
    position + ahead < source.count ? source[position + ahead] : nil
  }

  private mutating func skipWhitespace() {
    while let byte = peek(0), isWhitespace(byte) { position += 1 }
  }

  private func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  private func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }

  private func isNameByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "_") || byte >= 0x80
      || (0x41...0x5A).contains(byte & 0xDF)
  }

  private func string(_ range: Range<Int>) -> String {
    String(decoding: source[range], as: UTF8.self)
  }
}
