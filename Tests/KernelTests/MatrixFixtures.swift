import CKernels
import Foundation
import TestSupport
import Testing

/// Memory whose last byte is followed by a page that may not be touched.
final class GuardedBuffer {
  let pointer: UnsafeMutableRawPointer
  private let base: UnsafeMutableRawPointer
  private let length: Int

  /// `alignment` moves the start down from the guard page to a multiple of itself.
  init(bytes: Int, alignment: Int = 1) throws {
    let page = Int(getpagesize())
    let pages = (bytes + page - 1) / page + 1
    length = (pages + 1) * page
    let mapped = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard let mapped, mapped != MAP_FAILED else { throw POSIXError(.ENOMEM) }
    base = mapped
    guard mprotect(mapped + pages * page, page, PROT_NONE) == 0 else { throw POSIXError(.EPERM) }
    pointer = mapped + (pages * page - bytes) / alignment * alignment
  }

  deinit { munmap(base, length) }

  func bind<T>(_ type: T.Type, count: Int) -> UnsafeMutableBufferPointer<T> {
    UnsafeMutableBufferPointer(start: pointer.bindMemory(to: type, capacity: count), count: count)
  }
}

/// A tensor type of the file format, as a test argument.
struct TensorType: CustomTestStringConvertible, Sendable {
  let name: String
  let raw: UInt32

  var type: ft_type { ft_type(rawValue: raw) }
  var blockElements: Int { Int(ft_type_block_elements(type)) }
  var blockBytes: Int { Int(ft_type_block_bytes(type)) }
  var testDescription: String { name }

  static let all = [
    TensorType(name: "F32", raw: FT_TYPE_F32.rawValue),
    TensorType(name: "F16", raw: FT_TYPE_F16.rawValue),
    TensorType(name: "BF16", raw: FT_TYPE_BF16.rawValue),
    TensorType(name: "Q4_0", raw: FT_TYPE_Q4_0.rawValue),
    TensorType(name: "Q4_1", raw: FT_TYPE_Q4_1.rawValue),
    TensorType(name: "Q5_0", raw: FT_TYPE_Q5_0.rawValue),
    TensorType(name: "Q5_1", raw: FT_TYPE_Q5_1.rawValue),
    TensorType(name: "Q8_0", raw: FT_TYPE_Q8_0.rawValue),
    TensorType(name: "Q2_K", raw: FT_TYPE_Q2_K.rawValue),
    TensorType(name: "Q3_K", raw: FT_TYPE_Q3_K.rawValue),
    TensorType(name: "Q4_K", raw: FT_TYPE_Q4_K.rawValue),
    TensorType(name: "Q5_K", raw: FT_TYPE_Q5_K.rawValue),
    TensorType(name: "Q6_K", raw: FT_TYPE_Q6_K.rawValue),
    TensorType(name: "IQ4_NL", raw: FT_TYPE_IQ4_NL.rawValue),
  ]

  /// Types whose kernels take int8 activations.
  static let integer = all.filter { !["F32", "F16", "BF16", "Q2_K"].contains($0.name) }

  /// Types whose block scales become 12-bit integers.
  var roundsScales: Bool { ["Q4_0", "Q4_1", "Q5_0", "Q5_1"].contains(name) }

  /// Byte offsets of a block's binary16 numbers.
  var halfOffsets: [Int] {
    switch name {
    case "F16", "Q4_0", "Q5_0", "Q8_0", "IQ4_NL": [0]
    case "Q4_1", "Q5_1", "Q4_K", "Q5_K": [0, 2]
    case "Q2_K": [80, 82]
    case "Q3_K": [108]
    case "Q6_K": [208]
    default: []
    }
  }

  /// Columns that are a multiple of the block and, where possible, not of 256.
  func columns(_ blocks: Int) -> Int {
    switch blockElements {
    case 1: 37 * blocks
    case 32: 32 * blocks
    default: 256 * ((blocks + 7) / 8)
    }
  }

  /// One row-major matrix of random blocks with scales of ordinary size.
  func randomMatrix(
    rows: Int, columns: Int, using generator: inout SeededGenerator, quants: UInt8? = nil
  ) -> [UInt8] {
    let blocks = rows * columns / blockElements
    var bytes = [UInt8](repeating: 0, count: blocks * blockBytes)
    for index in bytes.indices {
      bytes[index] = quants ?? UInt8.random(in: 0...255, using: &generator)
    }
    for block in 0..<blocks {
      let start = block * blockBytes
      for offset in halfOffsets {
        let half = Self.randomHalf(using: &generator)
        bytes[start + offset] = UInt8(half & 255)
        bytes[start + offset + 1] = UInt8(half >> 8)
      }
      if name == "F32" || name == "BF16" {
        let bits = Float.random(in: -1...1, using: &generator).bitPattern
        for byte in 0..<blockBytes {
          bytes[start + byte] = UInt8(bits >> UInt32(8 * (byte + 4 - blockBytes)) & 255)
        }
      }
    }
    return bytes
  }

  /// Plus or minus 2^-9 to 2^-6.
  private static func randomHalf(using generator: inout SeededGenerator) -> UInt16 {
    let sign = UInt16.random(in: 0...1, using: &generator) << 15
    let exponent = UInt16.random(in: 6...8, using: &generator) << 10
    return sign | exponent | UInt16.random(in: 0...1023, using: &generator)
  }
}

/// A packed matrix with everything it was made from.
final class PackedMatrix {
  let type: TensorType
  let rows: Int
  let columns: Int
  let weights: [Float]  // [rows, columns], dequantised
  private(set) var matrix = ft_matrix()
  private let data: GuardedBuffer
  private let scratch: GuardedBuffer

  var groups: Int { Int(ft_matrix_groups(&matrix)) }

  /// Packs `bytes` from memory that ends at a guard page; `slack` bytes before that page are left
  /// free, which shifts the alignment.
  init(
    _ type: TensorType, rows: Int, columns: Int, bytes: [UInt8], reference: Bool = false,
    slack: Int = 0
  ) throws {
    self.type = type
    self.rows = rows
    self.columns = columns
    try #require(ft_matrix_plan(&matrix, type.type, Int32(rows), Int32(columns), reference))
    let source = try GuardedBuffer(bytes: bytes.count + slack)
    source.bind(UInt8.self, count: bytes.count).baseAddress?.update(
      from: bytes, count: bytes.count)
    data = try GuardedBuffer(bytes: matrix.bytes, alignment: 64)
    scratch = try GuardedBuffer(bytes: Int(FT_MATMUL_SCRATCH), alignment: 64)
    var dequantized = [Float](repeating: 0, count: rows * columns)
    try #require(ft_dequantize(type.type, source.pointer, &dequantized, rows * columns))
    weights = dequantized
    // Two parts, packed in the wrong order, as two threads might.
    let groups = ft_matrix_groups(&matrix)
    ft_matrix_pack(&matrix, data.pointer, source.pointer, groups / 2, groups)
    ft_matrix_pack(&matrix, data.pointer, source.pointer, 0, groups / 2)
    matrix.data = UnsafeRawPointer(data.pointer)
  }

  /// [batch, rows] outputs for `x` [batch, columns]. `capacity` is what the activations are laid
  /// out for; `splits` are the group boundaries at which the work is divided; `offset` floats
  /// follow `x` and shift its alignment.
  func multiply(
    _ x: [Float], batch: Int, capacity: Int? = nil, splits: [Int] = [], offset: Int = 0,
    outStride: Int? = nil
  ) throws -> [Float] {
    let input = try GuardedBuffer(bytes: 4 * (x.count + offset))
    let floats = input.pointer.assumingMemoryBound(to: Float.self)
    floats.update(from: x, count: x.count)
    let bytes = ft_activations_bytes(Int32(columns), Int32(capacity ?? batch))
    let memory = try GuardedBuffer(bytes: bytes)
    memset(memory.pointer, 0x5A, bytes)
    var activations = ft_activations()
    ft_activations_init(&activations, memory.pointer, Int32(columns), Int32(capacity ?? batch))
    ft_activations_quantize(&activations, floats, columns, Int32(batch / 2), Int32(batch))
    ft_activations_quantize(&activations, floats, columns, 0, Int32(batch / 2))

    return try withExtendedLifetime((input, memory)) {
      try multiply(&activations, batch: batch, splits: splits, stride: outStride ?? rows)
    }
  }

  /// [batch, 8 * groups.count] outputs of chosen groups, computed in two calls.
  func multiply(_ x: [Float], batch: Int, groups: [Int], split: Int) throws -> [Float] {
    let input = try GuardedBuffer(bytes: 4 * x.count)
    let floats = input.pointer.assumingMemoryBound(to: Float.self)
    floats.update(from: x, count: x.count)
    let memory = try GuardedBuffer(bytes: ft_activations_bytes(Int32(columns), Int32(batch)))
    var activations = ft_activations()
    ft_activations_init(&activations, memory.pointer, Int32(columns), Int32(batch))
    ft_activations_quantize(&activations, floats, columns, 0, Int32(batch))
    let width = 8 * groups.count
    let output = try GuardedBuffer(bytes: 4 * batch * width)
    let out = output.bind(Float.self, count: batch * width)
    out.update(repeating: Self.untouched)
    let indices = groups.map { Int32($0) }
    for (begin, end) in [(split, groups.count), (0, split)] {
      ft_matmul_groups(
        &matrix, &activations, Int32(batch), out.baseAddress, width, indices, Int32(begin),
        Int32(end), scratch.pointer)
    }
    return withExtendedLifetime((input, memory)) { Array(out) }
  }

  private func multiply(
    _ activations: inout ft_activations, batch: Int, splits: [Int], stride: Int
  ) throws -> [Float] {
    let count = (batch - 1) * stride + rows
    let output = try GuardedBuffer(bytes: 4 * count)
    let out = output.bind(Float.self, count: count)
    out.update(repeating: Self.untouched)
    let bounds = [0] + splits + [groups]
    for (begin, end) in zip(bounds, bounds.dropFirst()) {
      ft_matmul(
        &matrix, &activations, Int32(batch), out.baseAddress, stride, Int32(begin), Int32(end),
        scratch.pointer)
    }
    for index in 0..<count where index % stride >= rows {
      #expect(out[index].bitPattern == Self.untouched.bitPattern, "written beyond the matrix")
    }
    return (0..<batch).flatMap { out[$0 * stride..<$0 * stride + rows] }
  }

  /// What outputs hold before they are written.
  static let untouched = Float(bitPattern: 0x7FEA_AAAA)

  /// Double-precision value of one output, and the root of the sum of its squared terms.
  func reference(_ x: ArraySlice<Float>, row: Int) -> (value: Double, norm: Double) {
    var value = 0.0
    var squares = 0.0
    for (weight, input) in zip(weights[row * columns..<(row + 1) * columns], x) {
      let term = Double(weight) * Double(input)
      value += term
      squares += term * term
    }
    return (value, squares.squareRoot())
  }
}

extension Sequence where Element == Float {
  var bits: [UInt32] { map(\.bitPattern) }
}

/// The instruction sets of this machine.
let availableISAs = [FT_ISA_PORTABLE, FT_ISA_AVX2, FT_ISA_AVX512VNNI, FT_ISA_NEON]
  .filter(ft_isa_available).map(\.rawValue)
