import Tokenization

/// Pieces of JSON documents as rules.
///
/// Strings in which something is looked for (keys, patterns, lengths) are written in one way only:
/// every character as itself but for `"`, `\` and control characters, these as their short escapes
/// or `\u00xx`. So bytes are equal where texts are.
enum JSONText {
  /// No space, a space, or a line break with an indent: bounded, so that no model can write space
  /// for ever.
  static let space = RuleExpression.choice([
    .empty, .text(" "), .sequence([.text("\n"), indent]),
  ])
  private static let indent = RuleExpression.repetition(
    .scalars(ScalarSet([0x09...0x09, 0x20...0x20])), least: 0, most: 20)

  /// Characters that stand for themselves in a string.
  static let plain = ScalarSet([0x20...0x21, 0x23...0x5B, 0x5D...ScalarSet.last])

  private static let shortEscapes: [(scalar: UInt32, letter: String)] = [
    (0x22, "\""), (0x5C, "\\"), (0x08, "b"), (0x0C, "f"), (0x0A, "n"), (0x0D, "r"), (0x09, "t"),
  ]

  // MARK: One way to write each character

  /// One character of the set, within quotes.
  static func character(_ set: ScalarSet) -> RuleExpression {
    var ways: [RuleExpression] = []
    let itself = set.intersection(plain)
    if !itself.isEmpty { ways.append(.scalars(itself)) }
    for scalar in UInt32(0)..<0x5D where !plain.contains(scalar) && set.contains(scalar) {
      ways.append(.bytes(escaped(scalar)))
    }
    return ways.count == 1 ? ways[0] : .choice(ways)
  }

  static let anyCharacter = character(.all)

  /// A text within quotes, as bytes.
  static func quoted(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = [0x22]
    for scalar in text.unicodeScalars {
      if plain.contains(scalar.value) {
        bytes.append(contentsOf: String(Character(scalar)).utf8)
      } else {
        bytes.append(contentsOf: escaped(scalar.value))
      }
    }
    bytes.append(0x22)
    return bytes
  }

  private static func escaped(_ scalar: UInt32) -> [UInt8] {
    if let short = shortEscapes.first(where: { $0.scalar == scalar }) {
      return Array("\\\(short.letter)".utf8)
    }
    let hex = String(scalar, radix: 16)
    return Array(("\\u" + String(repeating: "0", count: 4 - hex.count) + hex).utf8)
  }

  /// A value as bytes, without space.
  static func bytes(_ value: JSONValue) -> [UInt8] {
    switch value {
    case .string(let text): return quoted(text)
    case .array(let items):
      return [0x5B] + items.map { bytes($0) }.joined(separator: [0x2C]) + [0x5D]
    case .object(let object):
      let members = object.entries.map { quoted($0.key) + [0x3A] + bytes($0.value) }
      return [0x7B] + members.joined(separator: [0x2C]) + [0x7D]
    default: return Array(value.serialized().utf8)
    }
  }

  /// Rewrites what stands for characters of a text as what stands for them within quotes.
  static func encoded(_ body: RuleExpression) -> RuleExpression {
    switch body {
    case .scalars(let set): character(set)
    case .bytes(let bytes):
      .bytes(Array(quoted(String(decoding: bytes, as: UTF8.self)).dropFirst().dropLast()))
    case .sequence(let parts): .sequence(parts.map(encoded))
    case .choice(let parts): .choice(parts.map(encoded))
    case .repetition(let part, let least, let most):
      .repetition(encoded(part), least: least, most: most)
    case .intersection(let left, let right): .intersection(encoded(left), encoded(right))
    case .difference(let left, let right): .difference(encoded(left), encoded(right))
    case .rule, .automaton: body
    }
  }

  static func quotes(_ body: RuleExpression) -> RuleExpression {
    .sequence([.text("\""), body, .text("\"")])
  }

  // MARK: All ways

  /// Any string, with all escapes of RFC 8259 that stand for characters.
  static let string = quotes(.many(.choice([.scalars(plain), escape])))

  private static let escape = RuleExpression.sequence([
    .text("\\"),
    .choice([
      .scalars(ScalarSet(Array("\"\\/bfnrt".utf8).map { UInt32($0)...UInt32($0) })),
      .sequence([.text("u"), codeUnits]),
    ]),
  ])

  /// Four digits of a character, or eight and `\u` of one beyond U+FFFF; no half surrogates.
  private static let codeUnits: RuleExpression = {
    let hex = RuleExpression.scalars(ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66]))
    let notD = RuleExpression.scalars(
      ScalarSet([0x30...0x39, 0x41...0x43, 0x45...0x46, 0x61...0x63, 0x65...0x66]))
    let d = RuleExpression.choice([.text("d"), .text("D")])
    let high = RuleExpression.scalars(ScalarSet([0x38...0x39, 0x41...0x42, 0x61...0x62]))
    let low = RuleExpression.scalars(ScalarSet([0x43...0x46, 0x63...0x66]))
    return .choice([
      .sequence([notD, hex, hex, hex]),
      .sequence([d, .range("0", "7"), hex, hex]),
      .sequence([d, high, hex, hex, .text("\\u"), d, low, hex, hex]),
    ])
  }()

  /// Any number that a double holds: up to 15 digits before the point, 16 after it, and an exponent
  /// of up to two digits.
  static let number = RuleExpression.sequence([
    .optional(.text("-")), naturalNumber,
    .optional(.sequence([.text("."), .repetition(.digit, least: 1, most: 16)])),
    .optional(
      .sequence([
        .scalars(ScalarSet([0x45...0x45, 0x65...0x65])),
        .optional(.scalars(ScalarSet([0x2B...0x2B, 0x2D...0x2D]))),
        .repetition(.digit, least: 1, most: 2),
      ])),
  ])

  private static let naturalNumber = RuleExpression.choice([
    .text("0"), .sequence([.range("1", "9"), .repetition(.digit, least: 0, most: 14)]),
  ])

  // MARK: Structure

  /// Items between brackets or braces.
  static func enclosed(_ open: String, _ items: RuleExpression, _ close: String) -> RuleExpression {
    .sequence([.text(open), space, .optional(.sequence([items, space])), .text(close)])
  }

  static let comma = RuleExpression.sequence([space, .text(","), space])

  static func member(_ key: RuleExpression, _ value: RuleExpression) -> RuleExpression {
    .sequence([key, space, .text(":"), space, value])
  }

  /// `least...most` items with commas between them.
  static func list(_ item: RuleExpression, least: Int, most: Int?) -> RuleExpression {
    if most == 0 { return .empty }
    let several = RuleExpression.sequence([
      item,
      .repetition(
        .sequence([comma, item]), least: max(least - 1, 0), most: most.map { max($0 - 1, 0) }),
    ])
    return least == 0 ? .optional(several) : several
  }
}
