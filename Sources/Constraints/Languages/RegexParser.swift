/// A regular expression, alternative by alternative.
struct Regex {
  struct Alternative {
    var body: RuleExpression
    /// True if it begins with `^` or ends with `$`.
    var isAnchoredAtStart = false
    var isAnchoredAtEnd = false
  }

  var alternatives: [Alternative]

  /// Matches from beginning to end, whether anchors are written or not.
  var wholeMatch: RuleExpression { .choice(alternatives.map(\.body)) }

  /// Matches anywhere unless anchored, as JSON Schema's `pattern` does.
  var search: RuleExpression {
    let any = RuleExpression.many(.scalars(.all))
    return .choice(
      alternatives.map {
        .sequence([$0.isAnchoredAtStart ? .empty : any, $0.body, $0.isAnchoredAtEnd ? .empty : any])
      })
  }
}

/// Reads regular expressions in the notation of ECMAScript, as far as they are regular: no look
/// around, no back references, no word boundaries.
///
/// Every character becomes `RuleExpression.scalars`, so that a caller may rewrite it.
struct RegexParser {
  private var reader: SourceReader
  private var depth = 0

  private init(_ text: String) { reader = SourceReader(text, language: "regular expression") }

  /// - Throws: `ConstraintError.syntax`.
  static func parse(_ text: String) throws -> Regex {
    var parser = RegexParser(text)
    return try parser.parseWhole()
  }

  private mutating func parseWhole() throws -> Regex {
    var alternatives: [Regex.Alternative] = []
    repeat {
      var alternative = Regex.Alternative(body: .empty)
      alternative.isAnchoredAtStart = reader.accept("^")
      alternative.body = try parseSequence()
      alternative.isAnchoredAtEnd = reader.accept("$")
      alternatives.append(alternative)
    } while reader.accept("|")
    guard reader.isAtEnd else {
      throw reader.error(
        reader.next == ")"
          ? "')' closes no group" : "expected the end after '$', found \(reader.found)")
    }
    return Regex(alternatives: alternatives)
  }

  private mutating func parseAlternatives() throws -> RuleExpression {
    var alternatives = [try parseSequence()]
    while reader.accept("|") { alternatives.append(try parseSequence()) }
    return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
  }

  private mutating func parseSequence() throws -> RuleExpression {
    var items: [RuleExpression] = []
    while let scalar = reader.next, scalar != "|", scalar != ")" {
      if scalar == "$", reader.peek(1) == nil || (depth == 0 && reader.peek(1) == "|") { break }
      items.append(try parseQuantifier(of: parseAtom()))
    }
    return items.count == 1 ? items[0] : .sequence(items)
  }

  private mutating func parseQuantifier(of atom: RuleExpression) throws -> RuleExpression {
    let start = reader.position
    let item: RuleExpression
    switch reader.next {
    case "*": item = .repetition(atom, least: 0, most: nil)
    case "+": item = .repetition(atom, least: 1, most: nil)
    case "?": item = .repetition(atom, least: 0, most: 1)
    case "{":
      reader.skip()
      let bounds = try reader.repetitionBounds()
      guard max(bounds.least, bounds.most ?? 0) <= GBNFParser.mostRepetitions else {
        throw reader.error("more than \(GBNFParser.mostRepetitions) repetitions", at: start)
      }
      // A lazy quantifier matches the same texts.
      _ = reader.accept("?")
      try refuseQuantifier()
      return .repetition(atom, least: bounds.least, most: bounds.most)
    default: return atom
    }
    reader.skip()
    _ = reader.accept("?")
    try refuseQuantifier()
    return item
  }

  private func refuseQuantifier() throws {
    if let next = reader.next, ["*", "+", "?", "{"].contains(next) {
      throw reader.error("\(reader.found) repeats a repetition; put the first into a group")
    }
  }

  private mutating func parseAtom() throws -> RuleExpression {
    let start = reader.position
    guard let scalar = reader.take() else { return .empty }
    switch scalar {
    case "(": return try parseGroup(start)
    case "[": return .scalars(try parseClass(start))
    case ".": return .scalars(Self.lineTerminators.inverted)
    case "\\": return .scalars(try parseEscape(start, inClass: false))
    case "*", "+", "?", "{":
      throw reader.error("'\(Character(scalar))' has nothing before it to repeat", at: start)
    case "^", "$":
      throw reader.error(
        "'\(Character(scalar))' is supported at the ends of the expression and of its "
          + "alternatives only", at: start)
    default: return .scalars(ScalarSet(scalar.value))
    }
  }

  private mutating func parseGroup(_ start: Int) throws -> RuleExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= GBNFParser.deepestNesting else {
      throw reader.error("groups nest deeper than \(GBNFParser.deepestNesting)", at: start)
    }
    if reader.accept("?") {
      if reader.next == "<", let after = reader.peek(1), after != "=", after != "!" {
        while let next = reader.take(), next != ">" {}
      } else if !reader.accept(":") {
        throw reader.error("groups with '(?\(reader.found)' are not supported", at: start)
      }
    }
    let body = try parseAlternatives()
    guard reader.accept(")") else {
      throw reader.error("expected ')', found \(reader.found); the group is not closed", at: start)
    }
    return body
  }

  private mutating func parseClass(_ start: Int) throws -> ScalarSet {
    let isInverted = reader.accept("^")
    var set = ScalarSet()
    var ranges: [ClosedRange<UInt32>] = []
    while !reader.accept("]") {
      let place = reader.position
      let first = try parseClassMember(start)
      if reader.next == "-", let after = reader.peek(1), after != "]" {
        reader.skip()
        let last = try parseClassMember(start)
        guard let low = first.single, let high = last.single, low <= high else {
          throw reader.error("the range is not one of characters in order", at: place)
        }
        ranges.append(low...high)
      } else {
        ranges.append(contentsOf: first.ranges)
      }
    }
    set = ScalarSet(ranges)
    return isInverted ? set.inverted : set
  }

  private mutating func parseClassMember(_ start: Int) throws -> ScalarSet {
    let place = reader.position
    guard let scalar = reader.take() else {
      throw reader.error("the character class does not end", at: start)
    }
    return scalar == "\\" ? try parseEscape(place, inClass: true) : ScalarSet(scalar.value)
  }

  private mutating func parseEscape(_ start: Int, inClass: Bool) throws -> ScalarSet {
    guard let escape = reader.take() else { throw reader.error("the text ends with '\\'") }
    switch escape {
    case "d": return Self.digits
    case "D": return Self.digits.inverted
    case "w": return Self.words
    case "W": return Self.words.inverted
    case "s": return Self.spaces
    case "S": return Self.spaces.inverted
    case "n": return ScalarSet(0x0A)
    case "r": return ScalarSet(0x0D)
    case "t": return ScalarSet(0x09)
    case "f": return ScalarSet(0x0C)
    case "v": return ScalarSet(0x0B)
    case "b" where inClass: return ScalarSet(0x08)
    case "x": return ScalarSet(try reader.hexScalar(2))
    case "u":
      guard reader.accept("{") else { return ScalarSet(try reader.hexScalar(4)) }
      var digits = 0
      while let next = reader.peek(digits), next != "}", digits < 7 { digits += 1 }
      let value = try reader.hexScalar(digits)
      guard digits > 0, reader.accept("}") else {
        throw reader.error("expected '\\u{…}'", at: start)
      }
      return ScalarSet(value)
    case "a"..."z", "A"..."Z", "0"..."9":
      throw reader.error("'\\\(Character(escape))' is not supported", at: start)
    default: return ScalarSet(escape.value)
    }
  }

  private static let lineTerminators = ScalarSet([
    0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029,
  ])
  private static let digits = ScalarSet([0x30...0x39])
  private static let words = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
  private static let spaces = ScalarSet([
    0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029,
    0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
  ])
}

extension ScalarSet {
  /// The only member; nil if there are none or several.
  var single: UInt32? {
    guard ranges.count == 1, let range = ranges.first, range.count == 1 else { return nil }
    return range.lowerBound
  }
}
