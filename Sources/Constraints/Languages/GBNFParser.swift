/// Reads grammars in GBNF, the dialect of llama.cpp.
///
/// Rules are `name ::= alternatives`; a rule ends with its line unless a group is open or the line
/// ends with `::=` or `|`, and a line that begins with `|` goes on with the rule before.
struct GBNFParser {
  /// Groups may nest this deep.
  static let deepestNesting = 200
  /// Largest bound of a repetition.
  static let mostRepetitions = 10_000

  private var reader: SourceReader
  private var rules = GrammarRules()
  private var indices: [String: Int] = [:]
  /// Where each rule was defined, and where it was first mentioned.
  private var definitions: [Int: Int] = [:]
  private var mentions: [Int] = []
  private var depth = 0

  private init(_ text: String) { reader = SourceReader(text, language: "grammar") }

  /// - Throws: `ConstraintError.syntax`.
  static func parse(_ text: String) throws -> GrammarRules {
    var parser = GBNFParser(text)
    return try parser.parseGrammar()
  }

  private mutating func parseGrammar() throws -> GrammarRules {
    skipSpace(newlines: true)
    while !reader.isAtEnd {
      try parseRule()
      skipSpace(newlines: true)
    }
    for rule in rules.names.indices where definitions[rule] == nil {
      throw reader.error("the rule '\(rules.names[rule])' is not defined", at: mentions[rule])
    }
    guard let root = indices["root"] else {
      throw reader.error("there is no rule 'root', which stands for the whole text")
    }
    rules.root = root
    return rules
  }

  private mutating func parseRule() throws {
    let start = reader.position
    guard let name = name() else {
      throw reader.error("expected the name of a rule, found \(reader.found)")
    }
    let rule = index(of: name, at: start)
    if let first = definitions[rule] {
      throw reader.error(
        "the rule '\(name)' is defined twice, first at \(reader.location(first))", at: start)
    }
    definitions[rule] = start
    skipSpace(newlines: false)
    guard reader.accept("::=") else {
      throw reader.error("expected '::=' after '\(name)', found \(reader.found)")
    }
    skipSpace(newlines: true)
    rules.bodies[rule] = try parseAlternatives(nested: false)
    guard reader.isAtEnd || isAtLineEnd else {
      throw reader.error("expected the end of the rule '\(name)', found \(reader.found)")
    }
  }

  private mutating func parseAlternatives(nested: Bool) throws -> RuleExpression {
    var alternatives = [try parseSequence(nested: nested)]
    while acceptBar(nested: nested) {
      skipSpace(newlines: true)
      alternatives.append(try parseSequence(nested: nested))
    }
    return alternatives.count == 1 ? alternatives[0] : .choice(alternatives)
  }

  /// A bar, also at the beginning of a later line.
  private mutating func acceptBar(nested: Bool) -> Bool {
    let start = reader.position
    skipSpace(newlines: true)
    if reader.accept("|") { return true }
    reader.move(to: start)
    return false
  }

  private mutating func parseSequence(nested: Bool) throws -> RuleExpression {
    var items: [RuleExpression] = []
    while true {
      skipSpace(newlines: nested)
      // On a later line `name ::=` begins the next rule; a group that is open takes it for one too.
      if nested, isAtRule { break }
      guard let item = try parseItem() else { break }
      items.append(try parseQuantifiers(of: item, nested: nested))
    }
    return items.count == 1 ? items[0] : .sequence(items)
  }

  private mutating func parseItem() throws -> RuleExpression? {
    let start = reader.position
    switch reader.next {
    case "\"":
      reader.skip()
      return try parseLiteral()
    case "[":
      reader.skip()
      return .scalars(try parseClass())
    case ".":
      reader.skip()
      return .scalars(.all)
    case "(":
      reader.skip()
      return try parseGroup(start)
    case "<", "!":
      throw reader.error(
        "terminals that name tokens are not supported; write the text of the token instead")
    case "*", "+", "?", "{":
      throw reader.error("\(reader.found) has nothing before it to repeat")
    default:
      guard let name = name() else { return nil }
      return .rule(index(of: name, at: start))
    }
  }

  private mutating func parseGroup(_ start: Int) throws -> RuleExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepestNesting else {
      throw reader.error("groups nest deeper than \(Self.deepestNesting)", at: start)
    }
    let body = try parseAlternatives(nested: true)
    skipSpace(newlines: true)
    guard reader.accept(")") else {
      throw reader.error(
        "expected ')' for the group of \(reader.location(start)), found \(reader.found)")
    }
    return body
  }

  private mutating func parseQuantifiers(
    of item: RuleExpression, nested: Bool
  ) throws -> RuleExpression {
    var item = item
    var count = 0
    while true {
      let start = reader.position
      skipSpace(newlines: nested)
      switch reader.next {
      case "*": item = .repetition(item, least: 0, most: nil)
      case "+": item = .repetition(item, least: 1, most: nil)
      case "?": item = .repetition(item, least: 0, most: 1)
      case "{":
        let brace = reader.position
        reader.skip()
        let bounds = try reader.repetitionBounds()
        guard max(bounds.least, bounds.most ?? 0) <= Self.mostRepetitions else {
          throw reader.error("more than \(Self.mostRepetitions) repetitions", at: brace)
        }
        item = .repetition(item, least: bounds.least, most: bounds.most)
        count += 1
        try checkQuantifiers(count)
        continue
      default:
        reader.move(to: start)
        return item
      }
      count += 1
      try checkQuantifiers(count)
      reader.skip()
    }
  }

  private func checkQuantifiers(_ count: Int) throws {
    guard count <= 4 else {
      throw reader.error("more than 4 repetitions of one another")
    }
  }

  // MARK: Characters

  private mutating func parseLiteral() throws -> RuleExpression {
    let start = reader.position - 1
    var text = String.UnicodeScalarView()
    while let scalar = reader.next {
      if scalar == "\"" {
        reader.skip()
        return .text(String(text))
      }
      if scalar == "\n" { break }
      if let character = Unicode.Scalar(try parseCharacter()) { text.append(character) }
    }
    throw reader.error("the literal does not end on its line", at: start)
  }

  private mutating func parseClass() throws -> ScalarSet {
    let start = reader.position - 1
    let isInverted = reader.accept("^")
    var ranges: [ClosedRange<UInt32>] = []
    while let scalar = reader.next, scalar != "\n" {
      if reader.accept("]") {
        let set = ScalarSet(ranges)
        return isInverted ? set.inverted : set
      }
      let place = reader.position
      let first = try parseCharacter()
      var last = first
      if reader.next == "-", let after = reader.peek(1), after != "]" {
        reader.skip()
        last = try parseCharacter()
      }
      guard first <= last else { throw reader.error("the range is in the wrong order", at: place) }
      ranges.append(first...last)
    }
    throw reader.error("the character class does not end on its line", at: start)
  }

  /// One character of a literal or class, escaped or not.
  private mutating func parseCharacter() throws -> UInt32 {
    guard let scalar = reader.take() else { throw reader.error("the text ends within quotes") }
    guard scalar == "\\" else { return scalar.value }
    let start = reader.position - 1
    guard let escape = reader.take() else { throw reader.error("the text ends with '\\'") }
    switch escape {
    case "x": return try reader.hexScalar(2)
    case "u": return try reader.hexScalar(4)
    case "U": return try reader.hexScalar(8)
    case "n": return 0x0A
    case "r": return 0x0D
    case "t": return 0x09
    case "\\", "\"", "[", "]", "-", "^", "'", "/": return escape.value
    default: throw reader.error("'\\\(Character(escape))' is not an escape", at: start)
    }
  }

  // MARK: Space and names

  private mutating func skipSpace(newlines: Bool) {
    while let scalar = reader.next {
      switch scalar {
      case " ", "\t": reader.skip()
      case "#": while let next = reader.next, next != "\n", next != "\r" { reader.skip() }
      case "\n", "\r":
        guard newlines else { return }
        reader.skip()
      default: return
      }
    }
  }

  private var isAtLineEnd: Bool { reader.next == "\n" || reader.next == "\r" }

  private static func isName(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "-", "_": true
    default: false
    }
  }

  private mutating func name() -> String? {
    var name = String.UnicodeScalarView()
    while let scalar = reader.next, Self.isName(scalar) {
      name.append(scalar)
      reader.skip()
    }
    return name.isEmpty ? nil : String(name)
  }

  /// True at `name ::=`.
  private var isAtRule: Bool {
    var ahead = self.reader
    let start = ahead.position
    while let scalar = ahead.next, Self.isName(scalar) { ahead.skip() }
    guard ahead.position > start else { return false }
    while ahead.next == " " || ahead.next == "\t" { ahead.skip() }
    return ahead.accept("::=")
  }

  private mutating func index(of name: String, at place: Int) -> Int {
    if let known = indices[name] { return known }
    let index = rules.add(name)
    indices[name] = index
    mentions.append(place)
    return index
  }
}
