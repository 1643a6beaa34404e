import Tokenization

extension SchemaTranslator {
  private struct Property {
    var member: RuleExpression
    var isRequired: Bool
  }

  /// Objects: the named properties in their order, then others if these are allowed.
  mutating func object(_ node: SchemaNode) throws -> RuleExpression {
    let required = try node.required()
    let named = try node.properties()
    let additional = node.object["additionalProperties"]
    let others = additional ?? .bool(named.isEmpty)
    let othersPointer = SchemaNode.pointer(node.pointer, "additionalProperties")
    var properties: [Property] = []
    for (name, schema) in named {
      let place = SchemaNode.pointer(SchemaNode.pointer(node.pointer, "properties"), name)
      properties.append(
        try property(name, schema, place, isRequired: required.contains(name)))
    }
    let names = Set(named.map(\.key))
    for name in required where !names.contains(name) {
      // Not named means any value, unless other properties are spoken of.
      properties.append(
        try property(name, additional ?? .bool(true), othersPointer, isRequired: true))
    }
    let other = try otherMember(
      others, othersPointer, except: named.map(\.key) + required.filter { !names.contains($0) })
    let bounds = try memberBounds(node, properties, hasOthers: other != nil)
    if properties.isEmpty {
      return braces(
        JSONText.list(other ?? .never, least: bounds.least, most: bounds.most),
        mayBeEmpty: bounds.least == 0)
    }
    let members = members(
      properties, other, leastOthers: max(bounds.least - properties.count, 0),
      mostOthers: bounds.most.map { max($0 - properties.count, 0) })
    return braces(members, mayBeEmpty: !properties.contains { $0.isRequired })
  }

  private func braces(_ members: RuleExpression, mayBeEmpty: Bool) -> RuleExpression {
    mayBeEmpty
      ? JSONText.enclosed("{", members, "}")
      : .sequence([.text("{"), JSONText.space, members, JSONText.space, .text("}")])
  }

  private mutating func property(
    _ name: String, _ schema: JSONValue, _ pointer: String, isRequired: Bool
  ) throws -> Property {
    Property(
      member: JSONText.member(.bytes(JSONText.quoted(name)), try rule(schema, pointer)),
      isRequired: isRequired)
  }

  /// A member whose key is none of `names`; nil if there are none.
  private mutating func otherMember(
    _ schema: JSONValue, _ pointer: String, except names: [String]
  ) throws -> RuleExpression? {
    if schema.boolValue == false { return nil }
    let value = try rule(schema, pointer)
    if names.isEmpty { return JSONText.member(anyString, value) }
    let key = RuleExpression.difference(
      JSONText.quotes(.many(JSONText.anyCharacter)),
      .choice(names.map { .bytes(JSONText.quoted($0)) }))
    return JSONText.member(.rule(rules.add("key", key)), value)
  }

  /// Numbers of members, where they can be kept exactly.
  private func memberBounds(
    _ node: SchemaNode, _ properties: [Property], hasOthers: Bool
  ) throws -> (least: Int, most: Int?) {
    let least = try node.count("minProperties") ?? 0
    let most = try node.count("maxProperties")
    let requiredCount = properties.filter(\.isRequired).count
    if let most, most < max(least, requiredCount) {
      throw node.error("'maxProperties' is too small", "maxProperties")
    }
    guard least <= Self.mostLength else {
      throw node.error("'minProperties' is above \(Self.mostLength)", "minProperties")
    }
    let areAllRequired = requiredCount == properties.count
    if !areAllRequired, least > requiredCount {
      throw node.error(
        "'minProperties' beside optional properties is not supported; name them in 'required'",
        "minProperties")
    }
    if !hasOthers, least > properties.count {
      throw node.error("'minProperties' is above the number of properties", "minProperties")
    }
    // With optional properties the other ones count as if all of those were there.
    guard let most else { return (least, nil) }
    guard most >= properties.count else {
      throw node.error(
        "'maxProperties' below the number of named properties is not supported", "maxProperties")
    }
    return (least, min(most, Self.mostLength))
  }

  /// Members from a property on: one pair of rules for each, with and without something before it.
  private mutating func members(
    _ properties: [Property], _ other: RuleExpression?, leastOthers: Int, mostOthers: Int?
  ) -> RuleExpression {
    var afterFirst = RuleExpression.empty
    var atFirst = RuleExpression.empty
    if let other, mostOthers != 0 {
      afterFirst = .repetition(
        .sequence([JSONText.comma, other]), least: leastOthers, most: mostOthers)
      atFirst = JSONText.list(other, least: leastOthers, most: mostOthers)
    }
    for (index, property) in properties.enumerated().reversed() {
      let rest = RuleExpression.rule(rules.add("members after \(index)", afterFirst))
      let first = RuleExpression.sequence([property.member, rest])
      let later = RuleExpression.sequence([JSONText.comma, property.member, rest])
      atFirst = property.isRequired ? first : .choice([first, atFirst])
      afterFirst = property.isRequired ? later : .choice([later, rest])
    }
    return atFirst
  }
}
