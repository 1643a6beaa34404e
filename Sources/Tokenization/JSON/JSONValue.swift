/// A JSON document that keeps the order of keys and tells integers from other numbers.
public enum JSONValue: Sendable, Equatable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number written without fraction and exponent that fits 64 bits.
  case integer(Int)
  /// Any other number.
  case number(Double)
  /// Text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Keys and values, in the order of the document.
  case object(JSONObject)

  /// Compares text byte by byte, objects whatever the order of their keys, and never an integer
  /// with another number.
  public static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let one), .bool(let other)): one == other
    case (.integer(let one), .integer(let other)): one == other
    case (.number(let one), .number(let other)): one == other
    case (.string(let one), .string(let other)): one.hasSameUTF8(as: other)
    case (.array(let one), .array(let other)): one == other
    case (.object(let one), .object(let other)): one == other
    default: false
    }
  }
}

extension JSONValue {
  /// The text, if this is a string.
  public var stringValue: String? { if case .string(let text) = self { text } else { nil } }

  /// The truth value, if this is one.
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The integer, if this is a number without fraction.
  public var intValue: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number, if this is one.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The elements, if this is an array.
  public var arrayValue: [JSONValue]? { if case .array(let items) = self { items } else { nil } }

  /// The object, if this is one.
  public var objectValue: JSONObject? { if case .object(let object) = self { object } else { nil } }

  /// Whether this is `null`.
  public var isNull: Bool { if case .null = self { true } else { false } }

  /// The value of `key`, if this is an object that has it.
  public subscript(key: String) -> JSONValue? { objectValue?[key] }

  /// The element at `index`, if this is an array that has it.
  public subscript(index: Int) -> JSONValue? {
    guard let items = arrayValue, items.indices.contains(index) else { return nil }
    return items[index]
  }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// `null`.
  public init(nilLiteral: ()) { self = .null }
  /// A truth value.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// An integer.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// A number.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// Text.
  public init(stringLiteral value: String) { self = .string(value) }
  /// An array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// An object, keys in the order given.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements))
  }
}

/// The keys and values of a JSON object in their order. Keys are compared byte by byte.
public struct JSONObject: Sendable, Equatable {
  /// A key and its value.
  public typealias Entry = (key: String, value: JSONValue)

  /// Keys and values in the order the keys were first set.
  public private(set) var entries: [Entry] = []
  private var positions: [UTF8Key: Int] = [:]

  /// An object without keys.
  public init() {}

  /// An object of `entries`; the last value of a key counts, at the place of the first.
  public init(_ entries: some Sequence<(String, JSONValue)>) {
    for (key, value) in entries { self[key] = value }
  }

  /// How many keys there are.
  public var count: Int { entries.count }

  /// Whether there are no keys.
  public var isEmpty: Bool { entries.isEmpty }

  /// The keys in order.
  public var keys: [String] { entries.map(\.key) }

  /// The value of `key`. A new key goes to the end; setting `nil` removes the key, in time linear
  /// in `count`.
  public subscript(key: String) -> JSONValue? {
    get { positions[UTF8Key(key)].map { entries[$0].value } }
    set {
      let position = positions[UTF8Key(key)]
      switch (position, newValue) {
      case (let position?, let value?):
        entries[position].value = value
      case (nil, let value?):
        positions[UTF8Key(key)] = entries.count
        entries.append((key, value))
      case (let position?, nil):
        entries.remove(at: position)
        positions[UTF8Key(key)] = nil
        for index in position..<entries.count { positions[UTF8Key(entries[index].key)] = index }
      case (nil, nil):
        break
      }
    }
  }

  /// Whether both have the same keys with the same values, in any order.
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.count == right.count && left.entries.allSatisfy { right[$0.key] == $0.value }
  }
}
