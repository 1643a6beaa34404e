import Foundation

/// Collects tensors and metadata and writes them as a safetensors file.
///
/// Tensors lie in the order they were added, metadata keys are sorted, and the header is padded with
/// spaces so that the data begins at a multiple of 8 bytes: equal input gives equal bytes.
public struct SafetensorsWriter {
  /// What makes a tensor impossible to write.
  public enum Failure: Error, Equatable, CustomStringConvertible {
    /// A tensor of this name was added before, or the name is reserved for the metadata.
    case unusableName(String)
    /// The bytes do not fit type and shape: expected and found counts.
    case wrongCount(tensor: String, expected: Int, found: Int)

    /// One sentence for a person.
    public var description: String {
      switch self {
      case .unusableName(let name): "the tensor name '\(name)' is taken"
      case .wrongCount(let name, let expected, let found):
        "tensor '\(name)' needs \(expected) bytes by its type and shape, but has \(found)"
      }
    }
  }

  private struct Entry {
    let name: String
    let type: SafetensorsType
    let shape: [Int]
    let bytes: [UInt8]
  }

  /// Strings about the file as a whole: method, base model, hyper-parameters.
  public var metadata: [String: String] = [:]
  private var entries: [Entry] = []
  private var names: Set<String> = [SafetensorsHeaderParser.metadataKey]

  /// A file without metadata and tensors.
  public init() {}

  /// Adds a tensor of 32-bit floats; the last dimension of `shape` is contiguous.
  public mutating func addTensor(_ name: String, shape: [Int], values: [Float]) throws(Failure) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(values.count * 4)
    for value in values { bytes.append(littleEndian: value.bitPattern) }
    try addTensor(name, type: .float32, shape: shape, bytes: bytes)
  }

  /// Adds a tensor whose elements are already encoded, little-endian, as `type` says.
  public mutating func addTensor(
    _ name: String, type: SafetensorsType, shape: [Int], bytes: [UInt8]
  ) throws(Failure) {
    let expected = shape.reduce(type.byteCount, *)
    guard expected == bytes.count, shape.allSatisfy({ $0 >= 0 }) else {
      throw .wrongCount(tensor: name, expected: expected, found: bytes.count)
    }
    guard names.insert(name).inserted else { throw .unusableName(name) }
    entries.append(Entry(name: name, type: type, shape: shape, bytes: bytes))
  }

  /// Writes the file under a temporary name, flushes it to disk and renames it to `path`.
  ///
  /// - Throws: `CheckpointError` if the system refuses, for example on a full disk, or if the header
  ///   is longer than the format allows; `path` is then as it was before.
  public func write(to path: String) throws(CheckpointError) {
    var header = Array(headerText().utf8)
    while (SafetensorsFile.lengthBytes + header.count) % 8 != 0 { header.append(0x20) }
    guard header.count <= SafetensorsFile.headerLimit else {
      throw CheckpointError(
        .unsupported, file: path,
        "the header of \(header.count) bytes is above the format's limit of "
          + "\(SafetensorsFile.headerLimit)")
    }
    var length: [UInt8] = []
    length.append(littleEndian: UInt64(header.count))
    let file = try AtomicFile(path: path)
    try file.write(length)
    try file.write(header)
    for entry in entries { try file.write(entry.bytes) }
    try file.commit()
  }

  private func headerText() -> String {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }
        .map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
      members.append(
        "\(Self.quoted(SafetensorsHeaderParser.metadataKey)):{\(pairs.joined(separator: ","))}")
    }
    var offset = 0
    for entry in entries {
      let end = offset + entry.bytes.count
      let shape = entry.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(Self.quoted(entry.name)):{\"dtype\":\"\(entry.type.rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    return "{\(members.joined(separator: ","))}"
  }

  /// `text` as a JSON string.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case "\u{0}"..<"\u{20}": quoted += String(format: "\\u%04x", scalar.value)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
