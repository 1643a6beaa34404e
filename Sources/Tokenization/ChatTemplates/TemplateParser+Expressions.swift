/// Expressions, in order of precedence: conditional, or, and, not, comparison, sum, `~`, product,
/// power, unary, postfix.
extension TemplateParser {
  /// One expression, or several with commas between them, which make a tuple.
  mutating func parseTuple(allowsConditional: Bool = true) throws -> TemplateExpression {
    let offset = current.offset
    let first = try parseExpression(allowsConditional: allowsConditional)
    guard current.kind == .symbol(",") else { return first }
    var items = [first]
    while acceptSymbol(",") {
      if isEndOfTuple { break }
      items.append(try parseExpression(allowsConditional: allowsConditional))
    }
    return TemplateExpression(kind: .tuple(items), offset: offset)
  }

  private var isEndOfTuple: Bool {
    switch current.kind {
    case .outputEnd, .blockEnd, .symbol(")"): true
    default: false
    }
  }

  mutating func parseExpression(allowsConditional: Bool = true) throws -> TemplateExpression {
    try nested { try $0.parseConditional(allowsConditional) }
  }

  private mutating func parseConditional(_ isAllowed: Bool) throws -> TemplateExpression {
    let offset = current.offset
    var value = try parseOr()
    while isAllowed, acceptName("if") {
      let condition = try parseOr()
      let otherwise = acceptName("else") ? try parseExpression() : nil
      value = TemplateExpression(
        kind: .conditional(then: value, condition: condition, otherwise: otherwise),
        offset: offset)
      // `a if b else c` has taken everything to its right; only `a if b` can go on.
      if otherwise != nil { break }
    }
    return value
  }

  private mutating func parseOr() throws -> TemplateExpression {
    let offset = current.offset
    var items = [try parseAnd()]
    while acceptName("or") { items.append(try parseAnd()) }
    return items.count == 1 ? items[0] : TemplateExpression(kind: .or(items), offset: offset)
  }

  private mutating func parseAnd() throws -> TemplateExpression {
    let offset = current.offset
    var items = [try parseNot()]
    while acceptName("and") { items.append(try parseNot()) }
    return items.count == 1 ? items[0] : TemplateExpression(kind: .and(items), offset: offset)
  }

  private mutating func parseNot() throws -> TemplateExpression {
    let offset = current.offset
    guard acceptName("not") else { return try parseComparison() }
    let operand = try nested { try $0.parseNot() }
    return TemplateExpression(kind: .unary(.not, operand), offset: offset)
  }

  private mutating func parseComparison() throws -> TemplateExpression {
    let offset = current.offset
    let first = try parseSum()
    var rest: [(TemplateExpression.ComparisonOperator, TemplateExpression)] = []
    while let comparison = acceptComparison() { rest.append((comparison, try parseSum())) }
    if rest.isEmpty { return first }
    return TemplateExpression(kind: .comparison(first, rest), offset: offset)
  }

  private mutating func acceptComparison() -> TemplateExpression.ComparisonOperator? {
    switch current.kind {
    case .symbol(let symbol):
      guard let comparison = TemplateExpression.ComparisonOperator(rawValue: symbol) else {
        return nil
      }
      advance()
      return comparison
    case .name("in"):
      advance()
      return .isIn
    case .name("not") where next.kind == .name("in"):
      advance()
      advance()
      return .isNotIn
    default:
      return nil
    }
  }

  private mutating func parseSum() throws -> TemplateExpression {
    try parseChain(["+", "-"]) { try $0.parseConcatenation() }
  }

  private mutating func parseConcatenation() throws -> TemplateExpression {
    let offset = current.offset
    var items = [try parseProduct()]
    while acceptSymbol("~") { items.append(try parseProduct()) }
    if items.count == 1 { return items[0] }
    return TemplateExpression(kind: .concatenation(items), offset: offset)
  }

  private mutating func parseProduct() throws -> TemplateExpression {
    try parseChain(["*", "/", "//", "%"]) { parser in
      try parser.parseChain(["**"]) { try $0.parseUnary(withFilters: true) }
    }
  }

  private mutating func parseChain(
    _ operators: [String], operand: (inout TemplateParser) throws -> TemplateExpression
  ) throws -> TemplateExpression {
    let offset = current.offset
    let first = try operand(&self)
    var rest: [(TemplateExpression.ArithmeticOperator, TemplateExpression)] = []
    while case .symbol(let symbol) = current.kind, operators.contains(symbol),
      let arithmetic = TemplateExpression.ArithmeticOperator(rawValue: symbol)
    {
      advance()
      rest.append((arithmetic, try operand(&self)))
    }
    if rest.isEmpty { return first }
    return TemplateExpression(kind: .arithmetic(first, rest), offset: offset)
  }

  /// In `-x|f` the filter applies to `-x`, but in `-x.a` the sign applies to `x.a`.
  private mutating func parseUnary(withFilters: Bool) throws -> TemplateExpression {
    let offset = current.offset
    var value: TemplateExpression
    if acceptSymbol("-") {
      let operand = try nested { try $0.parseUnary(withFilters: false) }
      value = TemplateExpression(kind: .unary(.negate, operand), offset: offset)
    } else if acceptSymbol("+") {
      let operand = try nested { try $0.parseUnary(withFilters: false) }
      value = TemplateExpression(kind: .unary(.plus, operand), offset: offset)
    } else {
      value = try parsePrimary()
    }
    var postfixes = try parsePostfixes()
    if withFilters { postfixes += try parseFiltersAndTests() }
    if postfixes.isEmpty { return value }
    value = TemplateExpression(kind: .postfix(value, postfixes), offset: offset)
    return value
  }

  private mutating func parsePrimary() throws -> TemplateExpression {
    let token = current
    switch token.kind {
    case .name(let name):
      advance()
      return TemplateExpression(kind: constant(name) ?? .name(name), offset: token.offset)
    case .integer(let value):
      advance()
      return TemplateExpression(kind: .integer(value), offset: token.offset)
    case .float(let value):
      advance()
      return TemplateExpression(kind: .float(value), offset: token.offset)
    case .string:
      var text = ""
      while case .string(let part) = current.kind {
        text += part
        advance()
      }
      return TemplateExpression(kind: .string(text), offset: token.offset)
    case .symbol("("):
      advance()
      if acceptSymbol(")") { return TemplateExpression(kind: .tuple([]), offset: token.offset) }
      let value = try parseTuple()
      try expect(.symbol(")"))
      return value
    case .symbol("["):
      advance()
      return TemplateExpression(kind: .list(try parseItems(end: "]")), offset: token.offset)
    case .symbol("{"):
      advance()
      return TemplateExpression(kind: .dictionary(try parsePairs()), offset: token.offset)
    default:
      throw failure("expected a value, found \(found)")
    }
  }

  private func constant(_ name: String) -> TemplateExpression.Kind? {
    switch name {
    case "true", "True": .boolean(true)
    case "false", "False": .boolean(false)
    case "none", "None": TemplateExpression.Kind.none
    default: nil
    }
  }

  private mutating func parseItems(end: String) throws -> [TemplateExpression] {
    var items: [TemplateExpression] = []
    while !acceptSymbol(end) {
      if !items.isEmpty {
        try expect(.symbol(","))
        if acceptSymbol(end) { break }
      }
      items.append(try parseExpression())
    }
    return items
  }

  private mutating func parsePairs() throws -> [(
    key: TemplateExpression, value: TemplateExpression
  )] {
    var pairs: [(key: TemplateExpression, value: TemplateExpression)] = []
    while !acceptSymbol("}") {
      if !pairs.isEmpty {
        try expect(.symbol(","))
        if acceptSymbol("}") { break }
      }
      let key = try parseExpression()
      try expect(.symbol(":"))
      pairs.append((key, try parseExpression()))
    }
    return pairs
  }

  // MARK: Postfixes

  private mutating func parsePostfixes() throws -> [TemplatePostfix] {
    var postfixes: [TemplatePostfix] = []
    while true {
      let offset = current.offset
      if acceptSymbol(".") {
        postfixes.append(TemplatePostfix(kind: try parseAttribute(), offset: offset))
      } else if acceptSymbol("[") {
        postfixes.append(TemplatePostfix(kind: try parseSubscript(), offset: offset))
      } else if acceptSymbol("(") {
        postfixes.append(TemplatePostfix(kind: .call(try parseArguments()), offset: offset))
      } else {
        return postfixes
      }
    }
  }

  private mutating func parseAttribute() throws -> TemplatePostfix.Kind {
    if case .integer(let index) = current.kind {
      let item = TemplateExpression(kind: .integer(index), offset: current.offset)
      advance()
      return .item(item)
    }
    return .attribute(try expectName())
  }

  private mutating func parseSubscript() throws -> TemplatePostfix.Kind {
    var parts: [TemplateExpression?] = [nil]
    while !acceptSymbol("]") {
      if acceptSymbol(":") {
        parts.append(nil)
      } else if case .some(nil) = parts.last {
        parts[parts.count - 1] = try parseTuple()
      } else {
        throw unexpected()
      }
    }
    switch parts.count {
    case 1:
      guard let item = parts[0] else { throw failure("expected a subscript") }
      return .item(item)
    case 2: return .slice(start: parts[0], end: parts[1], step: nil)
    case 3: return .slice(start: parts[0], end: parts[1], step: parts[2])
    default: throw failure("a slice has at most three parts")
    }
  }

  private mutating func parseFiltersAndTests() throws -> [TemplatePostfix] {
    var postfixes: [TemplatePostfix] = []
    while true {
      let offset = current.offset
      if acceptSymbol("|") {
        postfixes.append(try parseFilter())
      } else if acceptName("is") {
        postfixes.append(TemplatePostfix(kind: try parseTest(), offset: offset))
      } else if acceptSymbol("(") {
        postfixes.append(TemplatePostfix(kind: .call(try parseArguments()), offset: offset))
      } else {
        return postfixes
      }
    }
  }

  /// `name|other(…)`, as it stands in `{% filter %}` and behind the first bar of `{% set x | … %}`.
  mutating func parseFilterChain() throws -> [TemplatePostfix] {
    var filters = [try parseFilter()]
    while acceptSymbol("|") { filters.append(try parseFilter()) }
    return filters
  }

  private mutating func parseFilter() throws -> TemplatePostfix {
    let offset = current.offset
    let name = try expectName()
    guard TemplateFilters.exists(name) else {
      throw failure("the filter '\(name)' is unknown", at: offset)
    }
    let arguments = acceptSymbol("(") ? try parseArguments() : TemplateArguments()
    return TemplatePostfix(kind: .filter(name, arguments), offset: offset)
  }

  private mutating func parseTest() throws -> TemplatePostfix.Kind {
    let isNegated = acceptName("not")
    let offset = current.offset
    let name = try expectName()
    guard TemplateTests.exists(name) else {
      throw failure("the test '\(name)' is unknown", at: offset)
    }
    var arguments = TemplateArguments()
    if acceptSymbol("(") {
      arguments = try parseArguments()
    } else if startsTestArgument {
      let offset = current.offset
      let value = try parsePrimary()
      let postfixes = try parsePostfixes()
      arguments.positional = [
        postfixes.isEmpty
          ? value : TemplateExpression(kind: .postfix(value, postfixes), offset: offset)
      ]
    }
    return .test(name, arguments, isNegated: isNegated)
  }

  /// A test takes one argument without parentheses, as in `is divisibleby 3`.
  private var startsTestArgument: Bool {
    switch current.kind {
    case .name(let name): !["else", "or", "and", "is", "if", "in", "not"].contains(name)
    case .string, .integer, .float, .symbol("["), .symbol("{"): true
    default: false
    }
  }

  private mutating func parseArguments() throws -> TemplateArguments {
    var arguments = TemplateArguments()
    var isFirst = true
    while !acceptSymbol(")") {
      if !isFirst {
        try expect(.symbol(","))
        if acceptSymbol(")") { break }
      }
      isFirst = false
      if acceptSymbol("**") {
        arguments.namedSpread = try parseExpression()
      } else if acceptSymbol("*") {
        arguments.spread = try parseExpression()
      } else if case .name(let name) = current.kind, next.kind == .symbol("=") {
        advance()
        advance()
        arguments.named.append((name, try parseExpression()))
      } else if arguments.named.isEmpty {
        arguments.positional.append(try parseExpression())
      } else {
        throw failure("a positional argument follows a named one")
      }
    }
    return arguments
  }
}
