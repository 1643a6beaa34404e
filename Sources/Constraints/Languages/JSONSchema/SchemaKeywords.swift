import Tokenization

/// The keywords of draft 2020-12 that schemas may have here.
enum SchemaKeywords {
  /// Say nothing about whether a document is valid.
  static let annotations: Set<String> = [
    "title", "description", "default", "examples", "$comment", "deprecated", "readOnly",
    "writeOnly", "$schema", "$id", "$defs", "definitions", "contentEncoding",
    "contentMediaType", "contentSchema",
  ]
  static let composition: Set<String> = ["$ref", "allOf", "anyOf", "oneOf", "enum", "const"]
  static let string: Set<String> = ["minLength", "maxLength", "pattern", "format"]
  static let number: Set<String> = [
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
  ]
  static let array: Set<String> = ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]
  static let object: Set<String> = [
    "properties", "required", "additionalProperties", "minProperties", "maxProperties",
  ]
  static let assertions = composition.union(string).union(number).union(array).union(object)
    .union(["type"])

  static let types = ["null", "boolean", "integer", "number", "string", "array", "object"]
}

/// A schema and where it stands in its document.
struct SchemaNode {
  var object: JSONObject
  var pointer: String

  func error(_ message: String, _ keyword: String? = nil) -> ConstraintError {
    .schema(pointer: keyword.map { Self.pointer(pointer, $0) } ?? pointer, message: message)
  }

  static func pointer(_ parent: String, _ key: String) -> String {
    let escaped = key.unicodeScalars.map { scalar -> String in
      scalar == "~" ? "~0" : scalar == "/" ? "~1" : String(Character(scalar))
    }
    return parent + "/" + escaped.joined()
  }

  /// - Throws: for keywords that are not supported: they are never ignored.
  func checkKeywords() throws {
    for key in object.keys
    where !SchemaKeywords.annotations.contains(key) && !SchemaKeywords.assertions.contains(key) {
      throw error(
        "the keyword '\(key)' is not supported; see Docs/Constraints.md for those that are", key)
    }
    if let unique = object["uniqueItems"], unique.boolValue != false {
      throw error("'uniqueItems' is supported with the value false only", "uniqueItems")
    }
  }

  /// The keywords that say something, but for `without`.
  func assertions(without: Set<String> = []) -> JSONObject {
    JSONObject(
      object.entries.filter {
        SchemaKeywords.assertions.contains($0.key) && !without.contains($0.key)
      }.map { ($0.key, $0.value) })
  }

  func count(_ key: String) throws -> Int? {
    guard let value = object[key] else { return nil }
    guard let count = value.intValue, count >= 0 else {
      throw error("'\(key)' is \(value.serialized()), expected a whole number from 0 on", key)
    }
    return count
  }

  func number(_ key: String) throws -> JSONValue? {
    guard let value = object[key] else { return nil }
    guard value.doubleValue != nil else {
      throw error("'\(key)' is \(value.serialized()), expected a number", key)
    }
    return value
  }

  func list(_ key: String) throws -> [JSONValue]? {
    guard let value = object[key] else { return nil }
    guard let list = value.arrayValue else {
      throw error("'\(key)' is not an array", key)
    }
    return list
  }

  /// A list of schemas, with at least one.
  func schemas(_ key: String) throws -> [JSONValue]? {
    let list = try list(key)
    if list?.isEmpty == true { throw error("'\(key)' is empty", key) }
    return list
  }

  /// Names of properties that must be there.
  func required() throws -> [String] {
    try (list("required") ?? []).map { name in
      guard let name = name.stringValue else {
        throw error("'required' holds \(name.serialized()), expected names", "required")
      }
      return name
    }
  }

  func properties() throws -> [JSONObject.Entry] {
    guard let value = object["properties"] else { return [] }
    guard let properties = value.objectValue else {
      throw error("'properties' is not an object", "properties")
    }
    return properties.entries
  }

  /// The types that a document may have: those named, or those that the other keywords speak of.
  func types() throws -> [String] {
    guard let value = object["type"] else { return inferredTypes }
    let named = value.arrayValue ?? [value]
    return try named.map { type in
      guard let type = type.stringValue, SchemaKeywords.types.contains(type) else {
        throw error(
          "the type is \(type.serialized()), expected one of "
            + SchemaKeywords.types.joined(separator: ", "), "type")
      }
      return type
    }
  }

  private var inferredTypes: [String] {
    func has(_ keywords: Set<String>) -> Bool { object.keys.contains { keywords.contains($0) } }
    var types: [String] = []
    if has(SchemaKeywords.object) { types.append("object") }
    if has(SchemaKeywords.array) { types.append("array") }
    if has(SchemaKeywords.string) { types.append("string") }
    if has(SchemaKeywords.number) { types.append("number") }
    return types.isEmpty ? ["null", "boolean", "number", "string", "array", "object"] : types
  }
}
