/// What a rule of a grammar stands for: the one form into which all constraint languages are
/// translated.
indirect enum RuleExpression: Sendable {
  /// Exactly these bytes.
  case bytes([UInt8])
  /// One character of the set, in UTF-8.
  case scalars(ScalarSet)
  /// All, one after the other.
  case sequence([RuleExpression])
  /// One of these; nothing at all if there are none.
  case choice([RuleExpression])
  /// As often as `least...most`, without end if `most` is nil.
  case repetition(RuleExpression, least: Int, most: Int?)
  /// What the rule of this index stands for.
  case rule(Int)
  /// What an automaton without calls accepts.
  case automaton(Automaton)
  /// The texts that are in both. Both must be regular.
  case intersection(RuleExpression, RuleExpression)
  /// The texts of the first that are not in the second. Both must be regular.
  case difference(RuleExpression, RuleExpression)

  /// The empty text.
  static let empty = RuleExpression.bytes([])
  /// No text at all.
  static let never = RuleExpression.choice([])

  static func text(_ text: String) -> RuleExpression { .bytes(Array(text.utf8)) }

  static func optional(_ body: RuleExpression) -> RuleExpression {
    .repetition(body, least: 0, most: 1)
  }

  static func many(_ body: RuleExpression) -> RuleExpression {
    .repetition(body, least: 0, most: nil)
  }

  /// One ASCII character of `first...last`.
  static func range(_ first: Character, _ last: Character) -> RuleExpression {
    guard let low = first.asciiValue, let high = last.asciiValue, low <= high else { return .never }
    return .scalars(ScalarSet([UInt32(low)...UInt32(high)]))
  }

  static let digit = range("0", "9")
}

/// Rules before they are compiled.
struct GrammarRules: Sendable {
  /// Names, for error messages.
  var names: [String] = []
  var bodies: [RuleExpression] = []
  /// The rule that stands for whole texts.
  var root = 0

  /// Adds a rule whose body may be set later.
  mutating func add(_ name: String, _ body: RuleExpression = .never) -> Int {
    names.append(name)
    bodies.append(body)
    return names.count - 1
  }
}
