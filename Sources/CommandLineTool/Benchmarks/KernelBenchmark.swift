import CKernels
import Compute
import Foretoken

/// Matrix products by weight format, shape and batch size.
final class KernelBenchmark {
  /// A batch size gets no further run once its runs have taken this long, if there are two.
  private static let secondsPerBatch = 0.15

  /// What one format and shape takes.
  struct Row {
    let type: ElementType
    let shape: MatrixShape
    /// Bytes of the packed matrix.
    let bytes: Int
    /// Seconds for each batch size, ascending, 1 first.
    let points: [(batch: Int, seconds: Samples)]

    /// Time of one activation row.
    var single: Samples { points.first?.seconds ?? Samples([]) }

    /// Time at a batch size as a multiple of that at 1 (medians); nil if it was not measured.
    func ratio(at batch: Int) -> Double? {
      points.first { $0.batch == batch }.map { $0.seconds.median / single.median }
    }

    /// Bytes of weights read per second.
    func bytesPerSecond(_ seconds: Samples) -> Double { Double(bytes) / seconds.median }

    /// Multiply-adds per second.
    func multiplyAddsPerSecond(_ batch: Int, _ seconds: Samples) -> Double {
      Double(shape.rows * shape.columns * batch) / seconds.median
    }
  }

  let pool: WorkerPool
  private let scratch: AlignedBuffer

  /// - Throws: `WorkerPoolError`, or an error of memory.
  init(threads: Int) throws {
    pool = try WorkerPool(workers: threads)
    scratch = try AlignedBuffer(count: Int(FT_MATMUL_SCRATCH) * threads)
  }

  /// Whether the format has blocks that fit into rows of the shape.
  static func fits(_ type: ElementType, _ shape: MatrixShape) -> Bool {
    type.kernelType.map { shape.columns % Int(ft_type_block_elements($0)) == 0 } ?? false
  }

  /// Work of one measurement, about proportional to its time.
  static func work(_ shape: MatrixShape, batches: [Int]) -> Double {
    let weights = Double(shape.rows * shape.columns)
    return weights * Double(batches.reduce(0, +) + 20 * batches.count) + preparation
  }

  /// What making the weights costs, in the same unit.
  private static let preparation = 5e9

  /// Measures one format and shape, up to `repeats` runs per batch size after one that warms up.
  /// The batch sizes take turns, so that what disturbs the machine for a while meets all of them.
  ///
  /// - Throws: `PackingError`, or an error of memory.
  func measure(
    _ type: ElementType, _ shape: MatrixShape, batches: [Int], repeats: Int
  ) throws -> Row {
    guard let kernelType = type.kernelType else { throw UnsupportedFormat(type: type) }
    let weights = try ColdMatrices(kernelType, shape, pool: pool)
    let inputs = try batches.map { try BenchmarkInput(shape, batch: $0) }
    var times = [[Double]](repeating: [], count: batches.count)
    var next = 0
    for round in 0...repeats {
      for (index, input) in inputs.enumerated() {
        let spent = times[index].reduce(0, +)
        if times[index].count >= 2, spent > Self.secondsPerBatch { continue }
        let matrix = weights.matrix(of: next)
        next += 1
        let time = seconds { run(matrix, input) }
        if round > 0 { times[index].append(time) }
      }
    }
    return Row(
      type: type, shape: shape, bytes: weights.bytes,
      points: zip(batches, times).map { ($0, Samples($1)) })
  }

  private func run(_ matrix: UnsafeMutablePointer<ft_matrix>, _ input: BenchmarkInput) {
    let job = ProductJob(
      matrix: matrix, activations: input.activations, batch: Int32(input.batch),
      output: input.output.floats, stride: Int(matrix.pointee.rows),
      groups: Int(ft_matrix_groups(matrix)), scratch: scratch.base)
    pool.run { worker, workers in job.run(worker, workers) }
  }
}

/// The kernels have no type for a format.
struct UnsupportedFormat: Error, CustomStringConvertible {
  let type: ElementType
  var description: String { "the kernels cannot multiply with weights of the format \(type)" }
}

/// Copies of one packed matrix that together are larger than the caches.
private final class ColdMatrices {
  /// Weights that the runs go through in turn, so that caches hold none of them.
  private static let coldBytes = 160 << 20

  /// Bytes of one copy.
  let bytes: Int
  private let count: Int
  private let descriptions: UnsafeMutablePointer<ft_matrix>
  private let storage: AlignedBuffer

  init(_ type: ft_type, _ shape: MatrixShape, pool: WorkerPool) throws {
    let blocks = shape.rows * shape.columns / Int(ft_type_block_elements(type))
    let source = try AlignedBuffer(count: blocks * Int(ft_type_block_bytes(type)))
    let fill = source.base.assumingMemoryBound(to: UInt8.self)
    // Bytes of this range make small normal numbers of every float type that a block may hold.
    for index in 0..<source.count {
      fill[index] = 0x20 + UInt8(truncatingIfNeeded: index &* 31 &+ index >> 7) & 15
    }
    let packed = try PackedMatrix(
      type: type, rows: shape.rows, columns: shape.columns,
      source: UnsafeRawBufferPointer(start: source.base, count: source.count), reference: false,
      pool: pool)
    bytes = packed.bytes
    let distance = (bytes + 63) / 64 * 64
    count = max(2, (Self.coldBytes + distance - 1) / distance)
    storage = try AlignedBuffer(count: count * distance)
    descriptions = .allocate(capacity: count)
    descriptions.initialize(repeating: packed.matrix.pointee, count: count)
    for copy in 0..<count {
      let start = storage.base + copy * distance
      start.copyMemory(from: packed.matrix.pointee.data, byteCount: bytes)
      descriptions[copy].data = UnsafeRawPointer(start)
    }
  }

  deinit { descriptions.deallocate() }

  /// The matrix of one run: every copy comes round once before any comes twice.
  func matrix(of run: Int) -> UnsafeMutablePointer<ft_matrix> { descriptions + run % count }
}

/// Prepared activations of one batch size, and room for the product.
private final class BenchmarkInput {
  let batch: Int
  let activations: UnsafeMutablePointer<ft_activations>
  let output: AlignedBuffer
  private let floats: AlignedBuffer
  private let memory: AlignedBuffer

  init(_ shape: MatrixShape, batch: Int) throws {
    self.batch = batch
    let columns = Int32(shape.columns)
    floats = try AlignedBuffer(count: shape.columns * batch * MemoryLayout<Float>.stride)
    memory = try AlignedBuffer(count: ft_activations_bytes(columns, Int32(batch)))
    output = try AlignedBuffer(count: shape.rows * batch * MemoryLayout<Float>.stride)
    for index in 0..<shape.columns * batch {
      floats.floats[index] = Float((index &* 7919) % 255 - 127) / 127
    }
    activations = .allocate(capacity: 1)
    activations.initialize(to: ft_activations())
    ft_activations_init(activations, memory.base, columns, Int32(batch))
    ft_activations_quantize(activations, floats.floats, shape.columns, 0, Int32(batch))
  }

  deinit { activations.deallocate() }
}

/// One product, shared out among workers.
///
/// `@unchecked Sendable`: the pointers outlive `WorkerPool.run`, and each worker writes rows of its
/// own.
private struct ProductJob: @unchecked Sendable {
  let matrix: UnsafeMutablePointer<ft_matrix>
  let activations: UnsafeMutablePointer<ft_activations>
  let batch: Int32
  let output: UnsafeMutablePointer<Float>
  let stride: Int
  let groups: Int
  let scratch: UnsafeMutableRawPointer

  func run(_ worker: Int, _ workers: Int) {
    ft_matmul(
      matrix, activations, batch, output, stride, Int32(groups * worker / workers),
      Int32(groups * (worker + 1) / workers), scratch + worker * Int(FT_MATMUL_SCRATCH))
  }
}
