import CKernels

/// What a full scan of a GGUF file's tensors found.
public struct IntegrityReport: Sendable, Equatable {
  /// Values of one tensor that are not finite.
  public struct NonFinite: Sendable, Equatable {
    /// Name of the tensor.
    public let tensor: String
    /// How many of its elements are NaN or infinite.
    public let count: Int
    /// The first such element.
    public let firstIndex: Int
  }

  /// Tensors whose values were read.
  public internal(set) var checkedTensors = 0
  /// Elements that were read.
  public internal(set) var checkedElements = 0
  /// Tensors with NaN or infinite values.
  public internal(set) var nonFinite: [NonFinite] = []
  /// Names of tensors whose type is not supported, and which were not read.
  public internal(set) var unsupported: [String] = []
  /// Bytes of the data section that belong to no tensor and are more than padding.
  public internal(set) var unusedBytes = 0

  /// True if every value could be read and is finite.
  public var isSound: Bool { nonFinite.isEmpty && unsupported.isEmpty }
}

extension GGUFFile {
  /// Reads every element of every tensor and reports values that are NaN or infinite (a broken
  /// scale makes its whole block so). The header needs no second look: opening has checked it.
  ///
  /// - Parameter progress: Called after each tensor with the bytes read so far and in total.
  /// - Complexity: O(elements); memory stays bounded whatever the file's size.
  public func verifyIntegrity(
    progress: (_ bytesDone: Int, _ bytesTotal: Int) -> Void = { _, _ in }
  ) -> IntegrityReport {
    var report = IntegrityReport()
    let total = tensors.reduce(0) { $0 + $1.range.count }
    var done = 0
    for tensor in tensors {
      if let type = tensor.type.kernelType {
        scan(tensor, as: type, into: &report)
        file.adviseUnneeded(tensor.range)
      } else {
        report.unsupported.append(tensor.name)
      }
      done += tensor.range.count
      progress(done, total)
    }
    report.unusedBytes = unusedBytes()
    return report
  }

  private func scan(_ tensor: GGUFTensor, as type: ft_type, into report: inout IntegrityReport) {
    let blockElements = Int(ft_type_block_elements(type))
    let blockBytes = Int(ft_type_block_bytes(type))
    let chunk = 1 << 16  // elements; a multiple of every block size
    var values = [Float](repeating: 0, count: min(chunk, tensor.count))
    var bad = 0
    var first = 0
    for start in stride(from: 0, to: tensor.count, by: chunk) {
      let count = min(chunk, tensor.count - start)
      let offset = tensor.offset + start / blockElements * blockBytes
      file.withBytes(in: offset..<offset + count / blockElements * blockBytes) { source in
        guard let address = source.baseAddress else { return }
        _ = ft_dequantize(type, address, &values, count)
      }
      for (index, value) in values.prefix(count).enumerated() where !value.isFinite {
        if bad == 0 { first = start + index }
        bad += 1
      }
    }
    report.checkedTensors += 1
    report.checkedElements += tensor.count
    if bad > 0 {
      report.nonFinite.append(.init(tensor: tensor.name, count: bad, firstIndex: first))
    }
  }

  /// Holes between the tensors, and after the last one, of `alignment` bytes or more.
  private func unusedBytes() -> Int {
    var unused = 0
    var end = min(dataOffset, file.count)
    for tensor in tensors.sorted(by: { $0.offset < $1.offset }) {
      let gap = tensor.offset - end
      if gap >= alignment { unused += gap }
      end = tensor.range.upperBound
    }
    let tail = file.count - end
    return tail >= alignment ? unused + tail : unused
  }
}
