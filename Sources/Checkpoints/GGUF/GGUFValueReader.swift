/// Where an encoded array lies: its elements occupy `range` of the cursor's bytes.
struct GGUFArrayExtent {
  let elementType: GGUFValueType
  let count: Int
  let range: Range<Int>
}

/// Arrays nested deeper than this are refused; no known model nests any.
private let nestingLimit = 8

extension ByteCursor {
  mutating func readValueType(_ what: @autoclosure () -> String) throws(CheckpointError)
    -> GGUFValueType
  {
    let start = offset
    let number = try read(UInt32.self, "the type of \(what())")
    guard let type = GGUFValueType(rawValue: number) else {
      throw failure(
        .malformed, at: start, "\(what()) has value type \(number); the format defines 0 to 12")
    }
    return type
  }

  /// One value of `type`. `what` names it in errors.
  mutating func readValue(
    _ type: GGUFValueType, of file: MappedFile, _ what: @autoclosure () -> String
  ) throws(CheckpointError) -> GGUFValue {
    switch type {
    case .uint8: return .uint8(try read(UInt8.self, what()))
    case .int8: return .int8(try read(Int8.self, what()))
    case .uint16: return .uint16(try read(UInt16.self, what()))
    case .int16: return .int16(try read(Int16.self, what()))
    case .uint32: return .uint32(try read(UInt32.self, what()))
    case .int32: return .int32(try read(Int32.self, what()))
    case .uint64: return .uint64(try read(UInt64.self, what()))
    case .int64: return .int64(try read(Int64.self, what()))
    case .float32: return .float32(Float(bitPattern: try read(UInt32.self, what())))
    case .float64: return .float64(Double(bitPattern: try read(UInt64.self, what())))
    case .bool:
      let range = try skip(1, what())
      try checkBools(range, what())
      return .bool(bytes[range.lowerBound] == 1)
    case .string:
      let length = try readCount(minimumBytes: 1, "the length of \(what())")
      let range = try skip(length, what())
      return .string(String(decoding: bytes[range], as: UTF8.self))
    case .array:
      let extent = try readArray(what())
      return .array(
        GGUFArray(
          elementType: extent.elementType, count: extent.count, file: file, range: extent.range))
    }
  }

  /// Checks an array to its end without keeping anything of it. `depth` counts the arrays around it.
  mutating func readArray(
    _ what: @autoclosure () -> String, depth: Int = 0
  ) throws(CheckpointError) -> GGUFArrayExtent {
    let start = offset
    guard depth < nestingLimit else {
      throw failure(
        .malformed, at: start, "\(what()) nests arrays deeper than \(nestingLimit) levels")
    }
    let elementType = try readValueType("the elements of \(what())")
    let count = try readCount(
      minimumBytes: elementType.minimumBytes, "the element count of \(what())")
    let elementsStart = offset
    switch elementType {
    case .string: try skipStrings(count, what())
    case .array:
      for _ in 0..<count { _ = try readArray(what(), depth: depth + 1) }
    default:
      // `readCount` has shown that this product is below the number of remaining bytes.
      let range = try skip(count * elementType.minimumBytes, what())
      if elementType == .bool { try checkBools(range, what()) }
    }
    return GGUFArrayExtent(
      elementType: elementType, count: count, range: elementsStart..<offset)
  }

  /// Vocabularies make this the longest loop of opening a model, so that it keeps to plain
  /// integers; `readCount` and `skip` run only for the string that is wrong, to throw its error.
  private mutating func skipStrings(
    _ count: Int, _ what: @autoclosure () -> String
  ) throws(CheckpointError) {
    var position = offset
    for index in 0..<count {
      let space = bytes.count - position - stringLengthBytes
      let length =
        space < 0
        ? .max
        : UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      guard space >= 0, length <= UInt64(space) else {
        _ = try skip(position - offset, what())
        let length = try readCount(minimumBytes: 1, "the length of element \(index) of \(what())")
        _ = try skip(length, what())
        return
      }
      position += stringLengthBytes + Int(length)
    }
    _ = try skip(position - offset, what())
  }

  private func checkBools(
    _ range: Range<Int>, _ what: @autoclosure () -> String
  ) throws(CheckpointError) {
    guard let position = range.first(where: { bytes[$0] > 1 }) else { return }
    throw failure(
      .malformed, at: position,
      "\(what()) holds the truth value \(bytes[position]); only 0 and 1 are defined")
  }
}
