import CKernels

extension PackedMatrix {
  /// Packs floats, rounded to 8 bits in blocks of 32: for small matrices that are not in a model's
  /// file, such as draft heads.
  ///
  /// - Parameter floats: [rows, columns], with columns a multiple of 32.
  /// - Throws: `PackingError` if the shape does not fit.
  public convenience init(
    floats: [Float], rows: Int, columns: Int, pool: WorkerPool
  ) throws(PackingError) {
    guard columns.isMultiple(of: 32), floats.count == rows * columns else {
      throw .unsupported(type: FT_TYPE_Q8_0.rawValue, rows: rows, columns: columns)
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(floats.count / 32 * 34)
    for begin in stride(from: 0, to: floats.count, by: 32) {
      let block = floats[begin..<begin + 32]
      let largest = block.reduce(0) { max($0, abs($1)) }
      let scale = HalfPrecision.bits(largest / 127)
      let step = HalfPrecision.value(scale)
      bytes.append(UInt8(truncatingIfNeeded: scale))
      bytes.append(UInt8(truncatingIfNeeded: scale >> 8))
      for value in block {
        let level = step > 0 ? (value / step).rounded() : 0
        bytes.append(UInt8(bitPattern: Int8(max(-127, min(127, level)))))
      }
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: bytes)
    try self.init(
      type: FT_TYPE_Q8_0, rows: rows, columns: columns, source: UnsafeRawBufferPointer(buffer),
      reference: false, pool: pool)
  }
}
