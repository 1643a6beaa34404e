import CKernels
import Compute
import Foretoken

/// Matrix products by weight format, shape and batch size.
final class KernelBenchmark {
  /// Weights that the runs go through in turn, so that caches hold none of them.
  private static let coldBytes = 160 << 20
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
    return weights * Double(batches.reduce(0, +) + 20 * batches.count) + Double(coldBytes) * 100
  }

  /// Measures one format and shape, up to `repeats` runs per batch size after one that warms up.
  /// The batch sizes take turns, so that what disturbs the machine for a while meets all of them.
  ///
  /// - Throws: `PackingError`, or an error of memory.
  func measure(
    _ type: ElementType, _ shape: MatrixShape, batches: [Int], repeats: Int
  ) throws -> Row {
    let matrices = try matrices(type, shape)
    let inputs = try batches.map { try BenchmarkInput(shape, batch: $0) }
    var times = [[Double]](repeating: [], count: batches.count)
    var next = 0
    for round in 0...repeats {
      for (index, input) in inputs.enumerated() {
        let spent = times[index].reduce(0, +)
        if times[index].count >= 2, spent > Self.secondsPerBatch { continue }
        let matrix = matrices[next % matrices.count]
        next += 1
        let time = seconds { run(matrix, input) }
        if round > 0 { times[index].append(time) }
      }
    }
    return Row(
      type: type, shape: shape, bytes: matrices.first?.bytes ?? 0,
      points: zip(batches, times).map { ($0, Samples($1)) })
  }

  private func matrices(_ type: ElementType, _ shape: MatrixShape) throws -> [PackedMatrix] {
    guard let kernelType = type.kernelType else { return [] }
    let blocks = shape.rows * shape.columns / Int(ft_type_block_elements(kernelType))
    let source = try AlignedBuffer(count: blocks * Int(ft_type_block_bytes(kernelType)))
    let bytes = source.base.assumingMemoryBound(to: UInt8.self)
    // Bytes of this range make small normal numbers of every float type that a block may hold.
    for index in 0..<source.count { bytes[index] = 0x20 &+ UInt8((index &* 31 &+ index >> 7) & 15) }
    let raw = UnsafeRawBufferPointer(start: source.base, count: source.count)
    let first = try pack(kernelType, shape, raw)
    let copies = max(1, (Self.coldBytes + first.bytes - 1) / max(first.bytes, 1))
    return [first] + (try (1..<max(copies, 2)).map { _ in try pack(kernelType, shape, raw) })
  }

  private func pack(
    _ type: ft_type, _ shape: MatrixShape, _ source: UnsafeRawBufferPointer
  ) throws -> PackedMatrix {
    try PackedMatrix(
      type: type, rows: shape.rows, columns: shape.columns, source: source, reference: false,
      pool: pool)
  }

  private func run(_ matrix: PackedMatrix, _ input: BenchmarkInput) {
    let job = ProductJob(
      matrix: matrix.matrix, activations: input.activations, batch: Int32(input.batch),
      output: input.output.floats, stride: matrix.rows,
      groups: Int(ft_matrix_groups(matrix.matrix)), scratch: scratch.base)
    pool.run { worker, workers in job.run(worker, workers) }
  }
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
