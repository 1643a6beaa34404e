/// Builds the tree of a template: the statements. `TemplateParser+Expressions.swift` has the rest.
struct TemplateParser {
  private let tokens: [TemplateToken]
  private(set) var position = 0
  private var depth = 0
  private var loopDepth = 0

  /// How deep statements and expressions may nest.
  private static let maximumDepth = 96

  init(_ tokens: [TemplateToken]) { self.tokens = tokens }

  mutating func parseTemplate() throws -> [TemplateStatement] {
    let body = try parseBody(until: [])
    guard current.kind == .end else { throw unexpected() }
    return body
  }

  // MARK: Statements

  /// Reads statements up to a block tag named in `ends`, which is left to be read next (its
  /// `{%` already stepped over), or up to the end if `ends` is empty.
  private mutating func parseBody(until ends: [String]) throws -> [TemplateStatement] {
    var body: [TemplateStatement] = []
    while true {
      let offset = current.offset
      switch current.kind {
      case .end:
        if ends.isEmpty { return body }
        throw failure("the template ends where {% \(ends.last ?? "") %} was expected")
      case .text(let text):
        advance()
        body.append(TemplateStatement(kind: .text(text), offset: offset))
      case .outputBegin:
        advance()
        let value = try parseTuple()
        try expect(.outputEnd)
        body.append(TemplateStatement(kind: .output(value), offset: offset))
      case .blockBegin:
        advance()
        guard case .name(let name) = current.kind else { throw unexpected() }
        if ends.contains(name) { return body }
        let kind = try nested { try $0.parseStatement(name) }
        body.append(TemplateStatement(kind: kind, offset: offset))
      default:
        throw unexpected()
      }
    }
  }

  private mutating func parseStatement(_ name: String) throws -> TemplateStatement.Kind {
    let start = current
    advance()
    switch name {
    case "if": return try parseBranches()
    case "for": return try parseLoop()
    case "set": return try parseSet()
    case "macro": return try parseMacro()
    case "call": return try parseCall()
    case "with": return try parseWith()
    case "filter":
      let filters = try parseFilterChain()
      return .filtered(filters, try parseBlock("endfilter"))
    case "generation": return .group(try parseBlock("endgeneration"))
    case "do":
      let value = try parseTuple()
      try expect(.blockEnd)
      return .evaluate(value)
    case "break", "continue":
      guard loopDepth > 0 else { throw failure("'\(name)' outside of a loop", at: start.offset) }
      try expect(.blockEnd)
      return name == "break" ? .breakLoop : .continueLoop
    default:
      throw failure("the tag '\(name)' is unknown or out of place", at: start.offset)
    }
  }

  /// The rest of an opening tag, the body and the closing tag.
  private mutating func parseBlock(_ end: String) throws -> [TemplateStatement] {
    try expect(.blockEnd)
    let body = try parseBody(until: [end])
    advance()
    try expect(.blockEnd)
    return body
  }

  private mutating func parseBranches() throws -> TemplateStatement.Kind {
    var branches: [(condition: TemplateExpression?, body: [TemplateStatement])] = []
    var condition: TemplateExpression? = try parseTuple()
    while true {
      try expect(.blockEnd)
      let isLast = condition == nil
      let body = try parseBody(until: isLast ? ["endif"] : ["elif", "else", "endif"])
      branches.append((condition, body))
      if acceptName("endif") {
        try expect(.blockEnd)
        return .branches(branches)
      }
      condition = acceptName("elif") ? try parseTuple() : nil
      if condition == nil { advance() }
    }
  }

  private mutating func parseLoop() throws -> TemplateStatement.Kind {
    let target = try parseTarget(allowsAttribute: false)
    guard acceptName("in") else { throw failure("expected 'in', found \(found)") }
    let iterable = try parseTuple(allowsConditional: false)
    let condition = acceptName("if") ? try parseExpression() : nil
    if acceptName("recursive") { throw failure("recursive loops are not supported") }
    try expect(.blockEnd)
    loopDepth += 1
    let body = try parseBody(until: ["else", "endfor"])
    loopDepth -= 1
    let otherwise = acceptName("else") ? try parseElse() : []
    advance()
    try expect(.blockEnd)
    return .loop(
      TemplateStatement.Loop(
        target: target, iterable: iterable, condition: condition, body: body,
        otherwise: otherwise))
  }

  private mutating func parseElse() throws -> [TemplateStatement] {
    try expect(.blockEnd)
    return try parseBody(until: ["endfor"])
  }

  private mutating func parseSet() throws -> TemplateStatement.Kind {
    let target = try parseTarget(allowsAttribute: true)
    if acceptSymbol("=") {
      let value = try parseTuple()
      try expect(.blockEnd)
      return .set(target, value)
    }
    var filters: [TemplatePostfix] = []
    if acceptSymbol("|") { filters = try parseFilterChain() }
    return .capture(target, filters: filters, try parseBlock("endset"))
  }

  private mutating func parseMacro() throws -> TemplateStatement.Kind {
    let name = try expectName()
    guard acceptSymbol("(") else { throw failure("expected '(', found \(found)") }
    let parameters = try parseParameters()
    return .macro(try parseMacroBody(name, parameters, end: "endmacro"))
  }

  private mutating func parseCall() throws -> TemplateStatement.Kind {
    let parameters = acceptSymbol("(") ? try parseParameters() : []
    let call = try parseExpression()
    return .call(call, caller: try parseMacroBody("caller", parameters, end: "endcall"))
  }

  /// A macro is a function: a loop around its definition cannot be left from inside.
  private mutating func parseMacroBody(
    _ name: String, _ parameters: [(name: String, defaultValue: TemplateExpression?)], end: String
  ) throws -> TemplateMacro {
    let outerLoops = loopDepth
    loopDepth = 0
    let body = try parseBlock(end)
    loopDepth = outerLoops
    return TemplateMacro(name: name, parameters: parameters, body: body)
  }

  private mutating func parseParameters() throws -> [(
    name: String, defaultValue: TemplateExpression?
  )] {
    var parameters: [(name: String, defaultValue: TemplateExpression?)] = []
    while !acceptSymbol(")") {
      if !parameters.isEmpty, !acceptSymbol(",") { throw failure("expected ',', found \(found)") }
      let name = try expectName()
      let defaultValue = acceptSymbol("=") ? try parseExpression() : nil
      if defaultValue == nil, parameters.last?.defaultValue != nil {
        throw failure("a parameter without default follows one with a default")
      }
      parameters.append((name, defaultValue))
    }
    return parameters
  }

  private mutating func parseWith() throws -> TemplateStatement.Kind {
    var assignments: [(TemplateTarget, TemplateExpression)] = []
    while current.kind != .blockEnd {
      if !assignments.isEmpty, !acceptSymbol(",") { throw failure("expected ',', found \(found)") }
      let target = try parseTarget(allowsAttribute: false, isSingle: true)
      guard acceptSymbol("=") else { throw failure("expected '=', found \(found)") }
      assignments.append((target, try parseExpression()))
    }
    return .with(assignments, try parseBlock("endwith"))
  }

  private mutating func parseTarget(
    allowsAttribute: Bool, isSingle: Bool = false
  ) throws -> TemplateTarget {
    var targets = [try parseSingleTarget(allowsAttribute: allowsAttribute)]
    var isTuple = false
    while !isSingle, acceptSymbol(",") {
      isTuple = true
      guard case .name(let name) = current.kind, name != "in" else { break }
      targets.append(try parseSingleTarget(allowsAttribute: false))
    }
    return isTuple ? .tuple(targets) : targets[0]
  }

  private mutating func parseSingleTarget(allowsAttribute: Bool) throws -> TemplateTarget {
    if acceptSymbol("(") {
      let inner = try nested { try $0.parseTarget(allowsAttribute: false) }
      guard acceptSymbol(")") else { throw failure("expected ')', found \(found)") }
      if case .tuple = inner { return inner }
      return inner
    }
    let name = try expectName()
    guard !Self.reserved.contains(name) else { throw failure("'\(name)' cannot be assigned to") }
    guard allowsAttribute, acceptSymbol(".") else { return .name(name) }
    return .attribute(of: name, try expectName())
  }

  private static let reserved: Set<String> = [
    "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else",
  ]

  // MARK: Tokens

  var current: TemplateToken { tokens[position] }

  /// The token after the current one.
  var next: TemplateToken { tokens[min(position + 1, tokens.count - 1)] }

  mutating func advance() { position = min(position + 1, tokens.count - 1) }

  mutating func acceptName(_ name: String) -> Bool {
    guard current.kind == .name(name) else { return false }
    advance()
    return true
  }

  mutating func acceptSymbol(_ symbol: String) -> Bool {
    guard current.kind == .symbol(symbol) else { return false }
    advance()
    return true
  }

  mutating func expectName() throws -> String {
    guard case .name(let name) = current.kind else {
      throw failure("expected a name, found \(found)")
    }
    advance()
    return name
  }

  mutating func expect(_ kind: TemplateToken.Kind) throws {
    guard current.kind == kind else { throw unexpected() }
    advance()
  }

  mutating func nested<Result>(
    _ parse: (inout TemplateParser) throws -> Result
  ) throws -> Result {
    guard depth < Self.maximumDepth else {
      throw failure("tags and expressions nest deeper than \(Self.maximumDepth)")
    }
    depth += 1
    defer { depth -= 1 }
    return try parse(&self)
  }

  var found: String {
    switch current.kind {
    case .end: "the end of the template"
    case .text: "text"
    case .outputBegin: "'{{'"
    case .outputEnd: "'}}'"
    case .blockBegin: "'{%'"
    case .blockEnd: "'%}'"
    case .name(let name): "'\(name)'"
    case .string(let text): "the text '\(text)'"
    case .integer(let value): "\(value)"
    case .float(let value): "\(value)"
    case .symbol(let symbol): "'\(symbol)'"
    }
  }

  func unexpected() -> TemplateFailure { failure("unexpected \(found)") }

  func failure(_ message: String, at offset: Int? = nil) -> TemplateFailure {
    TemplateFailure(.syntax, message, at: offset ?? current.offset)
  }
}
