import Foundation
import Tokenization

/// A small validator of JSON Schema draft 2020-12, for tests: written from the specification, and
/// nothing shared with the module.
struct SchemaValidator {
  let root: JSONValue

  init(_ text: String) throws { root = try JSONValue(parsing: text) }

  func isValid(_ text: String) throws -> Bool { try holds(root, JSONValue(parsing: text)) }

  private func holds(_ schema: JSONValue, _ value: JSONValue) throws -> Bool {
    if let allowed = schema.boolValue { return allowed }
    let object = schema.objectValue ?? JSONObject()
    return try object.entries.allSatisfy { try holds($0.key, $0.value, object, value) }
  }

  private func holds(
    _ keyword: String, _ argument: JSONValue, _ schema: JSONObject, _ value: JSONValue
  ) throws -> Bool {
    switch keyword {
    case "type": return (argument.arrayValue ?? [argument]).contains { isOf($0.stringValue, value) }
    case "enum": return (argument.arrayValue ?? []).contains(value)
    case "const": return argument == value
    case "$ref": return try holds(resolve(argument.stringValue ?? ""), value)
    case "allOf": return try (argument.arrayValue ?? []).allSatisfy { try holds($0, value) }
    case "anyOf": return try (argument.arrayValue ?? []).contains { try holds($0, value) }
    case "oneOf": return try (argument.arrayValue ?? []).count { try holds($0, value) } == 1
    default: break
    }
    if let number = value.doubleValue { return holds(keyword, argument.doubleValue ?? 0, number) }
    if let text = value.stringValue { return try holds(keyword, argument, text) }
    if let items = value.arrayValue { return try holds(keyword, argument, schema, items) }
    if let object = value.objectValue { return try holds(keyword, argument, schema, object) }
    return true
  }

  private func isOf(_ type: String?, _ value: JSONValue) -> Bool {
    switch (type, value) {
    case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array),
      ("object", .object), ("number", .integer), ("number", .number), ("integer", .integer):
      true
    case ("integer", .number(let number)): number == number.rounded()
    default: false
    }
  }

  private func holds(_ keyword: String, _ bound: Double, _ number: Double) -> Bool {
    switch keyword {
    case "minimum": number >= bound
    case "maximum": number <= bound
    case "exclusiveMinimum": number > bound
    case "exclusiveMaximum": number < bound
    case "multipleOf": abs((number / bound).rounded() - number / bound) < 1e-6
    default: true
    }
  }

  private func holds(_ keyword: String, _ argument: JSONValue, _ text: String) throws -> Bool {
    switch keyword {
    case "minLength": return text.unicodeScalars.count >= argument.intValue ?? 0
    case "maxLength": return text.unicodeScalars.count <= argument.intValue ?? 0
    case "pattern": return try matches(argument.stringValue ?? "", text)
    case "format":
      switch argument.stringValue {
      case "date": return try matches(#"^\d{4}-\d{2}-\d{2}$"#, text) && isDate(text)
      case "uuid": return UUID(uuidString: text) != nil
      case "ipv4":
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
      case "date-time":
        let time = #"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"#
        return try matches(#"^\d{4}-\d{2}-\d{2}"# + time, text) && isDate(String(text.prefix(10)))
      default: return true
      }
    default: return true
    }
  }

  private func matches(_ pattern: String, _ text: String) throws -> Bool {
    let expression = try NSRegularExpression(pattern: pattern)
    return expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
  }

  private func isDate(_ text: String) -> Bool {
    let parts = text.split(separator: "-").compactMap { Int($0) }
    let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return (1...12).contains(parts[1]) && (1...days[parts[1] - 1]).contains(parts[2])
  }

  private func holds(
    _ keyword: String, _ argument: JSONValue, _ schema: JSONObject, _ items: [JSONValue]
  ) throws -> Bool {
    switch keyword {
    case "minItems": return items.count >= argument.intValue ?? 0
    case "maxItems": return items.count <= argument.intValue ?? 0
    case "prefixItems":
      return try zip(argument.arrayValue ?? [], items).allSatisfy { try holds($0, $1) }
    case "items":
      let listed = schema["prefixItems"]?.arrayValue?.count ?? 0
      return try items.dropFirst(listed).allSatisfy { try holds(argument, $0) }
    default: return true
    }
  }

  private func holds(
    _ keyword: String, _ argument: JSONValue, _ schema: JSONObject, _ object: JSONObject
  ) throws -> Bool {
    let named = schema["properties"]?.objectValue ?? JSONObject()
    switch keyword {
    case "minProperties": return object.count >= argument.intValue ?? 0
    case "maxProperties": return object.count <= argument.intValue ?? 0
    case "required":
      return (argument.arrayValue ?? []).allSatisfy { object[$0.stringValue ?? ""] != nil }
    case "properties":
      return try object.entries.allSatisfy { key, value in
        try named[key].map { try holds($0, value) } ?? true
      }
    case "additionalProperties":
      return try object.entries.allSatisfy { key, value in
        try named[key] != nil || holds(argument, value)
      }
    default: return true
    }
  }

  private func resolve(_ reference: String) -> JSONValue {
    reference.split(separator: "/").dropFirst().reduce(root) { value, part in
      let key = part.replacing("~1", with: "/").replacing("~0", with: "~")
      return value[String(key)] ?? Int(key).flatMap { value[$0] } ?? .bool(false)
    }
  }
}
