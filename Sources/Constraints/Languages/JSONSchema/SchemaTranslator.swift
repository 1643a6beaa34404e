import Tokenization

/// Translates JSON Schemas (draft 2020-12) to rules.
///
/// Every text of the rules is a valid document; not every valid document is a text of them: keys
/// are written in the order of `properties`, space is bounded, numbers are ones that doubles hold.
/// Keywords that are not supported are errors.
struct SchemaTranslator {
  var rules = GrammarRules()
  private let document: JSONValue
  /// Rules of schemas by pointer, and of those put together by their text.
  private var translated: [String: Int] = [:]
  private var depth = 0

  /// Schemas that are put together from others may nest this deep.
  static let deepestNesting = 100
  /// Longer bounds of lengths count as this much.
  static let mostLength = 4096
  /// Largest divisor of `multipleOf`.
  static let mostRemainders = 4096

  let anyString: RuleExpression
  let anyNumber: RuleExpression
  private let value: Int

  private init(_ document: JSONValue) {
    self.document = document
    anyString = .rule(rules.add("string", JSONText.string))
    anyNumber = .rule(rules.add("number", JSONText.number))
    value = rules.add("value")
    rules.bodies[value] = .choice([
      .text("null"), .text("true"), .text("false"), anyNumber, anyString, anyArray, anyObject,
    ])
  }

  private var anyArray: RuleExpression {
    JSONText.enclosed("[", JSONText.list(.rule(value), least: 1, most: nil), "]")
  }

  private var anyObject: RuleExpression {
    JSONText.enclosed(
      "{", JSONText.list(JSONText.member(anyString, .rule(value)), least: 1, most: nil), "}")
  }

  /// The rules of a schema.
  /// - Throws: `ConstraintError`: with line and column if it is not JSON, with the pointer of what
  ///   is not supported or not a schema.
  static func translate(_ text: String) throws -> GrammarRules {
    let document: JSONValue
    do {
      document = try JSONValue(parsing: text)
    } catch let error as JSONError {
      throw ConstraintError.syntax(
        language: "JSON schema",
        at: SourceLocation(offset: error.offset, in: Array(text.utf8)),
        message: "\(error.message) (\(error.path))")
    }
    var translator = SchemaTranslator(document)
    let root = try translator.rule(document, "")
    translator.rules.root = translator.rules.add("root", root)
    return translator.rules
  }

  /// Any JSON object.
  static func anyObject() -> GrammarRules {
    var translator = SchemaTranslator(.bool(true))
    translator.rules.root = translator.rules.add("root", translator.anyObject)
    return translator.rules
  }

  // MARK: Schemas

  /// What stands for the documents of a schema.
  mutating func rule(_ schema: JSONValue, _ pointer: String) throws -> RuleExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepestNesting * 4 else {
      throw ConstraintError.schema(pointer: pointer, message: "schemas nest too deep")
    }
    if let allowed = schema.boolValue { return allowed ? .rule(value) : .never }
    guard let object = schema.objectValue else {
      throw ConstraintError.schema(
        pointer: pointer, message: "expected an object, true or false, found another value")
    }
    let node = SchemaNode(object: object, pointer: pointer)
    try node.checkKeywords()
    let assertions = node.assertions()
    if assertions.isEmpty { return .rule(value) }
    if assertions.count == 1, assertions["$ref"] != nil {
      let target = try target(of: node)
      return try named(target.pointer) { try $0.rule(target.schema, target.pointer) }
    }
    guard assertions["$ref"] != nil || assertions["allOf"] != nil else { return try plain(node) }
    // Put together from others: known again by its text, since it has no place of its own.
    return try named(JSONValue.object(assertions).serialized()) {
      let merged = try $0.merged(node)
      return try $0.rule(merged, pointer)
    }
  }

  /// A rule that may call itself, directly or not.
  private mutating func named(
    _ name: String, _ body: (inout Self) throws -> RuleExpression
  ) throws -> RuleExpression {
    if let known = translated[name] { return .rule(known) }
    let rule = rules.add(name)
    translated[name] = rule
    rules.bodies[rule] = try body(&self)
    return .rule(rule)
  }

  private mutating func plain(_ node: SchemaNode) throws -> RuleExpression {
    for key in ["anyOf", "oneOf"] {
      guard let branches = try node.schemas(key) else { continue }
      return try alternatives(branches, key, node)
    }
    if let values = try values(node) {
      return .choice(values.map { .bytes(JSONText.bytes($0)) })
    }
    let types = try node.types()
    var choices: [RuleExpression] = []
    for type in types where !(type == "integer" && types.contains("number")) {
      choices.append(try rule(type: type, node))
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func alternatives(
    _ branches: [JSONValue], _ key: String, _ node: SchemaNode
  ) throws -> RuleExpression {
    let rest = node.assertions(without: [key])
    var choices: [RuleExpression] = []
    for (index, branch) in branches.enumerated() {
      let pointer = SchemaNode.pointer(SchemaNode.pointer(node.pointer, key), "\(index)")
      if rest.isEmpty {
        choices.append(try rule(branch, pointer))
      } else {
        choices.append(try rule(["allOf": [.object(rest), branch]], pointer))
      }
    }
    if key == "oneOf" { try checkDisjoint(branches, node) }
    return .choice(choices)
  }

  /// The values of `enum` or `const`, as far as `type` allows; nil if there is neither.
  private func values(_ node: SchemaNode) throws -> [JSONValue]? {
    var values: [JSONValue]
    if let constant = node.object["const"] {
      values = [constant]
      if let list = try node.list("enum") { values = list.contains(constant) ? values : [] }
    } else if let list = try node.list("enum") {
      values = list
    } else {
      return nil
    }
    let others = node.assertions(without: ["const", "enum", "type"])
    if let other = others.keys.first {
      throw node.error(
        "'\(other)' beside 'enum' or 'const' is not supported; list the values that satisfy both",
        other)
    }
    guard node.object["type"] != nil else { return values }
    let types = try node.types()
    values = values.filter { value in types.contains { value.isOf(type: $0) } }
    return values
  }

  // MARK: References

  private func target(of node: SchemaNode) throws -> (schema: JSONValue, pointer: String) {
    guard let reference = node.object["$ref"]?.stringValue else {
      throw node.error("'$ref' is not a string", "$ref")
    }
    guard reference == "#" || reference.hasPrefix("#/") else {
      throw node.error(
        "'\(reference)' is not in this document; only '#' and '#/…' are supported", "$ref")
    }
    var at = document
    let path = reference.dropFirst()
    for part in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      let key = Self.unescaped(part)
      guard let next = at[key] ?? Int(key).flatMap({ at[$0] }) else {
        throw node.error("'\(reference)' leads nowhere: there is no '\(key)'", "$ref")
      }
      at = next
    }
    return (at, String(path))
  }

  private static func unescaped(_ part: Substring) -> String {
    var text = ""
    var rest = part[...]
    while let character = rest.first {
      if rest.hasPrefix("~1") || rest.hasPrefix("~0") {
        text += rest.hasPrefix("~1") ? "/" : "~"
        rest = rest.dropFirst(2)
      } else {
        text.append(character)
        rest = rest.dropFirst()
      }
    }
    return text
  }

  // MARK: Putting schemas together

  /// One schema without `$ref` and `allOf` that says the same.
  private mutating func merged(_ node: SchemaNode) throws -> JSONValue {
    var parts: [SchemaNode] = []
    try collect(.object(node.object), node.pointer, into: &parts, depth: 0)
    var merger = SchemaMerger()
    for part in parts { try merger.add(part) }
    return .object(merger.result)
  }

  /// The schemas that must all hold.
  private func collect(
    _ schema: JSONValue, _ pointer: String, into parts: inout [SchemaNode], depth: Int
  ) throws {
    guard depth < Self.deepestNesting, parts.count < 10_000 else {
      throw ConstraintError.schema(
        pointer: pointer, message: "'allOf' and '$ref' lead to each other without end")
    }
    if let allowed = schema.boolValue {
      // `enum` of nothing is what `false` means.
      if !allowed {
        parts.append(SchemaNode(object: JSONObject([("enum", .array([]))]), pointer: pointer))
      }
      return
    }
    guard let object = schema.objectValue else {
      throw ConstraintError.schema(pointer: pointer, message: "expected a schema")
    }
    let node = SchemaNode(object: object, pointer: pointer)
    try node.checkKeywords()
    let own = node.assertions(without: ["$ref", "allOf"])
    if !own.isEmpty { parts.append(SchemaNode(object: own, pointer: pointer)) }
    if object["$ref"] != nil {
      let target = try target(of: node)
      try collect(target.schema, target.pointer, into: &parts, depth: depth + 1)
    }
    for (index, part) in try (node.schemas("allOf") ?? []).enumerated() {
      let place = SchemaNode.pointer(SchemaNode.pointer(pointer, "allOf"), "\(index)")
      try collect(part, place, into: &parts, depth: depth + 1)
    }
  }

  // MARK: oneOf

  /// - Throws: if two branches could both hold, as far as types and constants tell.
  private func checkDisjoint(_ branches: [JSONValue], _ node: SchemaNode) throws {
    let resolved = try branches.map { branch -> JSONValue in
      guard let object = branch.objectValue, object["$ref"] != nil else { return branch }
      return try target(of: SchemaNode(object: object, pointer: node.pointer)).schema
    }
    for (index, one) in resolved.enumerated() {
      for (other, two) in resolved.enumerated().dropFirst(index + 1)
      where !SchemaMerger.areDisjoint(one, two) {
        throw node.error(
          "the branches \(index) and \(other) of 'oneOf' may both hold; use 'anyOf', or give them "
            + "different types or a required property with different constants", "oneOf")
      }
    }
  }
}

extension JSONValue {
  /// Whether this is a document of one of JSON Schema's types.
  func isOf(type: String) -> Bool {
    switch type {
    case "null": isNull
    case "boolean": boolValue != nil
    case "integer": intValue != nil
    case "number": doubleValue != nil
    case "string": stringValue != nil
    case "array": arrayValue != nil
    case "object": objectValue != nil
    default: false
    }
  }
}
