import Tokenization

extension SchemaTranslator {
  /// What stands for the documents of one type.
  mutating func rule(type: String, _ node: SchemaNode) throws -> RuleExpression {
    switch type {
    case "null": .text("null")
    case "boolean": .choice([.text("true"), .text("false")])
    case "integer": try integer(node)
    case "number": try number(node)
    case "string": try string(node)
    case "array": try array(node)
    default: try object(node)
    }
  }

  // MARK: Numbers

  private mutating func integer(_ node: SchemaNode) throws -> RuleExpression {
    let least = try bounds(node, ["minimum", "exclusiveMinimum"], isLower: true).max()
    let most = try bounds(node, ["maximum", "exclusiveMaximum"], isLower: false).min()
    let range = NumberRanges.integers(from: least, to: most)
    guard let divisor = try node.number("multipleOf") else { return range }
    guard let whole = divisor.intValue, (1...Self.mostRemainders).contains(whole) else {
      throw node.error(
        "'multipleOf' is \(divisor.serialized()), expected a whole number of 1 to "
          + "\(Self.mostRemainders) for integers", "multipleOf")
    }
    if whole == 1 { return range }
    let multiples = NumberRanges.multiples(of: whole)
    return .intersection(range, .sequence([.optional(.text("-")), multiples]))
  }

  /// Bounds of whole numbers, inclusive.
  private func bounds(_ node: SchemaNode, _ keys: [String], isLower: Bool) throws -> [Int] {
    try keys.compactMap { key in
      guard let value = try node.number(key) else { return nil }
      let isExclusive = key.hasPrefix("exclusive")
      if case .integer(let bound) = value {
        let (moved, isOver) =
          isLower ? bound.addingReportingOverflow(1) : bound.subtractingReportingOverflow(1)
        if !isExclusive { return bound }
        if isOver { throw node.error("'\(key)' leaves no number of 64 bits", key) }
        return moved
      }
      guard let bound = value.doubleValue, bound.magnitude < 9e18 else {
        throw node.error("'\(key)' is beyond 64 bits", key)
      }
      let whole = Int(bound.rounded(isLower ? .up : .down))
      let isOwn = Double(whole) == bound && isExclusive
      return isOwn ? whole + (isLower ? 1 : -1) : whole
    }
  }

  private mutating func number(_ node: SchemaNode) throws -> RuleExpression {
    let least = try decimalBound(node, "minimum", "exclusiveMinimum", isLower: true)
    let most = try decimalBound(node, "maximum", "exclusiveMaximum", isLower: false)
    if let divisor = try node.number("multipleOf") {
      return try multiples(of: divisor, node, least: least, most: most)
    }
    if least == nil, most == nil { return anyNumber }
    return NumberRanges.decimals(from: least, to: most)
  }

  /// Powers of ten limit the digits after the point; whole numbers are those of integers.
  private mutating func multiples(
    of divisor: JSONValue, _ node: SchemaNode, least: DecimalBound?, most: DecimalBound?
  ) throws -> RuleExpression {
    if divisor.intValue != nil { return try integer(node) }
    let places = (1...9).first { "\(divisor.doubleValue ?? 0)" == "\(1 / Self.power(of: $0))" }
    guard let places else {
      throw node.error(
        "'multipleOf' is \(divisor.serialized()), expected a whole number or a power of ten",
        "multipleOf")
    }
    let short = RuleExpression.sequence([
      .optional(.text("-")), .repetition(.digit, least: 1, most: NumberRanges.digits),
      .optional(.sequence([.text("."), .repetition(.digit, least: 1, most: places)])),
    ])
    return .intersection(NumberRanges.decimals(from: least, to: most), short)
  }

  private static func power(of places: Int) -> Double {
    (0..<places).reduce(1) { power, _ in power * 10 }
  }

  /// The narrower of two bounds; nil if there is none.
  private func decimalBound(
    _ node: SchemaNode, _ inclusive: String, _ exclusive: String, isLower: Bool
  ) throws -> DecimalBound? {
    let bounds = try [inclusive, exclusive].compactMap { key -> (Double, Bool, String)? in
      guard let value = try node.number(key)?.doubleValue else { return nil }
      return (value, key == exclusive, key)
    }
    // Of equal bounds the exclusive one is narrower.
    let narrowest = bounds.max { one, two in
      one.0 == two.0 ? !one.1 && two.1 : isLower ? one.0 < two.0 : one.0 > two.0
    }
    guard let (value, isExclusive, key) = narrowest else { return nil }
    if let bound = DecimalBound(value, isExclusive: isExclusive) { return bound }
    // Beyond what numbers are written with, one side excludes all of them and the other none.
    guard (value < 0) == isLower else {
      throw node.error("'\(key)' leaves no number of \(NumberRanges.digits) digits", key)
    }
    return nil
  }

  // MARK: Strings

  private func string(_ node: SchemaNode) throws -> RuleExpression {
    let least = try node.count("minLength") ?? 0
    let longest = try node.count("maxLength")
    var bodies: [RuleExpression] = []
    if let value = node.object["pattern"] {
      for pattern in value.arrayValue ?? [value] {
        bodies.append(JSONText.encoded(try self.pattern(pattern, node)))
      }
    }
    if let format = node.object["format"] {
      guard let body = format.stringValue.flatMap(StringFormats.body) else {
        throw node.error(
          "the format \(format.serialized()) is not supported, only "
            + StringFormats.names.joined(separator: ", "), "format")
      }
      bodies.append(body)
    }
    if let longest, longest < least {
      throw node.error("'maxLength' is below 'minLength'", "maxLength")
    }
    guard least <= Self.mostLength else {
      throw node.error("'minLength' is above \(Self.mostLength)", "minLength")
    }
    if least > 0 || longest != nil {
      bodies.append(
        .repetition(
          JSONText.anyCharacter, least: least, most: longest.map { min($0, Self.mostLength) }))
    }
    guard let first = bodies.first else { return anyString }
    return JSONText.quotes(bodies.dropFirst().reduce(first) { .intersection($0, $1) })
  }

  private func pattern(_ value: JSONValue, _ node: SchemaNode) throws -> RuleExpression {
    guard let pattern = value.stringValue else {
      throw node.error("'pattern' is not a string", "pattern")
    }
    do {
      return try RegexParser.parse(pattern).search
    } catch ConstraintError.syntax(_, let place, let message) {
      throw node.error(
        "the pattern \(pattern.debugDescription) at character \(place.column): \(message)",
        "pattern")
    }
  }

  // MARK: Arrays

  private mutating func array(_ node: SchemaNode) throws -> RuleExpression {
    let least = try node.count("minItems") ?? 0
    let most = try node.count("maxItems").map { min($0, Self.mostLength) }
    guard least <= most ?? Self.mostLength else {
      throw node.error("'minItems' is above 'maxItems' or \(Self.mostLength)", "minItems")
    }
    var first: [RuleExpression] = []
    for (index, schema) in try (node.list("prefixItems") ?? []).enumerated() {
      let place = SchemaNode.pointer(SchemaNode.pointer(node.pointer, "prefixItems"), "\(index)")
      first.append(try rule(schema, place))
    }
    let rest = try rule(
      node.object["items"] ?? .bool(true), SchemaNode.pointer(node.pointer, "items"))
    // Without `items` nothing but the listed ones is written, unless more are wanted.
    let isClosed = node.object["items"] == nil && !first.isEmpty && least <= first.count
    let items =
      first.isEmpty
      ? JSONText.list(rest, least: least, most: most)
      : listed(first, rest: isClosed ? .never : rest, least: least, most: most)
    return least > 0
      ? .sequence([.text("["), JSONText.space, items, JSONText.space, .text("]")])
      : JSONText.enclosed("[", items, "]")
  }

  /// The listed items, as many as there may be, and others after them.
  private func listed(
    _ first: [RuleExpression], rest: RuleExpression, least: Int, most: Int?
  ) -> RuleExpression {
    var tail = RuleExpression.repetition(
      .sequence([JSONText.comma, rest]), least: max(least - first.count, 0),
      most: most.map { max($0 - first.count, 0) })
    for (index, item) in first.enumerated().reversed() {
      if let most, index >= most {
        tail = .empty
        continue
      }
      let own = RuleExpression.sequence(index == 0 ? [item, tail] : [JSONText.comma, item, tail])
      tail = index < least ? own : .optional(own)
    }
    return tail
  }
}
