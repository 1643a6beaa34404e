/// The key-value pairs of a GGUF file, in file order.
///
/// The typed accessors throw an error that names the key and what was found instead: a key that
/// is absent is `CheckpointError.Kind.missing`, a value of another type `.mismatched`. Those with
/// a `default` throw on a value of another type only.
public struct GGUFMetadata: Sendable {
  /// Path of the file, for errors.
  let path: String
  /// Keys in file order.
  public let keys: [String]
  private let values: [String: GGUFValue]

  /// - Parameter pairs: Keys, without duplicates, and their values.
  init(path: String, pairs: [(key: String, value: GGUFValue)]) {
    self.path = path
    keys = pairs.map(\.key)
    values = Dictionary(pairs.map { ($0.key, $0.value) }) { first, _ in first }
  }

  /// Number of keys.
  public var count: Int { keys.count }

  /// The value of `key`, whatever its type; nil if the file has no such key.
  public subscript(key: String) -> GGUFValue? { values[key] }

  /// A string.
  public func string(_ key: String) throws(CheckpointError) -> String {
    try required(key, string(ifPresent: key))
  }

  /// A string, or nil if the key is absent.
  public func string(ifPresent key: String) throws(CheckpointError) -> String? {
    try typed(key, "a string") { if case .string(let value) = $0 { value } else { nil } }
  }

  /// An integer of any width, not negative.
  public func unsigned(_ key: String) throws(CheckpointError) -> Int {
    try required(key, unsigned(ifPresent: key))
  }

  /// An integer that is not negative, or nil if the key is absent.
  public func unsigned(ifPresent key: String) throws(CheckpointError) -> Int? {
    try typed(key, "an integer that is not negative") { value in
      value.integer.flatMap { $0 >= 0 ? $0 : nil }
    }
  }

  /// An integer that is not negative, or `fallback` if the key is absent.
  public func unsigned(_ key: String, default fallback: Int) throws(CheckpointError) -> Int {
    try unsigned(ifPresent: key) ?? fallback
  }

  /// A floating-point number of either width, rounded to 32 bits.
  public func float(_ key: String) throws(CheckpointError) -> Float {
    try required(key, float(ifPresent: key))
  }

  /// A floating-point number, or nil if the key is absent.
  public func float(ifPresent key: String) throws(CheckpointError) -> Float? {
    try typed(key, "a floating-point number") { $0.double.map { Float($0) } }
  }

  /// A floating-point number, or `fallback` if the key is absent.
  public func float(_ key: String, default fallback: Float) throws(CheckpointError) -> Float {
    try float(ifPresent: key) ?? fallback
  }

  /// A truth value.
  public func bool(_ key: String) throws(CheckpointError) -> Bool {
    try required(key, bool(ifPresent: key))
  }

  /// A truth value, or nil if the key is absent.
  public func bool(ifPresent key: String) throws(CheckpointError) -> Bool? {
    try typed(key, "a truth value") { if case .bool(let value) = $0 { value } else { nil } }
  }

  /// A truth value, or `fallback` if the key is absent.
  public func bool(_ key: String, default fallback: Bool) throws(CheckpointError) -> Bool {
    try bool(ifPresent: key) ?? fallback
  }

  /// An array of strings, read in place.
  public func strings(_ key: String) throws(CheckpointError) -> StringArrayView {
    try required(key, strings(ifPresent: key))
  }

  /// An array of strings, or nil if the key is absent.
  public func strings(ifPresent key: String) throws(CheckpointError) -> StringArrayView? {
    try typed(key, "an array of strings") { array($0)?.strings() }
  }

  /// An array of integers of any width.
  public func integers(_ key: String) throws(CheckpointError) -> [Int] {
    try required(key, integers(ifPresent: key))
  }

  /// An array of integers, or nil if the key is absent.
  public func integers(ifPresent key: String) throws(CheckpointError) -> [Int]? {
    try typed(key, "an array of integers") { array($0)?.integers() }
  }

  /// An array of floating-point numbers of either width.
  public func floats(_ key: String) throws(CheckpointError) -> [Float] {
    try required(key, floats(ifPresent: key))
  }

  /// An array of floating-point numbers, or nil if the key is absent.
  public func floats(ifPresent key: String) throws(CheckpointError) -> [Float]? {
    try typed(key, "an array of floating-point numbers") { array($0)?.floats() }
  }

  /// An array of truth values.
  public func bools(_ key: String) throws(CheckpointError) -> [Bool] {
    try required(key, bools(ifPresent: key))
  }

  /// An array of truth values, or nil if the key is absent.
  public func bools(ifPresent key: String) throws(CheckpointError) -> [Bool]? {
    try typed(key, "an array of truth values") { array($0)?.bools() }
  }

  private func array(_ value: GGUFValue) -> GGUFArray? {
    if case .array(let array) = value { array } else { nil }
  }

  private func required<Value>(_ key: String, _ value: Value?) throws(CheckpointError) -> Value {
    guard let value else {
      throw CheckpointError(.missing, file: path, "the metadata has no key '\(key)'")
    }
    return value
  }

  private func typed<Value>(
    _ key: String, _ expected: String, _ convert: (GGUFValue) -> Value?
  ) throws(CheckpointError) -> Value? {
    guard let found = values[key] else { return nil }
    guard let value = convert(found) else {
      throw CheckpointError(
        .mismatched, file: path,
        "metadata key '\(key)' should be \(expected), but is \(Self.summary(found))")
    }
    return value
  }

  private static func summary(_ value: GGUFValue) -> String {
    switch value {
    case .array(let array): return array.description
    case .string(let text): return "the string \"\(text.prefix(40))\""
    default: return "\(value.type) \(value)"
    }
  }
}
