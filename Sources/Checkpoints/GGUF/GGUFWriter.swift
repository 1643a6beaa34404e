import CKernels

/// Collects metadata and tensors and writes them as a GGUF file of version 3.
///
///     var writer = GGUFWriter()
///     writer.set("general.architecture", .string("llama"))
///     try writer.addTensor("token_embd.weight", shape: [64, 1000], values: embedding)
///     try writer.write(to: "tiny.gguf")
///
/// Equal input gives equal bytes.
public struct GGUFWriter {
  private enum Elements {
    case encoded([UInt8])
    case mapped(MappedFile, Range<Int>)

    var count: Int {
      switch self {
      case .encoded(let bytes): bytes.count
      case .mapped(_, let range): range.count
      }
    }
  }

  private struct Entry {
    let name: String
    let type: ElementType
    let shape: [Int]
    let elements: Elements
  }

  /// What makes a tensor impossible to write.
  public enum Failure: Error, Equatable, CustomStringConvertible {
    /// A tensor of this name was added before.
    case duplicateTensor(String)
    /// The bytes or values do not fit the shape: expected and found counts.
    case wrongCount(tensor: String, expected: Int, found: Int)
    /// No layout is known for the type, the rows are not whole blocks, or the shape is not one to
    /// four positive dimensions.
    case unwritable(tensor: String, type: ElementType, shape: [Int])

    /// One sentence for a person.
    public var description: String {
      switch self {
      case .duplicateTensor(let name): "tensor '\(name)' was added twice"
      case .wrongCount(let name, let expected, let found):
        "tensor '\(name)' needs \(expected) bytes by its type and shape, but has \(found)"
      case .unwritable(let name, let type, let shape):
        "tensor '\(name)' of shape \(shape) cannot be stored as \(type)"
      }
    }
  }

  private let alignment = GGUFHeaderParser.defaultAlignment
  private var pairs: [(key: String, value: GGUFValue)] = []
  private var entries: [Entry] = []

  /// A file without metadata and tensors.
  public init() {}

  /// Sets a metadata key, replacing an earlier value in its place.
  ///
  /// The alignment is always 32 bytes; a `general.alignment` that says otherwise is left out.
  public mutating func set(_ key: String, _ value: GGUFValue) {
    guard key != GGUFHeaderParser.alignmentKey else { return }
    if let index = pairs.firstIndex(where: { $0.key == key }) {
      pairs[index].value = value
    } else {
      pairs.append((key, value))
    }
  }

  /// Takes over every key of `metadata`.
  public mutating func set(_ metadata: GGUFMetadata) {
    for key in metadata.keys {
      if let value = metadata[key] { set(key, value) }
    }
  }

  /// Adds a tensor of 32-bit floats.
  ///
  /// - Parameters:
  ///   - shape: Dimensions in GGUF order: the first one is contiguous.
  ///   - values: As many values as the shape has.
  public mutating func addTensor(_ name: String, shape: [Int], values: [Float]) throws(Failure) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * 4)
    for value in values { bytes.append(littleEndian: value.bitPattern) }
    try addTensor(name, type: .f32, shape: shape, encoded: bytes)
  }

  /// Adds a tensor whose elements are already encoded as `type` says.
  public mutating func addTensor(
    _ name: String, type: ElementType, shape: [Int], encoded bytes: [UInt8]
  ) throws(Failure) {
    try add(Entry(name: name, type: type, shape: shape, elements: .encoded(bytes)))
  }

  /// Adds `tensor` of `file` as it is, under its own or a new name.
  public mutating func addTensor(
    copying tensor: GGUFTensor, of file: GGUFFile, as name: String? = nil
  ) throws(Failure) {
    try add(
      Entry(
        name: name ?? tensor.name, type: tensor.type, shape: tensor.shape,
        elements: .mapped(file.file, tensor.range)))
  }

  private mutating func add(_ entry: Entry) throws(Failure) {
    guard !entries.contains(where: { $0.name == entry.name }) else {
      throw .duplicateTensor(entry.name)
    }
    guard let blockElements = entry.type.blockElements, let blockBytes = entry.type.blockBytes,
      let rowLength = entry.shape.first, entry.shape.count <= 4,
      entry.shape.allSatisfy({ $0 > 0 }), rowLength % blockElements == 0
    else {
      throw .unwritable(tensor: entry.name, type: entry.type, shape: entry.shape)
    }
    let expected = entry.shape.reduce(1, *) / blockElements * blockBytes
    guard expected == entry.elements.count else {
      throw .wrongCount(tensor: entry.name, expected: expected, found: entry.elements.count)
    }
    entries.append(entry)
  }

  /// Writes the file under a temporary name, flushes it to disk and renames it to `path`.
  ///
  /// - Throws: `CheckpointError` if the system refuses, for example on a full disk; `path` is then
  ///   as it was before.
  public func write(to path: String) throws(CheckpointError) {
    let file = try AtomicFile(path: path)
    try file.write(header())
    try file.pad(to: alignment)
    for entry in entries {
      switch entry.elements {
      case .encoded(let bytes): try file.write(bytes)
      case .mapped(let source, let range):
        try source.withBytes(in: range) { bytes throws(CheckpointError) in try file.write(bytes) }
      }
      try file.pad(to: alignment)
    }
    try file.commit()
  }

  private func header() -> [UInt8] {
    var bytes = GGUFHeaderParser.magic
    bytes.append(littleEndian: GGUFHeaderParser.supportedVersions.upperBound)
    bytes.append(littleEndian: UInt64(entries.count))
    bytes.append(littleEndian: UInt64(pairs.count))
    for (key, value) in pairs {
      bytes.appendGGUF(string: key)
      bytes.append(littleEndian: value.type.rawValue)
      bytes.appendGGUF(value)
    }
    var offset = 0
    for entry in entries {
      bytes.appendGGUF(string: entry.name)
      bytes.append(littleEndian: UInt32(entry.shape.count))
      for size in entry.shape { bytes.append(littleEndian: UInt64(size)) }
      bytes.append(littleEndian: entry.type.rawValue)
      bytes.append(littleEndian: UInt64(offset))
      offset += (entry.elements.count + alignment - 1) / alignment * alignment
    }
    return bytes
  }
}
