import CKernels

/// A safetensors file, mapped into memory: a 64-bit header length, a JSON header, and the tensors'
/// elements without a gap.
public final class SafetensorsFile: Sendable {
  static let headerLimit = 100_000_000
  static let lengthBytes = 8

  /// The mapping.
  public let file: MappedFile
  /// The strings of `__metadata__`.
  public let metadata: [String: String]
  /// Tensors in the order of their data.
  public let tensors: [SafetensorsTensor]
  private let indices: [String: Int]

  /// Maps and checks the file at `path`.
  ///
  /// - Throws: `CheckpointError` with the byte offset of whatever is wrong.
  public init(path: String) throws(CheckpointError) {
    file = try MappedFile(path: path)
    let headerEnd = try Self.headerEnd(of: file)
    let header = try SafetensorsHeaderParser(
      UnsafeRawBufferPointer(rebasing: file.bytes[..<headerEnd]), start: Self.lengthBytes,
      path: path)
    metadata = header.metadata
    tensors = try Self.locate(header.records, headerEnd: headerEnd, file: file)
    indices = Dictionary(tensors.enumerated().map { ($1.name, $0) }) { first, _ in first }
  }

  /// Path of the file as it was given.
  public var path: String { file.path }

  /// The tensor called `name`, or nil.
  public func tensor(ifPresent name: String) -> SafetensorsTensor? {
    indices[name].map { tensors[$0] }
  }

  /// The tensor called `name`.
  ///
  /// - Throws: `CheckpointError` of kind `missing` if the file has none.
  public func tensor(named name: String) throws(CheckpointError) -> SafetensorsTensor {
    guard let tensor = tensor(ifPresent: name) else {
      throw CheckpointError(.missing, file: path, "the file has no tensor '\(name)'")
    }
    return tensor
  }

  /// The encoded elements of `tensor`, little-endian; valid as long as this object lives.
  public func bytes(of tensor: SafetensorsTensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: file.bytes[tensor.range.clamped(to: 0..<file.count)])
  }

  /// The values of a tensor of any floating-point type, in the order of `shape`, rounded to 32 bits.
  ///
  /// - Throws: `CheckpointError` of kind `mismatched` if the tensor holds integers.
  public func floats(of tensor: SafetensorsTensor) throws(CheckpointError) -> [Float] {
    switch tensor.type {
    case .float32: return dequantize(tensor, FT_TYPE_F32)
    case .float16: return dequantize(tensor, FT_TYPE_F16)
    case .bfloat16: return dequantize(tensor, FT_TYPE_BF16)
    case .float64:
      return elements(of: tensor, as: UInt64.self).map { Float(Double(bitPattern: $0)) }
    case .int64, .int32, .int16, .int8, .uint8, .bool:
      throw mismatch(tensor, expected: "floating-point numbers")
    }
  }

  /// The values of a tensor of any integer type or of truth values (0 and 1).
  ///
  /// - Throws: `CheckpointError` of kind `mismatched` if the tensor holds floating-point numbers.
  public func integers(of tensor: SafetensorsTensor) throws(CheckpointError) -> [Int] {
    switch tensor.type {
    case .int64: return elements(of: tensor, as: Int64.self).map { Int($0) }
    case .int32: return elements(of: tensor, as: Int32.self).map { Int($0) }
    case .int16: return elements(of: tensor, as: Int16.self).map { Int($0) }
    case .int8: return elements(of: tensor, as: Int8.self).map { Int($0) }
    case .uint8, .bool: return elements(of: tensor, as: UInt8.self).map { Int($0) }
    case .float64, .float32, .float16, .bfloat16: throw mismatch(tensor, expected: "integers")
    }
  }

  private func mismatch(_ tensor: SafetensorsTensor, expected: String) -> CheckpointError {
    CheckpointError(
      .mismatched, file: path, offset: tensor.range.lowerBound,
      "tensor '\(tensor.name)' should hold \(expected), but is stored as \(tensor.type.rawValue)")
  }

  private func dequantize(_ tensor: SafetensorsTensor, _ type: ft_type) -> [Float] {
    let source = bytes(of: tensor)
    let count = source.count / tensor.type.byteCount
    return [Float](unsafeUninitializedCapacity: count) { values, initialized in
      guard let destination = values.baseAddress, let address = source.baseAddress else { return }
      initialized = ft_dequantize(type, address, destination, count) ? count : 0
    }
  }

  private func elements<Value: FixedWidthInteger>(
    of tensor: SafetensorsTensor, as type: Value.Type
  ) -> [Value] {
    let source = bytes(of: tensor)
    let stride = MemoryLayout<Value>.size
    return (0..<source.count / stride).map {
      Value(littleEndian: source.loadUnaligned(fromByteOffset: $0 * stride, as: Value.self))
    }
  }

  // MARK: - Checks

  private static func headerEnd(of file: MappedFile) throws(CheckpointError) -> Int {
    var cursor = ByteCursor(file.bytes, path: file.path)
    let length = try cursor.read(UInt64.self, "the header length")
    guard length <= UInt64(headerLimit) else {
      throw cursor.failure(
        .wrongFormat, at: 0,
        "the header length is \(length), above the format's limit of \(headerLimit); this is not "
          + "a safetensors file")
    }
    return try cursor.skip(Int(length), "the header").upperBound
  }

  /// Checks that the records fit their shapes and fill the data section without gap or overlap.
  private static func locate(
    _ records: [SafetensorsHeaderParser.Record], headerEnd: Int, file: MappedFile
  ) throws(CheckpointError) -> [SafetensorsTensor] {
    let dataCount = file.count - headerEnd
    var tensors: [SafetensorsTensor] = []
    var expectedStart = 0
    for record in records.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
      func failure(_ kind: CheckpointError.Kind, _ message: String) -> CheckpointError {
        CheckpointError(
          kind, file: file.path, offset: record.offset, "tensor '\(record.name)' \(message)")
      }
      guard record.start <= record.end, record.end <= dataCount else {
        throw failure(
          .truncated,
          "has data_offsets [\(record.start), \(record.end)], but the file holds \(dataCount) "
            + "bytes of data")
      }
      guard record.start == expectedStart else {
        throw failure(
          .malformed,
          "begins at data offset \(record.start), but the tensor before it ends at "
            + "\(expectedStart)")
      }
      guard byteCount(record) == record.end - record.start else {
        throw failure(
          .malformed,
          "has \(record.end - record.start) bytes, which do not fit the shape \(record.shape) of "
            + "\(record.type.rawValue)")
      }
      expectedStart = record.end
      tensors.append(
        SafetensorsTensor(
          name: record.name, type: record.type, shape: record.shape,
          range: headerEnd + record.start..<headerEnd + record.end))
    }
    guard expectedStart == dataCount else {
      throw CheckpointError(
        .malformed, file: file.path, offset: headerEnd + expectedStart,
        "the last \(dataCount - expectedStart) bytes belong to no tensor")
    }
    return tensors
  }

  /// Bytes by type and shape; nil if the product overflows.
  private static func byteCount(_ record: SafetensorsHeaderParser.Record) -> Int? {
    var product = record.type.byteCount
    for size in record.shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard !overflow else { return nil }
      product = next
    }
    return product
  }
}
