import CKernels
import TestSupport

/// Keys and values of one sequence in pages, and attention over them by the operations of a plan:
/// a prefix and a tree of nodes behind it.
final class AttentionFixture {
  struct Shape {
    var kv = FT_KV_F16
    var keyValueHeads: Int32 = 1
    var group: Int32 = 1
    var dimension: Int32 = 64
    var window: Int32 = 0

    var heads: Int32 { keyValueHeads * group }
  }

  let shape: Shape
  let prefix: Int
  let parents: [Int]
  /// [node][heads * dimension]
  let queries: [[Float]]
  /// As stored, by slot: [keyValueHeads * dimension]
  private(set) var keys: [[Float]] = []
  private(set) var values: [[Float]] = []
  /// Largest distance of a stored number from the one written.
  private(set) var storedError: Float = 0
  private var layout = ft_attention_shape()
  private let pages: UnsafeMutableBufferPointer<UnsafeMutablePointer<UInt8>?>

  /// - Parameter constant: what every number is, instead of random ones.
  init(_ shape: Shape, prefix: Int, parents: [Int], seed: UInt64, constant: Float? = nil) {
    self.shape = shape
    self.prefix = prefix
    self.parents = parents
    var random = SeededGenerator(seed: seed)
    func row(_ count: Int32, _ scale: Float) -> [Float] {
      (0..<count).map { _ in constant ?? (random.unit() - 0.5) * scale }
    }
    queries = parents.map { _ in row(shape.heads * shape.dimension, 4) }
    layout.heads = shape.heads
    layout.kv_heads = shape.keyValueHeads
    layout.head_dimension = shape.dimension
    layout.kv_type = shape.kv
    layout.page_head_stride = ft_kv_head_bytes(shape.kv, shape.dimension)
    layout.page_layer_stride = layout.page_head_stride * Int(shape.keyValueHeads)
    let slots = prefix + parents.count
    pages = .allocate(capacity: (slots + Int(FT_PAGE_SLOTS) - 1) / Int(FT_PAGE_SLOTS))
    for page in pages.indices {
      let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: layout.page_layer_stride)
      // What no row sees must not matter: fill it with numbers that would be seen.
      memory.initialize(repeating: 0x7F, count: layout.page_layer_stride)
      pages.initializeElement(at: page, to: memory)
    }
    let width = shape.keyValueHeads * shape.dimension
    for slot in 0..<slots {
      let written = (row(width, 2), row(width, 2))
      let base = UnsafePointer(pages.baseAddress)
      ft_kv_write(&layout, base, 0, Int32(slot), written.0, written.1)
      var key = written.0
      var value = written.1
      ft_kv_read(&layout, base, 0, Int32(slot), &key, &value)
      for (stored, given) in zip(key + value, written.0 + written.1) {
        storedError = max(storedError, abs(stored - given))
      }
      keys.append(key)
      values.append(value)
    }
  }

  deinit {
    for page in pages { page?.deallocate() }
    pages.deallocate()
  }

  /// Slots that a node sees, in path order.
  func path(of node: Int) -> [Int] {
    var path = [prefix + node]
    var at = parents[node]
    while at >= 0 {
      path.append(prefix + at)
      at = parents[at]
    }
    let all = Array(0..<prefix) + path.reversed()
    return shape.window > 0 ? Array(all.suffix(Int(shape.window))) : all
  }

  /// Runs `nodes` in one pass: [node][heads * dimension].
  ///
  /// - Parameter split: give room for partial sums, so that few rows are split by spans.
  func attend(_ nodes: [Int], threads: Int32 = 1, split: Bool = true) -> [[Float]] {
    var rows: [ft_row] = []
    var tails: [Int32] = []
    for node in nodes {
      let path = fullPath(of: node)
      let aligned = zip(path, path.indices).prefix { $0 == $1 }.count
      var row = ft_row()
      row.contiguous = Int32(prefix + aligned)
      row.tail_begin = Int32(tails.count)
      row.tail_count = Int32(path.count - aligned)
      tails += path[aligned...].map { Int32(prefix + $0) }
      rows.append(row)
    }
    let width = Int(shape.heads * shape.dimension)
    var input = nodes.flatMap { queries[$0] }
    var output = [Float](repeating: .nan, count: input.count)
    run(rows, tails, width, threads, split, &input, &output)
    return nodes.indices.map { Array(output[$0 * width..<($0 + 1) * width]) }
  }

  /// Nodes from the root to `node`.
  private func fullPath(of node: Int) -> [Int] {
    var path = [node]
    while parents[path[0]] >= 0 { path.insert(parents[path[0]], at: 0) }
    return path
  }

  private func run(
    _ rows: [ft_row], _ tails: [Int32], _ width: Int, _ threads: Int32, _ split: Bool,
    _ input: inout [Float], _ output: inout [Float]
  ) {
    let ops = [FT_OP_ATTENTION, FT_OP_ATTENTION_MERGE].map { kind in
      var op = ft_op()
      op.kind = kind
      op.output = 1
      op.window = shape.window
      return op
    }
    var plan = ft_plan()
    plan.op_count = Int32(ops.count)
    plan.attention = layout
    let pool = ft_pool_create(threads)
    defer { ft_pool_destroy(pool) }
    let scratch = UnsafeMutableRawPointer.allocate(
      byteCount: ft_plan_scratch_bytes(&plan) * Int(threads), alignment: 64)
    defer { scratch.deallocate() }
    let floats = split ? ft_plan_partial_floats(&plan, Int32(prefix + parents.count)) : 0
    let partials = UnsafeMutableRawPointer.allocate(byteCount: floats * 4 + 64, alignment: 64)
    defer { partials.deallocate() }
    var sequence = ft_sequence(
      row_begin: 0, row_count: Int32(rows.count), pages: UnsafePointer(pages.baseAddress))
    input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        let buffers = [input.baseAddress, output.baseAddress]
        var pass = ft_pass()
        pass.row_count = Int32(rows.count)
        pass.sequence_count = 1
        pass.partials = partials.assumingMemoryBound(to: Float.self)
        pass.partial_capacity = floats
        pass.scratch = scratch.assumingMemoryBound(to: UInt8.self)
        rows.withUnsafeBufferPointer { rows in
          tails.withUnsafeBufferPointer { tails in
            ops.withUnsafeBufferPointer { ops in
              buffers.withUnsafeBufferPointer { buffers in
                [width, width].withUnsafeBufferPointer { strides in
                  withUnsafePointer(to: &sequence) { sequence in
                    pass.rows = rows.baseAddress
                    pass.tails = tails.baseAddress
                    pass.sequences = sequence
                    pass.buffers = buffers.baseAddress
                    pass.strides = strides.baseAddress
                    plan.ops = ops.baseAddress
                    ft_plan_run(pool, &plan, &pass)
                  }
                }
              }
            }
          }
        }
      }
    }
  }

  /// The same in double precision, by the definition.
  func reference(_ node: Int) -> [Double] {
    let width = Int(shape.dimension)
    let path = path(of: node)
    var result: [Double] = []
    for head in 0..<Int(shape.heads) {
      let query = queries[node][head * width..<(head + 1) * width]
      let at = head / Int(shape.group) * width
      let scores = path.map { slot in
        zip(query, keys[slot][at..<at + width]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      }
      let largest = scores.max() ?? 0
      let weights = scores.map { exponential($0 - largest) }
      let sum = weights.reduce(0, +)
      for d in at..<at + width {
        let total = zip(weights, path).reduce(0.0) { $0 + $1.0 * Double(values[$1.1][d]) }
        result.append(total / sum)
      }
    }
    return result
  }

  /// e^x by its series, after halving: independent of the kernels' own.
  private func exponential(_ x: Double) -> Double {
    if x < -1 {
      let half = exponential(x / 2)
      return half * half
    }
    var term = 1.0
    var sum = 1.0
    for n in 1..<20 {
      term *= x / Double(n)
      sum += term
    }
    return sum
  }
}
