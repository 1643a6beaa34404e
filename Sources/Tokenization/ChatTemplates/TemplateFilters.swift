import Foundation

/// What can stand behind `|`. Filters on sequences are in `TemplateSequenceFilters`.
enum TemplateFilters {
  private static let parameters: [String: [String]] = [
    "abs": [], "capitalize": [], "count": [], "d": ["default_value", "boolean"],
    "default": ["default_value", "boolean"], "e": [], "escape": [], "first": [],
    "float": ["default"], "indent": ["width", "first", "blank"], "int": ["default", "base"],
    "items": [], "length": [], "list": [], "lower": [],
    "replace": ["old", "new", "count"], "reverse": [], "round": ["precision", "method"],
    "safe": [], "string": [], "title": [],
    "tojson": ["indent", "ensure_ascii", "separators", "sort_keys"], "trim": ["chars"],
    "upper": [], "wordcount": [], "attr": ["name"],
  ]

  static func exists(_ name: String) -> Bool {
    parameters[name] != nil || name == "format" || TemplateSequenceFilters.exists(name)
  }

  static func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    if TemplateSequenceFilters.exists(name) {
      return try TemplateSequenceFilters.apply(name, to: value, arguments, interpreter)
    }
    if name == "format" {
      return .string(
        try interpreter.formatted(interpreter.text(of: value), arguments.positional))
    }
    let values = try arguments.bound(to: parameters[name] ?? [], of: name)
    switch name {
    case "default", "d":
      let isMissing =
        value.isUndefined || (values[1]?.isTrue ?? false) && !value.isTrue
      return isMissing ? values[0] ?? .string("") : value
    case "length", "count": return .integer(try length(of: value, interpreter))
    case "list": return .list(try TemplateList(interpreter.iterate(value)))
    case "items": return try items(of: value, interpreter)
    case "abs", "int", "float", "round": return try number(name, value, values)
    case "tojson": return .string(try json(value, values, interpreter))
    case "attr":
      return try interpreter.attribute(interpreter.text(of: values[0] ?? .none), of: value)
    case "reverse":
      if case .string(let text) = value {
        try interpreter.charge(text: text.utf8.count)
        return .string(String(String.UnicodeScalarView(text.unicodeScalars.reversed())))
      }
      return .list(try TemplateList(interpreter.iterate(value).reversed()))
    case "first":
      return try interpreter.iterate(value).first ?? .undefined("there is no first item")
    default:
      let text = try interpreter.text(of: value)
      try interpreter.charge(text: text.utf8.count)
      return try applyToText(name, text, values, interpreter)
    }
  }

  // MARK: Text

  private static func applyToText(
    _ name: String, _ text: String, _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    switch name {
    case "trim": .string(TemplateStrings.strip(text, try optionalText(values[0], interpreter)))
    case "upper": .string(text.uppercased())
    case "lower": .string(text.lowercased())
    case "title": .string(TemplateStrings.titledWords(text))
    case "capitalize": .string(TemplateStrings.capitalized(text))
    case "wordcount": .integer(wordCount(text))
    case "escape", "e": .string(try escaped(text, interpreter))
    case "indent": .string(try indented(text, values, interpreter))
    case "replace":
      .string(
        try replace(
          text, interpreter.text(of: values[0] ?? .none),
          with: interpreter.text(of: values[1] ?? .none), limit: values[2]?.integer ?? .max,
          interpreter))
    default: .string(text)
    }
  }

  private static func optionalText(
    _ value: TemplateValue?, _ interpreter: TemplateInterpreter
  ) throws -> String? {
    guard let value, case .string(let text) = value else { return nil }
    return text
  }

  private static func wordCount(_ text: String) -> Int {
    text.unicodeScalars.split { scalar in
      CharacterClass(scalar) == .other && scalar != "_" || TemplateStrings.isSpace(scalar)
    }.count
  }

  private static func escaped(_ text: String, _ interpreter: TemplateInterpreter) throws -> String {
    // No character grows to more than five.
    try interpreter.charge(text: text.utf8.count, times: 5)
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "'": result += "&#39;"
      case "\"": result += "&#34;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func indented(
    _ text: String, _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> String {
    var margin = String(repeating: " ", count: 4)
    switch values[0] {
    case .string(let text)?: margin = text
    case let width?:
      try interpreter.charge(text: max(0, width.integer ?? 4))
      margin = String(repeating: " ", count: max(0, width.integer ?? 4))
    case nil: break
    }
    let indentsFirst = values[1]?.isTrue ?? false
    let indentsBlank = values[2]?.isTrue ?? false
    let lines = TemplateStrings.split(text, by: "\n")
    try interpreter.charge(text: margin.utf8.count, times: lines.count)
    return lines.enumerated().map { index, line in
      let isIndented = index == 0 ? indentsFirst : indentsBlank || !line.isEmpty
      return isIndented ? margin + line : line
    }.joined(separator: "\n")
  }

  /// `text` with the first `limit` places of `old` replaced.
  static func replace(
    _ text: String, _ old: String, with new: String, limit: Int, _ interpreter: TemplateInterpreter
  ) throws -> String {
    let limit = limit < 0 ? .max : limit
    if old.isEmpty {
      // Python puts the new text before every character and behind the last one.
      let scalars = text.unicodeScalars.map { String($0) }
      let places = min(limit, scalars.count + 1)
      try interpreter.charge(text: new.utf8.count, times: places)
      let head = scalars.prefix(places).map { new + $0 }.joined()
      return head + scalars.dropFirst(places).joined() + (places > scalars.count ? new : "")
    }
    let pieces = TemplateStrings.split(text, by: old, limit: limit)
    return try interpreter.concatenate(pieces, separator: new)
  }

  // MARK: Numbers and sizes

  private static func number(
    _ name: String, _ value: TemplateValue, _ values: [TemplateValue?]
  ) throws -> TemplateValue {
    switch name {
    case "int": return integer(of: value, values)
    case "float":
      if let number = value.number { return .float(number) }
      if case .string(let text) = value, let number = Double(TemplateStrings.strip(text)) {
        return .float(number)
      }
      return values[0] ?? .float(0)
    case "abs":
      if let integer = value.integer, integer != .min { return .integer(abs(integer)) }
      guard let number = value.number else { break }
      return .float(abs(number))
    default:
      guard let number = value.number else { break }
      let result = rounded(number, values)
      // Python rounds an integer to an integer, except up or down.
      guard let integer = value.integer, case nil = values[1] else { return .float(result) }
      let isExact = (values[0]?.integer ?? 0) >= 0
      return .integer(isExact ? integer : Int(exactly: result) ?? integer)
    }
    throw TemplateFailure(.evaluation, "'\(name)' needs a number, not \(value.typeName)")
  }

  private static func integer(of value: TemplateValue, _ values: [TemplateValue?]) -> TemplateValue
  {
    let fallback = values[0] ?? .integer(0)
    if let integer = value.integer { return .integer(integer) }
    if let number = value.number {
      return Int(exactly: number.rounded(.towardZero)).map { .integer($0) } ?? fallback
    }
    guard case .string(let text) = value else { return fallback }
    let digits = TemplateStrings.strip(text).filter { $0 != "_" }
    let base = values[1]?.integer ?? 10
    if (2...36).contains(base), let integer = Int(digits, radix: base) { return .integer(integer) }
    guard base == 10, let number = Double(digits) else { return fallback }
    return Int(exactly: number.rounded(.towardZero)).map { .integer($0) } ?? fallback
  }

  private static func rounded(_ number: Double, _ values: [TemplateValue?]) -> Double {
    // Beyond 300 digits the scale itself is not a number any more.
    let precision = min(max(values[0]?.integer ?? 0, -300), 300)
    let rule: FloatingPointRoundingRule
    switch values[1] {
    case .string("ceil")?: rule = .up
    case .string("floor")?: rule = .down
    default: rule = .toNearestOrEven
    }
    let scale = pow(10, Double(precision))
    let scaled = (number * scale).rounded(rule)
    return scaled.isFinite ? scaled / scale : number
  }

  private static func length(
    of value: TemplateValue, _ interpreter: TemplateInterpreter
  ) throws -> Int {
    switch value {
    case .undefined: return 0
    case .string(let text):
      try interpreter.scan(text: text.utf8.count)
      return text.unicodeScalars.count
    case .list(let list), .tuple(let list): return list.items.count
    case .dictionary(let dictionary): return dictionary.entries.count
    default: throw TemplateFailure(.evaluation, "a value of type \(value.typeName) has no length")
    }
  }

  private static func items(
    of value: TemplateValue, _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    switch value {
    case .undefined: return .list(try TemplateList([]))
    case .dictionary(let dictionary):
      return .list(try TemplateMethods.pairs(of: dictionary, interpreter))
    default: throw TemplateFailure(.evaluation, "'items' needs a dictionary, not \(value.typeName)")
    }
  }

  /// JSON as `transformers` writes it for chat templates: nothing escaped that JSON does not
  /// demand, `, ` and `: ` between the parts.
  private static func json(
    _ value: TemplateValue, _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> String {
    var format = JSONFormat.python
    if let indent = values[0]?.integer { format.indent = min(max(0, indent), 64) }
    format.escapesNonASCII = values[1]?.isTrue ?? false
    if let separators = values[2]?.sequence, separators.count == 2 {
      format.itemSeparator = try interpreter.text(of: separators[0])
      format.keySeparator = try interpreter.text(of: separators[1])
    }
    format.sortsKeys = values[3]?.isTrue ?? false
    let text = try interpreter.json(value).serialized(format)
    try interpreter.charge(text: text.utf8.count)
    return text
  }
}
