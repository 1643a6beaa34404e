/// Reads everything of a GGUF file but the tensors' elements, and checks it: after this, every
/// tensor lies inside the file, on its alignment, and touches no other.
struct GGUFHeaderParser {
  static let magic: [UInt8] = Array("GGUF".utf8)
  static let supportedVersions: ClosedRange<UInt32> = 2...3
  static let defaultAlignment = 32
  static let alignmentKey = "general.alignment"

  private static let alignmentLimit = 1 << 20
  private static let nameLimit = 65_535
  private static let dimensionLimit: UInt32 = 4
  private static let keyCountLimit = 1 << 17
  private static let tensorCountLimit = 1 << 20
  /// Length, one byte of key, type and one byte of value.
  private static let smallestPair = 8 + 1 + 4 + 1
  /// Length, one byte of name, dimension count, type and offset.
  private static let smallestTensor = 8 + 1 + 4 + 4 + 8

  private let file: MappedFile
  private var cursor: ByteCursor

  private(set) var version: UInt32 = 0
  private(set) var alignment = GGUFHeaderParser.defaultAlignment
  private(set) var metadata: GGUFMetadata
  private(set) var tensors: [GGUFTensor] = []
  /// Where the tensors' elements begin.
  private(set) var dataOffset = 0

  init(_ file: MappedFile) throws(CheckpointError) {
    self.file = file
    cursor = ByteCursor(file.bytes, path: file.path)
    metadata = GGUFMetadata(path: file.path, pairs: [])
    try readPreamble()
    let tensorCount = try readCount("tensor", Self.smallestTensor, limit: Self.tensorCountLimit)
    let pairCount = try readCount("metadata", Self.smallestPair, limit: Self.keyCountLimit)
    try readMetadata(pairCount)
    try readAlignment()
    let placements = try readPlacements(tensorCount)
    dataOffset = (cursor.offset + alignment - 1) / alignment * alignment
    for placement in placements { tensors.append(try locate(placement)) }
    try checkOverlaps()
  }

  // MARK: - Preamble

  private mutating func readPreamble() throws(CheckpointError) {
    let found = file.bytes.prefix(Self.magic.count)
    guard found.elementsEqual(Self.magic) else {
      if found.elementsEqual(Self.magic.reversed()) { throw bigEndian() }
      throw cursor.failure(
        .wrongFormat, at: 0,
        "is not a GGUF file: it begins with \(hexadecimal(found)), expected "
          + "\(hexadecimal(Self.magic[...])) (\"GGUF\")")
    }
    _ = try cursor.skip(Self.magic.count, "the magic number")
    version = try cursor.read(UInt32.self, "the version")
    if Self.supportedVersions.contains(version.byteSwapped) { throw bigEndian() }
    guard Self.supportedVersions.contains(version) else {
      throw cursor.failure(
        .unsupported, at: 4,
        "GGUF version \(version) is not supported; convert the file to version 2 or 3")
    }
  }

  private func bigEndian() -> CheckpointError {
    cursor.failure(
      .unsupported, at: 0, "is a big-endian GGUF file; convert it to little-endian first")
  }

  private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let text = bytes.map { String($0, radix: 16) }.joined(separator: " ")
    return text.isEmpty ? "nothing" : text
  }

  private mutating func readCount(
    _ what: String, _ minimumBytes: Int, limit: Int
  ) throws(CheckpointError) -> Int {
    let start = cursor.offset
    let count = try cursor.readCount(minimumBytes: minimumBytes, "the \(what) count")
    guard count <= limit else {
      throw cursor.failure(.malformed, at: start, "the \(what) count \(count) is above \(limit)")
    }
    return count
  }

  // MARK: - Metadata

  private mutating func readMetadata(_ count: Int) throws(CheckpointError) {
    var pairs: [(key: String, value: GGUFValue)] = []
    var seen: Set<String> = []
    for index in 0..<count {
      let start = cursor.offset
      let key = try cursor.readName(limit: Self.nameLimit, "metadata key \(index)")
      guard seen.insert(key).inserted else {
        throw cursor.failure(.malformed, at: start, "metadata key '\(key)' appears twice")
      }
      let type = try cursor.readValueType("metadata key '\(key)'")
      pairs.append((key, try cursor.readValue(type, of: file, "metadata key '\(key)'")))
    }
    metadata = GGUFMetadata(path: file.path, pairs: pairs)
  }

  private mutating func readAlignment() throws(CheckpointError) {
    alignment = try metadata.unsigned(Self.alignmentKey, default: Self.defaultAlignment)
    guard alignment > 0, alignment <= Self.alignmentLimit, alignment & (alignment - 1) == 0 else {
      throw CheckpointError(
        .malformed, file: file.path,
        "metadata key '\(Self.alignmentKey)' is \(alignment); expected a power of two up to "
          + "\(Self.alignmentLimit)")
    }
  }

  // MARK: - Tensors

  /// A tensor's record as the file has it.
  private struct Placement {
    let name: String
    let type: ElementType
    let shape: [Int]
    let elements: Int
    /// From the start of the data section.
    let relativeOffset: UInt64
    /// Where the record is.
    let recordOffset: Int
  }

  private mutating func readPlacements(_ count: Int) throws(CheckpointError) -> [Placement] {
    var placements: [Placement] = []
    var seen: Set<String> = []
    for index in 0..<count {
      let start = cursor.offset
      let name = try cursor.readName(limit: Self.nameLimit, "the name of tensor \(index)")
      guard seen.insert(name).inserted else {
        throw cursor.failure(.malformed, at: start, "tensor '\(name)' appears twice")
      }
      let (shape, elements) = try readShape(name)
      let type = ElementType(rawValue: try cursor.read(UInt32.self, "the type of '\(name)'"))
      let offset = try cursor.read(UInt64.self, "the offset of '\(name)'")
      placements.append(
        Placement(
          name: name, type: type, shape: shape, elements: elements, relativeOffset: offset,
          recordOffset: start))
    }
    return placements
  }

  private mutating func readShape(
    _ name: String
  ) throws(CheckpointError) -> (shape: [Int], elements: Int) {
    let start = cursor.offset
    let dimensions = try cursor.read(UInt32.self, "the dimension count of '\(name)'")
    guard dimensions <= Self.dimensionLimit else {
      throw cursor.failure(
        .malformed, at: start,
        "tensor '\(name)' has \(dimensions) dimensions; at most \(Self.dimensionLimit) are defined")
    }
    var shape: [Int] = []
    var elements = 1
    for axis in 0..<dimensions {
      let position = cursor.offset
      let size = try cursor.read(UInt64.self, "dimension \(axis) of '\(name)'")
      guard let size = Int(exactly: size), size > 0 else {
        throw cursor.failure(
          .malformed, at: position, "dimension \(axis) of tensor '\(name)' is \(size)")
      }
      let (product, overflow) = elements.multipliedReportingOverflow(by: size)
      guard !overflow else {
        throw cursor.failure(
          .malformed, at: position, "the dimensions of tensor '\(name)' overflow 64 bits")
      }
      shape.append(size)
      elements = product
    }
    return (shape, elements)
  }

  private func locate(_ placement: Placement) throws(CheckpointError) -> GGUFTensor {
    let byteCount = try byteCount(placement)
    let name = placement.name
    guard placement.relativeOffset % UInt64(alignment) == 0 else {
      throw cursor.failure(
        .malformed, at: placement.recordOffset,
        "tensor '\(name)' has offset \(placement.relativeOffset), which is not a multiple of "
          + "the alignment \(alignment)")
    }
    let available = file.count - dataOffset
    guard let relative = Int(exactly: placement.relativeOffset), relative <= available,
      byteCount ?? 0 <= available - relative
    else {
      throw cursor.failure(
        .truncated, at: placement.recordOffset,
        "tensor '\(name)' (\(byteCount ?? 0) bytes at data offset \(placement.relativeOffset)) "
          + "reaches beyond the \(max(available, 0)) bytes of data in the file; the file may be "
          + "an incomplete download")
    }
    return GGUFTensor(
      name: name, type: placement.type, shape: placement.shape, offset: dataOffset + relative,
      byteCount: byteCount)
  }

  /// Bytes of a tensor; nil if its type number is not known.
  private func byteCount(_ placement: Placement) throws(CheckpointError) -> Int? {
    guard let blockElements = placement.type.blockElements,
      let blockBytes = placement.type.blockBytes
    else { return nil }
    let rowLength = placement.shape.first ?? 1
    guard rowLength % blockElements == 0 else {
      throw cursor.failure(
        .malformed, at: placement.recordOffset,
        "tensor '\(placement.name)' has rows of \(rowLength) elements, not a multiple of the "
          + "\(blockElements) elements of a \(placement.type) block")
    }
    let (bytes, overflow) = (placement.elements / blockElements)
      .multipliedReportingOverflow(by: blockBytes)
    guard !overflow else {
      throw cursor.failure(
        .malformed, at: placement.recordOffset,
        "the size of tensor '\(placement.name)' overflows 64 bits")
    }
    return bytes
  }

  private func checkOverlaps() throws(CheckpointError) {
    let sorted = tensors.sorted { $0.offset < $1.offset }
    for (first, second) in zip(sorted, sorted.dropFirst())
    where first.range.upperBound > second.offset {
      throw cursor.failure(
        .malformed, at: second.offset,
        "tensors '\(first.name)' and '\(second.name)' overlap")
    }
  }
}
