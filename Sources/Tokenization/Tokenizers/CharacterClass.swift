/// The classes of Unicode scalars that pre-tokenizers tell apart.
enum CharacterClass: UInt8 {
  /// `\p{L}`.
  case letter
  /// `\p{N}`.
  case number
  /// `\s`: the property White_Space.
  case whitespace
  /// Everything else: punctuation, symbols, marks, controls, and bytes that are not UTF-8.
  case other

  /// The classes of ASCII, by code.
  static let ascii: [CharacterClass] = (0..<128).map { code in
    switch UInt8(code) {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): .letter
    case UInt8(ascii: "0")...UInt8(ascii: "9"): .number
    case 0x09...0x0D, 0x20: .whitespace
    default: .other
    }
  }

  init(_ scalar: Unicode.Scalar) {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      self = .letter
    case .decimalNumber, .letterNumber, .otherNumber:
      self = .number
    default:
      self = scalar.properties.isWhitespace ? .whitespace : .other
    }
  }
}

/// UTF-8, one scalar at a time, without ever failing.
enum UTF8Scanner {
  /// How many bytes a sequence that starts with `lead` has; 1 for what cannot start one.
  @inline(__always)
  static func width(lead: UInt8) -> Int {
    switch lead {
    case 0xC2...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF4: 4
    default: 1
    }
  }

  /// The scalar at `position` and its width, within `text[..<end]`. A byte that is not part of
  /// valid UTF-8 counts as a scalar of its own, given as `nil`.
  static func scalar(_ text: [UInt8], at position: Int, end: Int) -> (Unicode.Scalar?, width: Int) {
    let lead = text[position]
    if lead < 0x80 { return (Unicode.Scalar(lead), 1) }
    let width = width(lead: lead)
    guard width > 1, position + width <= end else { return (nil, 1) }
    var code = UInt32(lead) & (0x7F >> UInt32(width))
    for offset in 1..<width {
      let byte = text[position + offset]
      guard byte & 0xC0 == 0x80 else { return (nil, 1) }
      code = code << 6 | UInt32(byte & 0x3F)
    }
    let smallest: UInt32 = width == 2 ? 0x80 : width == 3 ? 0x800 : 0x1_0000
    guard code >= smallest, let scalar = Unicode.Scalar(code) else { return (nil, 1) }
    return (scalar, width)
  }

  /// Where the last sequence of `bytes` starts if it is the beginning of a valid one that needs
  /// more bytes, else the end.
  static func endOfCompleteText(_ bytes: [UInt8]) -> Int {
    var start = bytes.count
    for _ in 0..<3 {
      guard start > 0 else { break }
      start -= 1
      let lead = bytes[start]
      if lead & 0xC0 == 0x80 { continue }
      let have = bytes.count - start
      guard have < width(lead: lead), lead >= 0xC2 else { break }
      if have > 1, !isValidSecond(bytes[start + 1], lead: lead) { break }
      return start
    }
    return bytes.count
  }

  /// Whether `byte` may follow `lead`: excludes overlong forms, surrogates and codes past U+10FFFF.
  private static func isValidSecond(_ byte: UInt8, lead: UInt8) -> Bool {
    switch lead {
    case 0xE0: (0xA0...0xBF).contains(byte)
    case 0xED: (0x80...0x9F).contains(byte)
    case 0xF0: (0x90...0xBF).contains(byte)
    case 0xF4: (0x80...0x8F).contains(byte)
    default: (0x80...0xBF).contains(byte)
    }
  }
}
