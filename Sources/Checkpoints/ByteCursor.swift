/// Reads little-endian fields one after the other, each checked against the end of the bytes.
/// The bytes must stay valid as long as the cursor is used.
struct ByteCursor {
  let bytes: UnsafeRawBufferPointer
  /// Where the bytes come from, for errors.
  let path: String
  private(set) var offset = 0

  init(_ bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  var remaining: Int { bytes.count - offset }

  func failure(_ kind: CheckpointError.Kind, at offset: Int, _ message: String) -> CheckpointError {
    CheckpointError(kind, file: path, offset: offset, message)
  }

  /// Moves past `count` bytes and returns their range. `what` names them in the error.
  mutating func skip(_ count: Int, _ what: @autoclosure () -> String) throws(CheckpointError)
    -> Range<Int>
  {
    guard count >= 0, count <= remaining else {
      throw failure(
        .truncated, at: offset,
        "\(what()) needs \(count) bytes, but the file ends after \(remaining) more")
    }
    let range = offset..<offset + count
    offset += count
    return range
  }

  mutating func read<Value: FixedWidthInteger>(
    _ type: Value.Type, _ what: @autoclosure () -> String
  ) throws(CheckpointError) -> Value {
    let range = try skip(MemoryLayout<Value>.size, what())
    let value = bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: Value.self)
    return Value(littleEndian: value)
  }

  /// A 64-bit count of things that take at least `minimumBytes` each: one that cannot fit in the
  /// rest of the file is refused before anything is allocated for it.
  mutating func readCount(
    minimumBytes: Int, _ what: @autoclosure () -> String
  ) throws(CheckpointError) -> Int {
    let start = offset
    let count = try read(UInt64.self, what())
    guard count <= UInt64(remaining / minimumBytes) else {
      throw failure(
        .truncated, at: start,
        "\(what()) says \(count), which cannot fit in the remaining \(remaining) bytes")
    }
    return Int(count)
  }

  /// A string with a 64-bit length before it, at most `limit` bytes long.
  mutating func readName(
    limit: Int, _ what: @autoclosure () -> String
  ) throws(CheckpointError) -> String {
    let start = offset
    let length = try readCount(minimumBytes: 1, "the length of \(what())")
    guard length > 0, length <= limit else {
      throw failure(
        .malformed, at: start, "\(what()) is \(length) bytes long; expected 1 to \(limit)")
    }
    let range = try skip(length, what())
    guard let name = String(validating: bytes[range], as: UTF8.self) else {
      throw failure(.malformed, at: range.lowerBound, "\(what()) is not valid UTF-8")
    }
    return name
  }
}
