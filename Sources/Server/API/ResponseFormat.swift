import Foretoken

/// `response_format` and `grammar`: what the text has to be.
enum ResponseFormat {
  private enum Kind: String, CaseIterable {
    case text
    case jsonObject = "json_object"
    case jsonSchema = "json_schema"
  }

  /// The constraint that a request names, compiled once to see that it can be; nil if it names none.
  static func constraint(_ fields: inout Fields) throws -> Constraint? {
    let format = try responseFormat(&fields)
    guard let grammar = try fields.string("grammar") else { return format }
    guard format == nil else {
      throw APIError.invalid(
        "response_format and grammar both say what the text is; drop one of them",
        parameter: "grammar", code: "invalid_value")
    }
    return try compiled(.grammar(grammar), parameter: "grammar")
  }

  private static func responseFormat(_ fields: inout Fields) throws -> Constraint? {
    guard var format = try fields.object("response_format") else { return nil }
    guard let kind = try format.word("type", of: Kind.self) else { throw format.missing("type") }
    switch kind {
    case .text:
      try format.finish()
      return nil
    case .jsonObject:
      try format.finish()
      return .jsonObject
    case .jsonSchema:
      guard var named = try format.object("json_schema") else {
        throw format.missing("json_schema")
      }
      _ = try named.requiredString("name")
      _ = try named.string("description")
      _ = try named.bool("strict")
      let parameter = named.name("schema")
      guard let schema = named.take("schema") else { throw named.missing("schema") }
      try named.finish()
      try format.finish()
      return try compiled(.jsonSchema(schema.serialized()), parameter: parameter)
    }
  }

  /// The constraint, if it can be compiled.
  /// - Throws: `APIError` that says where it cannot.
  static func compiled(_ constraint: Constraint, parameter: String) throws -> Constraint {
    do {
      _ = try constraint.compile()
    } catch let error as ConstraintError {
      throw APIError.invalid("\(parameter): \(error)", parameter: parameter, code: "invalid_value")
    }
    return constraint
  }
}
