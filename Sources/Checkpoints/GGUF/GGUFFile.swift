import CKernels

/// A GGUF file (versions 2 and 3, little-endian), mapped into memory.
///
/// Opening reads and checks the header only; tensors stay on disk until they are touched.
///
///     let file = try GGUFFile(path: "model.gguf")
///     let layers = try file.metadata.unsigned("llama.block_count")
///     let norm = try file.dequantize(file.tensor(named: "output_norm.weight"))
public final class GGUFFile: Sendable {
  /// The mapping, for its size and for advice on paging.
  public let file: MappedFile
  /// Version of the format, 2 or 3.
  public let version: UInt32
  /// Every tensor's offset from `dataOffset` is a multiple of this many bytes.
  public let alignment: Int
  /// Where the tensors' elements begin, in bytes from the start of the file.
  public let dataOffset: Int
  /// The key-value pairs.
  public let metadata: GGUFMetadata
  /// Tensors in file order.
  public let tensors: [GGUFTensor]
  private let indices: [String: Int]

  /// Maps and checks the file at `path`.
  ///
  /// - Throws: `CheckpointError` with the byte offset of whatever is wrong.
  public init(path: String) throws(CheckpointError) {
    file = try MappedFile(path: path)
    let header = try GGUFHeaderParser(file)
    version = header.version
    alignment = header.alignment
    dataOffset = header.dataOffset
    metadata = header.metadata
    tensors = header.tensors
    indices = Dictionary(tensors.enumerated().map { ($1.name, $0) }) { first, _ in first }
  }

  /// Path of the file as it was given.
  public var path: String { file.path }

  /// The tensor called `name`, or nil.
  public func tensor(ifPresent name: String) -> GGUFTensor? {
    indices[name].map { tensors[$0] }
  }

  /// The tensor called `name`.
  ///
  /// - Throws: `CheckpointError` of kind `missing` if the file has none.
  public func tensor(named name: String) throws(CheckpointError) -> GGUFTensor {
    guard let tensor = tensor(ifPresent: name) else {
      throw CheckpointError(.missing, file: path, "the file has no tensor '\(name)'")
    }
    return tensor
  }

  /// The encoded elements of `tensor`, valid as long as this object lives.
  ///
  /// - Throws: `CheckpointError` of kind `unsupported` if its type is not supported.
  public func bytes(of tensor: GGUFTensor) throws(CheckpointError) -> UnsafeRawBufferPointer {
    _ = try kernelType(of: tensor)
    return UnsafeRawBufferPointer(rebasing: file.bytes[tensor.range.clamped(to: 0..<file.count)])
  }

  /// The kernels' name for the type of `tensor`.
  ///
  /// - Throws: `CheckpointError` of kind `unsupported` that names the tensor and its type.
  public func kernelType(of tensor: GGUFTensor) throws(CheckpointError) -> ft_type {
    guard let type = tensor.type.kernelType else {
      let known = ElementType.supported.map(\.description).joined(separator: ", ")
      throw CheckpointError(
        .unsupported, file: path, offset: tensor.offset,
        "tensor '\(tensor.name)' is stored as \(tensor.type) (number \(tensor.type.rawValue)), "
          + "which is not supported; requantise the model to one of \(known)")
    }
    return type
  }

  /// Values of `rows` of `tensor` (all of them if nil), row after row: [rows, rowLength].
  ///
  /// - Throws: `CheckpointError` if the type is not supported or the rows are not there.
  public func dequantize(
    _ tensor: GGUFTensor, rows: Range<Int>? = nil
  ) throws(CheckpointError) -> [Float] {
    let type = try kernelType(of: tensor)
    let rows = rows ?? 0..<tensor.rows
    guard rows.lowerBound >= 0, rows.upperBound <= tensor.rows, let rowBytes = tensor.rowBytes,
      tensor.range.upperBound <= file.count
    else {
      throw CheckpointError(
        .missing, file: path, offset: tensor.offset,
        "tensor '\(tensor.name)' has \(tensor.rows) rows; rows \(rows) were asked for")
    }
    let start = tensor.offset + rows.lowerBound * rowBytes
    let count = rows.count * tensor.rowLength
    return file.withBytes(in: start..<start + rows.count * rowBytes) { source in
      [Float](unsafeUninitializedCapacity: count) { values, initialized in
        guard let destination = values.baseAddress, let bytes = source.baseAddress else { return }
        initialized = ft_dequantize(type, bytes, destination, count) ? count : 0
      }
    }
  }
}
