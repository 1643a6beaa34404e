import CKernels
import TestSupport
import Testing

/// One engine-less attention over written pages, against plain double-precision attention.
private struct AttentionCase {
  var kv: ft_kv_type
  var dimension: Int32
  var positions: Int32

  /// Largest difference of any output from the reference, relative to the largest value.
  func error(seed: UInt64) throws -> Double {
    var random = SeededGenerator(seed: seed)
    let width = Int(dimension)
    func rows(_ count: Int, _ scale: Float) -> [[Float]] {
      (0..<count).map { _ in (0..<width).map { _ in (random.unit() - 0.5) * scale } }
    }
    let keys = rows(Int(positions), 2)
    let values = rows(Int(positions), 2)
    let query = rows(1, 4)[0]

    var shape = ft_attention_shape()
    shape.heads = 1
    shape.kv_heads = 1
    shape.head_dimension = dimension
    shape.kv_type = kv
    shape.page_head_stride = ft_kv_head_bytes(kv, dimension)
    shape.page_layer_stride = shape.page_head_stride
    let pageCount = Int(positions + 63) / 64
    let memory = UnsafeMutablePointer<UInt8>.allocate(
      capacity: pageCount * shape.page_layer_stride)
    memory.initialize(repeating: 0, count: pageCount * shape.page_layer_stride)
    defer { memory.deallocate() }
    var pages: [UnsafeMutablePointer<UInt8>?] = (0..<pageCount).map {
      memory + $0 * shape.page_layer_stride
    }
    var worst = 0.0
    try pages.withUnsafeMutableBufferPointer { pages in
      for slot in 0..<Int(positions) {
        ft_kv_write(&shape, pages.baseAddress, 0, Int32(slot), keys[slot], values[slot])
        var key = [Float](repeating: 0, count: width)
        var value = key
        ft_kv_read(&shape, pages.baseAddress, 0, Int32(slot), &key, &value)
        for d in 0..<width {
          worst = max(
            worst, Double(abs(key[d] - keys[slot][d])), Double(abs(value[d] - values[slot][d])))
        }
      }
      try #require(worst < stored)
      let found = attend(query, pages.baseAddress, shape)
      let expected = reference(query, keys, values)
      worst = zip(found, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
    }
    return worst
  }

  /// How far a stored value may lie from the one written, of values in -1...1.
  private var stored: Double {
    switch kv {
    case FT_KV_F32: 0x1p-40
    case FT_KV_F16: 0x1p-11
    default: 0.51 / 127
    }
  }

  /// Runs the attention operation of a plan over one row.
  private func attend(
    _ query: [Float], _ pages: UnsafePointer<UnsafeMutablePointer<UInt8>?>?,
    _ shape: ft_attention_shape
  ) -> [Float] {
    var input = query
    var output = [Float](repeating: 0, count: query.count)
    var row = ft_row()
    row.contiguous = positions
    var op = ft_op()
    op.kind = FT_OP_ATTENTION
    op.output = 1
    var plan = ft_plan()
    plan.op_count = 1
    plan.attention = shape
    var sequence = ft_sequence(row_begin: 0, row_count: 1, pages: pages)
    let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: ft_plan_scratch_bytes(&plan))
    defer { scratch.deallocate() }
    let pool = ft_pool_create(1)
    defer { ft_pool_destroy(pool) }
    input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        let buffers = [input.baseAddress, output.baseAddress]
        let strides = [input.count, output.count]
        buffers.withUnsafeBufferPointer { buffers in
          strides.withUnsafeBufferPointer { strides in
            withUnsafePointer(to: &op) { op in
              withUnsafePointer(to: &row) { row in
                withUnsafePointer(to: &sequence) { sequence in
                  var pass = ft_pass()
                  pass.rows = row
                  pass.row_count = 1
                  pass.sequences = sequence
                  pass.sequence_count = 1
                  pass.buffers = buffers.baseAddress
                  pass.strides = strides.baseAddress
                  pass.scratch = scratch
                  plan.ops = op
                  ft_plan_run(pool, &plan, &pass)
                }
              }
            }
          }
        }
      }
    }
    return output
  }

  private func reference(_ query: [Float], _ keys: [[Float]], _ values: [[Float]]) -> [Double] {
    let scores = keys.map { key in zip(query, key).reduce(0.0) { $0 + Double($1.0 * $1.1) } }
    let largest = scores.max() ?? 0
    let weights = scores.map { exponential($0 - largest) }
    let sum = weights.reduce(0, +)
    return query.indices.map { d in
      zip(weights, values).reduce(0.0) { $0 + $1.0 * Double($1.1[d]) } / sum
    }
  }

  /// e^x by its series, after halving: independent of the kernels' own.
  private func exponential(_ x: Double) -> Double {
    if x < -1 {
      let half = exponential(x / 2)
      return half * half
    }
    var term = 1.0
    var sum = 1.0
    for n in 1..<30 {
      term *= x / Double(n)
      sum += term
    }
    return sum
  }
}

@Test(
  "attention is that of double precision, to the rounding of what is stored",
  arguments: [FT_KV_F32.rawValue, FT_KV_F16.rawValue, FT_KV_Q8.rawValue],
  [FT_ISA_PORTABLE.rawValue, FT_ISA_AVX2.rawValue])
func attentionMatchesReference(kv: UInt32, isa: UInt32) throws {
  guard ft_isa_available(ft_isa(rawValue: isa)) else { return }
  try #require(ft_isa_force(ft_isa(rawValue: isa)))
  defer { ft_isa_unforce() }
  // Errors of stored values (2^-11, 1/254) add up over the dimensions of a score.
  let tolerance: Double = kv == FT_KV_F32.rawValue ? 1e-5 : kv == FT_KV_F16.rawValue ? 2e-3 : 5e-2
  for (index, dimension) in [Int32(8), 16, 24, 64, 128, 256].enumerated() {
    for positions in [Int32(1), 7, 8, 63, 64, 65, 255, 256, 257, 700] {
      let item = AttentionCase(
        kv: ft_kv_type(rawValue: kv), dimension: dimension, positions: positions)
      let error = try item.error(seed: UInt64(index) * 1000 + UInt64(positions))
      #expect(error < tolerance, "dimension \(dimension), \(positions) positions")
    }
  }
}
