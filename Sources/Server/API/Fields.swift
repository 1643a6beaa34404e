import Foretoken

/// The keys of a JSON object, read one after the other: a key of the wrong type or out of its range,
/// or one that nobody knows, is an error that names it.
struct Fields {
  private let object: JSONObject
  private let path: String
  private var known: Set<String> = []

  /// - Parameters:
  ///   - value: the object.
  ///   - path: where it is, as in `messages[2]`; empty for the whole body.
  /// - Throws: `APIError` if it is not an object.
  init(_ value: JSONValue, path: String = "") throws {
    guard let object = value.objectValue else {
      throw APIError.invalid(
        "\(path.isEmpty ? "the body" : path) is \(Self.kind(value)), expected an object",
        parameter: path.isEmpty ? nil : path)
    }
    self.object = object
    self.path = path
  }

  /// The place of a key, for messages.
  func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  /// The value of a key; nil if it is missing or null.
  mutating func take(_ key: String) -> JSONValue? {
    known.insert(key)
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// Text.
  mutating func string(_ key: String) throws -> String? {
    guard let value = take(key) else { return nil }
    guard let text = value.stringValue else { throw wrong(key, value, "text") }
    return text
  }

  /// Text that has to be there.
  mutating func requiredString(_ key: String) throws -> String {
    guard let text = try string(key) else { throw missing(key) }
    return text
  }

  /// true or false.
  mutating func bool(_ key: String) throws -> Bool? {
    guard let value = take(key) else { return nil }
    guard let flag = value.boolValue else { throw wrong(key, value, "true or false") }
    return flag
  }

  /// A whole number in a range.
  mutating func integer(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
    guard let value = take(key) else { return nil }
    guard let number = value.intValue, range.contains(number) else {
      throw wrong(key, value, "a whole number, \(Self.text(range))")
    }
    return number
  }

  /// A number in a range.
  mutating func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double? {
    guard let value = take(key) else { return nil }
    guard let number = value.doubleValue, range.contains(number) else {
      throw wrong(key, value, "a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A list.
  mutating func array(_ key: String) throws -> [JSONValue]? {
    guard let value = take(key) else { return nil }
    guard let items = value.arrayValue else { throw wrong(key, value, "a list") }
    return items
  }

  /// An object.
  mutating func object(_ key: String) throws -> Fields? {
    guard let value = take(key) else { return nil }
    return try Fields(value, path: name(key))
  }

  /// One of a few words.
  mutating func word<Word: RawRepresentable & CaseIterable>(
    _ key: String, of type: Word.Type
  ) throws -> Word? where Word.RawValue == String {
    guard let value = take(key) else { return nil }
    guard let word = value.stringValue.flatMap(Word.init(rawValue:)) else {
      let words = type.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw wrong(key, value, "one of \(words)")
    }
    return word
  }

  /// Takes keys that mean nothing here, whatever their values.
  mutating func ignore(_ keys: String...) { known.formUnion(keys) }

  /// Throws for the first key that nobody asked for.
  func finish() throws {
    guard let key = object.keys.first(where: { !known.contains($0) }) else { return }
    throw APIError.invalid(
      "unknown key \(APIError.printable(name(key))); known ones are "
        + known.sorted().joined(separator: ", "), parameter: name(key), code: "unknown_parameter")
  }

  /// The error for a key that has to be there.
  func missing(_ key: String) -> APIError {
    .invalid(
      "\(name(key)) is missing", parameter: name(key), code: "missing_required_parameter")
  }

  /// The error for a value that is not what it should be.
  func wrong(_ key: String, _ value: JSONValue, _ expected: String) -> APIError {
    .invalid(
      "\(name(key)) is \(Self.kind(value)), expected \(expected)", parameter: name(key),
      code: "invalid_value")
  }

  private static func text(_ range: ClosedRange<Int>) -> String {
    range.upperBound == .max
      ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
  }

  /// The value if it is short, else its kind.
  static func kind(_ value: JSONValue) -> String {
    switch value {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .string(let text): APIError.printable(text)
    case .array(let items): "a list of \(items.count)"
    case .object: "an object"
    }
  }
}
