import Tokenization

/// Short ways to write the schemas of OpenAPI 3.1, which are JSON Schema's.
enum Schema {
  static let string: JSONValue = ["type": "string"]
  static let boolean: JSONValue = ["type": "boolean"]
  static let anything: JSONValue = [:]

  static func text(_ lengths: ClosedRange<Int>) -> JSONValue {
    [
      "type": "string", "minLength": .integer(lengths.lowerBound),
      "maxLength": .integer(lengths.upperBound),
    ]
  }

  static func integer(_ range: ClosedRange<Int>) -> JSONValue {
    [
      "type": "integer", "minimum": .integer(range.lowerBound),
      "maximum": .integer(range.upperBound),
    ]
  }

  static let count: JSONValue = ["type": "integer", "minimum": 0]

  static func number(_ range: ClosedRange<Double>) -> JSONValue {
    [
      "type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound),
    ]
  }

  static let number: JSONValue = ["type": "number"]

  static func words(_ words: [String]) -> JSONValue {
    ["type": "string", "enum": .array(words.map { .string($0) })]
  }

  static func constant(_ text: String) -> JSONValue { ["const": .string(text)] }

  static func list(_ items: JSONValue, _ counts: ClosedRange<Int>? = nil) -> JSONValue {
    var object = JSONObject([("type", "array"), ("items", items)])
    if let counts {
      object["minItems"] = .integer(counts.lowerBound)
      object["maxItems"] = .integer(counts.upperBound)
    }
    return .object(object)
  }

  static func nullable(_ schema: JSONValue) -> JSONValue { either(schema, ["type": "null"]) }

  static func either(_ schemas: JSONValue...) -> JSONValue { ["anyOf": .array(schemas)] }

  static func reference(_ name: String) -> JSONValue {
    ["$ref": .string("#/components/schemas/\(name)")]
  }

  /// An object that has these keys and no others, unless it is `isOpen`.
  static func object(
    _ properties: [(String, JSONValue)], required: [String] = [], isOpen: Bool = false
  ) -> JSONValue {
    .object(
      JSONObject([
        ("type", "object"), ("properties", .object(JSONObject(properties))),
        ("required", .array(required.map { .string($0) })),
        ("additionalProperties", .bool(isOpen)),
      ]))
  }

  /// The same, all keys required.
  static func answer(_ properties: [(String, JSONValue)], optional: [(String, JSONValue)] = [])
    -> JSONValue
  {
    object(properties + optional, required: properties.map(\.0))
  }
}
