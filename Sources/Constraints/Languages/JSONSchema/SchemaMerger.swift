import Tokenization

/// Puts schemas that must all hold together into one, as far as that is exact.
struct SchemaMerger {
  private(set) var result = JSONObject()

  /// - Throws: `ConstraintError.schema` for keywords that cannot be put together.
  mutating func add(_ part: SchemaNode) throws {
    try checkClosed(part)
    for (key, value) in part.object.entries {
      guard let own = result[key] else {
        result[key] = value
        continue
      }
      result[key] = try combined(key, own, value, part)
    }
  }

  private func combined(
    _ key: String, _ own: JSONValue, _ other: JSONValue, _ part: SchemaNode
  ) throws -> JSONValue {
    if own == other { return own }
    switch key {
    case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties":
      return (own.doubleValue ?? 0) > (other.doubleValue ?? 0) ? own : other
    case "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties":
      return (own.doubleValue ?? 0) < (other.doubleValue ?? 0) ? own : other
    case "type": return try types(own, other, part)
    case "required":
      let names = (own.arrayValue ?? []) + (other.arrayValue ?? [])
      var unique: [JSONValue] = []
      for name in names where !unique.contains(name) { unique.append(name) }
      return .array(unique)
    case "enum": return .array((own.arrayValue ?? []).filter((other.arrayValue ?? []).contains))
    case "properties": return properties(own, other)
    case "items", "additionalProperties": return ["allOf": [own, other]]
    case "pattern": return .array((own.arrayValue ?? [own]) + (other.arrayValue ?? [other]))
    default:
      throw part.error("two different values of '\(key)' cannot be put together", key)
    }
  }

  private func types(
    _ own: JSONValue, _ other: JSONValue, _ part: SchemaNode
  ) throws -> JSONValue {
    let (one, two) = (own.arrayValue ?? [own], other.arrayValue ?? [other])
    let common = (one + two).filter { type in
      [one, two].allSatisfy { $0.contains(type) || (type == "integer" && $0.contains("number")) }
    }
    var unique: [JSONValue] = []
    for type in common where !unique.contains(type) { unique.append(type) }
    guard !unique.isEmpty else { throw part.error("no type is allowed by all parts", "type") }
    return .array(unique)
  }

  private func properties(_ own: JSONValue, _ other: JSONValue) -> JSONValue {
    var all = own.objectValue ?? JSONObject()
    for (name, schema) in other.objectValue?.entries ?? [] {
      all[name] = all[name].map { $0 == schema ? schema : ["allOf": [$0, schema]] } ?? schema
    }
    return .object(all)
  }

  /// `additionalProperties` of one part speaks of the properties that only another part names.
  private func checkClosed(_ part: SchemaNode) throws {
    func names(_ object: JSONObject) -> Set<String> {
      Set(object["properties"]?.objectValue?.keys ?? [])
    }
    func isClosed(_ object: JSONObject) -> Bool {
      object["additionalProperties"].map { $0 != true } ?? false
    }
    let (own, other) = (names(result), names(part.object))
    let isExact =
      (!isClosed(result) || other.isSubset(of: own))
      && (!isClosed(part.object) || own.isSubset(of: other))
    guard isExact else {
      throw part.error(
        "'additionalProperties' beside parts of 'allOf' that name other properties is not "
          + "supported; name all properties in one part")
    }
  }

  // MARK: Disjointness

  /// Whether no document satisfies both, as far as types, constants and required properties tell.
  static func areDisjoint(_ one: JSONValue, _ two: JSONValue, depth: Int = 0) -> Bool {
    if one.boolValue == false || two.boolValue == false { return true }
    guard let first = one.objectValue, let second = two.objectValue, depth < 8 else { return false }
    if let values = constants(first) {
      if let others = constants(second) { return !values.contains(where: others.contains) }
      return areOfOther(values, types: second)
    }
    if let values = constants(second) { return areOfOther(values, types: first) }
    guard let types = typeNames(first), let others = typeNames(second) else { return false }
    if !types.contains(where: { type in others.contains { overlaps(type, $0) } }) { return true }
    guard types == ["object"], others == ["object"] else { return false }
    return required(first).intersection(required(second)).contains { name in
      guard let left = first["properties"]?[name], let right = second["properties"]?[name]
      else { return false }
      return areDisjoint(left, right, depth: depth + 1)
    }
  }

  private static func constants(_ schema: JSONObject) -> [JSONValue]? {
    schema["const"].map { [$0] } ?? schema["enum"]?.arrayValue
  }

  private static func areOfOther(_ values: [JSONValue], types schema: JSONObject) -> Bool {
    guard let types = typeNames(schema) else { return false }
    return !values.contains { value in types.contains { value.isOf(type: $0) } }
  }

  private static func typeNames(_ schema: JSONObject) -> [String]? {
    guard let type = schema["type"] else { return nil }
    return (type.arrayValue ?? [type]).compactMap(\.stringValue)
  }

  private static func overlaps(_ one: String, _ two: String) -> Bool {
    one == two || Set([one, two]) == ["integer", "number"]
  }

  private static func required(_ schema: JSONObject) -> Set<String> {
    Set((schema["required"]?.arrayValue ?? []).compactMap(\.stringValue))
  }
}
