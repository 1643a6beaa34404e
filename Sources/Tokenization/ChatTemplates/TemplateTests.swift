/// What can stand behind `is`.
enum TemplateTests {
  private static let parameters: [String: [String]] = [
    "defined": [], "undefined": [], "none": [], "string": [], "mapping": [], "sequence": [],
    "iterable": [], "number": [], "integer": [], "float": [], "boolean": [], "true": [],
    "false": [], "callable": [], "odd": [], "even": [], "divisibleby": ["num"], "lower": [],
    "upper": [], "in": ["seq"], "filter": [], "test": [], "sameas": ["other"], "eq": ["other"],
    "equalto": ["other"], "==": ["other"], "ne": ["other"], "!=": ["other"], "lt": ["other"],
    "lessthan": ["other"], "<": ["other"], "le": ["other"], "<=": ["other"], "gt": ["other"],
    "greaterthan": ["other"], ">": ["other"], "ge": ["other"], ">=": ["other"],
  ]

  static func exists(_ name: String) -> Bool { parameters[name] != nil }

  static func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> Bool {
    guard let parameters = parameters[name] else {
      throw TemplateFailure(.evaluation, "the test '\(name)' is unknown")
    }
    if parameters.isEmpty {
      _ = try arguments.bound(to: parameters, of: name)
      return try applyToType(name, value, interpreter) ?? applyToValue(name, value)
    }
    guard let operand = try arguments.bound(to: parameters, of: name)[0] else {
      throw TemplateFailure(.evaluation, "the test '\(name)' needs a value")
    }
    return try compare(name, value, operand, interpreter)
  }

  /// Tests that look at the type alone.
  private static func applyToType(
    _ name: String, _ value: TemplateValue, _ interpreter: TemplateInterpreter
  ) throws -> Bool? {
    switch (name, value) {
    case ("undefined", _): value.isUndefined
    case ("defined", _): !value.isUndefined
    case ("none", .none), ("string", .string), ("float", .float), ("integer", .integer),
      ("boolean", .boolean), ("mapping", .dictionary), ("callable", .callable), ("number", .float),
      ("number", .integer), ("number", .boolean):
      true
    case ("none", _), ("string", _), ("float", _), ("integer", _), ("boolean", _), ("mapping", _),
      ("callable", _), ("number", _):
      false
    case ("sequence", .string), ("sequence", .list), ("sequence", .tuple),
      ("sequence", .dictionary),
      ("sequence", .undefined), ("iterable", .string), ("iterable", .list), ("iterable", .tuple),
      ("iterable", .dictionary), ("iterable", .undefined):
      true
    case ("sequence", _), ("iterable", _): false
    case ("filter", .string(let text)): TemplateFilters.exists(text)
    case ("test", .string(let text)): exists(text)
    case ("filter", _), ("test", _): false
    default: nil
    }
  }

  private static func applyToValue(_ name: String, _ value: TemplateValue) throws -> Bool {
    switch (name, value) {
    case ("true", .boolean(let truth)): return truth
    case ("false", .boolean(let truth)): return !truth
    case ("true", _), ("false", _): return false
    case ("lower", .string(let text)):
      return text.hasSameUTF8(as: text.lowercased()) && text.hasCase
    case ("upper", .string(let text)):
      return text.hasSameUTF8(as: text.uppercased()) && text.hasCase
    case ("odd", _), ("even", _):
      guard let integer = value.integer else { break }
      return integer.isMultiple(of: 2) == (name == "even")
    default: break
    }
    throw TemplateFailure(
      .evaluation, "the test '\(name)' does not apply to a value of type \(value.typeName)")
  }

  private static func compare(
    _ name: String, _ value: TemplateValue, _ operand: TemplateValue,
    _ interpreter: TemplateInterpreter
  ) throws -> Bool {
    switch name {
    case "eq", "equalto", "==": return try interpreter.compare(.equal, value, operand)
    case "ne", "!=": return try interpreter.compare(.notEqual, value, operand)
    case "lt", "lessthan", "<": return try interpreter.compare(.less, value, operand)
    case "le", "<=": return try interpreter.compare(.lessOrEqual, value, operand)
    case "gt", "greaterthan", ">": return try interpreter.compare(.greater, value, operand)
    case "ge", ">=": return try interpreter.compare(.greaterOrEqual, value, operand)
    case "in": return try interpreter.contains(operand, value)
    case "divisibleby":
      return !(try interpreter.apply(.remainder, value, operand).isTrue)
    default: return try isSame(value, operand, interpreter)
    }
  }

  /// Python's `is`: the same object for what can be changed, the same type and value otherwise.
  private static func isSame(
    _ left: TemplateValue, _ right: TemplateValue, _ interpreter: TemplateInterpreter
  ) throws -> Bool {
    switch (left, right) {
    case (.list(let one), .list(let other)): one === other
    case (.tuple(let one), .tuple(let other)): one === other
    case (.dictionary(let one), .dictionary(let other)): one === other
    default: try left.typeName == right.typeName && interpreter.isEqual(left, right)
    }
  }
}

extension String {
  /// Whether some character has an upper and a lower case.
  fileprivate var hasCase: Bool { unicodeScalars.contains { $0.properties.isCased } }
}
