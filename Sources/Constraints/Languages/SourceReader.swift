/// Reads a source text scalar by scalar and knows where it is.
struct SourceReader {
  let language: String
  private let scalars: [Unicode.Scalar]
  private(set) var position = 0

  init(_ text: String, language: String) {
    scalars = Array(text.unicodeScalars)
    self.language = language
  }

  var isAtEnd: Bool { position >= scalars.count }

  /// The next scalar; nil at the end.
  var next: Unicode.Scalar? { peek(0) }

  func peek(_ distance: Int) -> Unicode.Scalar? {
    position + distance < scalars.count ? scalars[position + distance] : nil
  }

  mutating func skip(_ count: Int = 1) { position = min(position + count, scalars.count) }

  mutating func move(to position: Int) { self.position = position }

  mutating func take() -> Unicode.Scalar? {
    guard let scalar = next else { return nil }
    position += 1
    return scalar
  }

  mutating func accept(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    position += 1
    return true
  }

  mutating func accept(_ text: String) -> Bool {
    for (distance, scalar) in text.unicodeScalars.enumerated()
    where peek(distance) != scalar { return false }
    skip(text.unicodeScalars.count)
    return true
  }

  /// A decimal number below a million; nil where there is no digit or the number is larger.
  mutating func number() -> Int? {
    var value: Int?
    while let digit = next.flatMap({ Self.digit($0, radix: 10) }) {
      let sum = (value ?? 0) * 10 + Int(digit)
      guard sum < 1_000_000 else { return nil }
      value = sum
      position += 1
    }
    return value
  }

  /// Exactly `count` hexadecimal digits as a Unicode scalar.
  mutating func hexScalar(_ count: Int) throws -> UInt32 {
    let start = position
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let digit = next.flatMap({ Self.digit($0, radix: 16) }) else {
        throw error("expected \(count) hexadecimal digits, found \(found)")
      }
      value = value << 4 | digit
      position += 1
    }
    guard Unicode.Scalar(value) != nil else {
      throw error(
        "U+\(String(value, radix: 16, uppercase: true)) is not a character", at: start)
    }
    return value
  }

  private static func digit(_ scalar: Unicode.Scalar, radix: UInt32) -> UInt32? {
    let value: UInt32
    switch scalar {
    case "0"..."9": value = scalar.value - 0x30
    case "a"..."f": value = scalar.value - 0x61 + 10
    case "A"..."F": value = scalar.value - 0x41 + 10
    default: return nil
    }
    return value < radix ? value : nil
  }

  /// What is next, for messages.
  var found: String {
    guard let scalar = next else { return "the end" }
    switch scalar {
    case "\n", "\r": return "the end of the line"
    case _ where scalar.value < 0x20 || scalar.value == 0x7F:
      return "the character U+\(String(scalar.value, radix: 16, uppercase: true))"
    default: return "'\(Character(scalar))'"
    }
  }

  func error(_ message: String, at place: Int? = nil) -> ConstraintError {
    .syntax(language: language, at: location(place ?? position), message: message)
  }

  func location(_ place: Int) -> SourceLocation {
    let before = scalars[..<min(place, scalars.count)]
    let lineStart = before.lastIndex(of: "\n").map { $0 + 1 } ?? 0
    return SourceLocation(
      line: before.reduce(1) { $0 + ($1 == "\n" ? 1 : 0) }, column: before.count - lineStart + 1)
  }
}

extension SourceReader {
  /// Bounds of a repetition after its `{`: `m}`, `m,}` or `m,n}`, and `,n}` where that is allowed.
  mutating func repetitionBounds() throws -> (least: Int, most: Int?) {
    let start = position
    skipBlanks()
    let first = number()
    skipBlanks()
    guard accept(",") else {
      guard let first, accept("}") else {
        throw error("expected '{m}', '{m,}' or '{m,n}', found \(found)")
      }
      return (first, first)
    }
    skipBlanks()
    let second = number()
    skipBlanks()
    guard accept("}") else {
      throw error("expected a number below a million or '}', found \(found)")
    }
    let least = first ?? 0
    if let second, second < least {
      throw error("the repetition goes from \(least) to \(second)", at: start)
    }
    return (least, second)
  }

  private mutating func skipBlanks() {
    while next == " " || next == "\t" { position += 1 }
  }
}
