/// A metadata array. Its elements stay encoded as in a file (little-endian, strings with a 64-bit
/// length before them) and are decoded when they are asked for: a vocabulary of 262,144 tokens
/// costs nothing until a tokenizer reads it, and copying metadata to a new file is a byte copy.
public struct GGUFArray: Sendable {
  private enum Storage: Sendable {
    case mapped(MappedFile, Range<Int>)
    case owned([UInt8])
  }

  /// Type of every element.
  public let elementType: GGUFValueType
  /// Number of elements.
  public let count: Int
  private let storage: Storage

  /// An array whose encoding, checked by the parser, is `range` of `file`.
  init(elementType: GGUFValueType, count: Int, file: MappedFile, range: Range<Int>) {
    self.elementType = elementType
    self.count = count
    storage = .mapped(file, range)
  }

  private init(elementType: GGUFValueType, count: Int, encoding: [UInt8]) {
    self.elementType = elementType
    self.count = count
    storage = .owned(encoding)
  }

  /// An array of strings.
  public init(_ values: [String]) {
    var encoding: [UInt8] = []
    for value in values { encoding.appendGGUF(string: value) }
    self.init(elementType: .string, count: values.count, encoding: encoding)
  }

  /// An array of 32-bit floats.
  public init(_ values: [Float]) {
    var encoding: [UInt8] = []
    for value in values { encoding.append(littleEndian: value.bitPattern) }
    self.init(elementType: .float32, count: values.count, encoding: encoding)
  }

  /// An array of 32-bit integers.
  public init(_ values: [Int32]) {
    var encoding: [UInt8] = []
    for value in values { encoding.append(littleEndian: value) }
    self.init(elementType: .int32, count: values.count, encoding: encoding)
  }

  /// An array of truth values.
  public init(_ values: [Bool]) {
    self.init(elementType: .bool, count: values.count, encoding: values.map { $0 ? 1 : 0 })
  }

  /// An array of values of one type.
  ///
  /// - Returns: nil if `values` holds a value of another type.
  public init?(_ values: [GGUFValue], elementType: GGUFValueType) {
    var encoding: [UInt8] = []
    for value in values {
      guard value.type == elementType else { return nil }
      encoding.appendGGUF(value)
    }
    self.init(elementType: elementType, count: values.count, encoding: encoding)
  }

  /// Calls `body` with the encoded elements.
  func withEncoding<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch storage {
    case .mapped(let file, let range): try file.withBytes(in: range, body)
    case .owned(let encoding): try encoding.withUnsafeBytes(body)
    }
  }

  /// The elements as integers; nil if they are not integers that fit in `Int`.
  public func integers() -> [Int]? {
    switch elementType {
    case .uint8: fixed(UInt8.self)
    case .int8: fixed(Int8.self)
    case .uint16: fixed(UInt16.self)
    case .int16: fixed(Int16.self)
    case .uint32: fixed(UInt32.self)
    case .int32: fixed(Int32.self)
    case .uint64: fixed(UInt64.self)
    case .int64: fixed(Int64.self)
    case .float32, .float64, .bool, .string, .array: nil
    }
  }

  /// The elements as floats (64-bit ones rounded); nil if they are not floating-point numbers.
  public func floats() -> [Float]? {
    switch elementType {
    case .float32: patterns(UInt32.self).map { Float(bitPattern: $0) }
    case .float64: patterns(UInt64.self).map { Float(Double(bitPattern: $0)) }
    default: nil
    }
  }

  /// The elements as truth values; nil if they are not.
  public func bools() -> [Bool]? {
    guard elementType == .bool else { return nil }
    return patterns(UInt8.self).map { $0 != 0 }
  }

  /// The elements as strings; nil if they are not. One pass over the array.
  public func strings() -> StringArrayView? { StringArrayView(self) }

  /// Every element as a value of its own, nested arrays included. Meant for small arrays.
  public func values() -> [GGUFValue] {
    switch elementType {
    case .string:
      return (strings().map { view in (0..<view.count).map { .string(view.string(at: $0)) } }) ?? []
    case .array: return nestedArrays().map { .array($0) }
    case .bool: return (bools() ?? []).map { .bool($0) }
    case .uint8: return patterns(UInt8.self).map { .uint8($0) }
    case .int8: return patterns(Int8.self).map { .int8($0) }
    case .uint16: return patterns(UInt16.self).map { .uint16($0) }
    case .int16: return patterns(Int16.self).map { .int16($0) }
    case .uint32: return patterns(UInt32.self).map { .uint32($0) }
    case .int32: return patterns(Int32.self).map { .int32($0) }
    case .uint64: return patterns(UInt64.self).map { .uint64($0) }
    case .int64: return patterns(Int64.self).map { .int64($0) }
    case .float32: return patterns(UInt32.self).map { .float32(Float(bitPattern: $0)) }
    case .float64: return patterns(UInt64.self).map { .float64(Double(bitPattern: $0)) }
    }
  }

  private func fixed<Value: FixedWidthInteger>(_ type: Value.Type) -> [Int]? {
    var integers: [Int] = []
    integers.reserveCapacity(count)
    for value in patterns(type) {
      guard let integer = Int(exactly: value) else { return nil }
      integers.append(integer)
    }
    return integers
  }

  private func patterns<Value: FixedWidthInteger>(_ type: Value.Type) -> [Value] {
    withEncoding { bytes in
      let stride = MemoryLayout<Value>.size
      return (0..<min(count, bytes.count / stride)).map {
        Value(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * stride, as: Value.self))
      }
    }
  }

  /// The inner arrays, each with its own slice of this array's encoding.
  private func nestedArrays() -> [GGUFArray] {
    withEncoding { bytes in
      var cursor = ByteCursor(bytes, path: description)
      var arrays: [GGUFArray] = []
      // The encoding was checked when it was made or parsed, so that no failure is possible here.
      while arrays.count < count, let extent = try? cursor.readArray(description) {
        arrays.append(slice(extent, of: bytes))
      }
      return arrays
    }
  }

  private func slice(_ extent: GGUFArrayExtent, of bytes: UnsafeRawBufferPointer) -> GGUFArray {
    switch storage {
    case .mapped(let file, let range):
      let start = range.lowerBound + extent.range.lowerBound
      return GGUFArray(
        elementType: extent.elementType, count: extent.count, file: file,
        range: start..<start + extent.range.count)
    case .owned:
      return GGUFArray(
        elementType: extent.elementType, count: extent.count,
        encoding: Array(bytes[extent.range]))
    }
  }
}

extension GGUFArray: Equatable {
  /// Equal if the element types and the encoded elements are.
  public static func == (left: GGUFArray, right: GGUFArray) -> Bool {
    guard left.elementType == right.elementType, left.count == right.count else { return false }
    return left.withEncoding { a in right.withEncoding { b in a.elementsEqual(b) } }
  }
}

extension GGUFArray: CustomStringConvertible {
  /// Element type and count, such as `string[49152]`.
  public var description: String { "\(elementType)[\(count)]" }
}
