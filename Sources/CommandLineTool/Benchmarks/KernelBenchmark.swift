import CKernels
import Compute
import Foretoken

/// Matrix products of one size in every weight format.
final class KernelBenchmark {
  /// Output rows: those of a feed-forward matrix of a 1.5 B model.
  static let rows = 8960
  /// Input columns.
  static let columns = 1536
  private static let batches = [2, 4, 8, 16, 32]
  private static let largestBatch = 32
  /// Weights that the runs go through in turn, so that caches hold none of them.
  private static let coldBytes = 160 << 20

  /// What one format takes.
  struct Row {
    let type: ElementType
    /// Bytes of the packed matrix.
    let bytes: Int
    /// Seconds at one activation row.
    let single: Samples
    /// Time of larger batches, as a multiple of the time at 1 (medians).
    let ratios: [(batch: Int, ratio: Double)]
  }

  let threads: Int
  private let pool: WorkerPool
  private let activationMemory: AlignedBuffer
  private let scratch: AlignedBuffer
  private let activations: UnsafeMutablePointer<ft_activations>
  private let input: UnsafeMutablePointer<Float>
  private let output: UnsafeMutablePointer<Float>

  /// - Throws: `WorkerPoolError`, or an error of memory.
  init(threads: Int) throws {
    self.threads = threads
    pool = try WorkerPool(workers: threads)
    let batch = Int32(Self.largestBatch)
    activationMemory = try AlignedBuffer(
      count: ft_activations_bytes(Int32(Self.columns), batch))
    scratch = try AlignedBuffer(count: Int(FT_MATMUL_SCRATCH) * threads)
    activations = .allocate(capacity: 1)
    activations.initialize(to: ft_activations())
    input = .allocate(capacity: Self.columns * Self.largestBatch)
    output = .allocate(capacity: Self.rows * Self.largestBatch)
    for index in 0..<Self.columns * Self.largestBatch {
      input[index] = Float((index * 7919) % 255 - 127) / 127
    }
    output.initialize(repeating: 0, count: Self.rows * Self.largestBatch)
    ft_activations_init(activations, activationMemory.base, Int32(Self.columns), batch)
    ft_activations_quantize(activations, input, Self.columns, 0, batch)
  }

  deinit {
    activations.deallocate()
    input.deallocate()
    output.deallocate()
  }

  /// Measures one format, `repeats` runs per batch size after one that warms up.
  /// - Throws: `PackingError`.
  func measure(_ type: ElementType, repeats: Int) throws -> Row {
    let matrices = try self.matrices(of: type)
    let single = Samples(time(matrices, batch: 1, repeats: repeats))
    let ratios = Self.batches.map { batch in
      (batch, Samples(time(matrices, batch: batch, repeats: repeats)).median / single.median)
    }
    return Row(type: type, bytes: matrices[0].bytes, single: single, ratios: ratios)
  }

  private func matrices(of type: ElementType) throws -> [PackedMatrix] {
    guard let kernelType = type.kernelType else { return [] }
    let blocks = Self.rows * Self.columns / Int(ft_type_block_elements(kernelType))
    let count = blocks * Int(ft_type_block_bytes(kernelType))
    // Bytes of this range make small normal numbers of every float type that a block may hold.
    let source = (0..<count).map { index -> UInt8 in 0x20 + UInt8((index * 31 + index / 97) & 15) }
    return try source.withUnsafeBytes { bytes in
      let first = try pack(kernelType, bytes)
      let copies = max(1, Self.coldBytes / max(first.bytes, 1))
      return [first] + (try (0..<copies).map { _ in try pack(kernelType, bytes) })
    }
  }

  private func pack(_ type: ft_type, _ source: UnsafeRawBufferPointer) throws -> PackedMatrix {
    try PackedMatrix(
      type: type, rows: Self.rows, columns: Self.columns, source: source, reference: false,
      pool: pool)
  }

  /// Seconds of each run; the runs go through the matrices in turn.
  private func time(_ matrices: [PackedMatrix], batch: Int, repeats: Int) -> [Double] {
    run(matrices[matrices.count - 1], batch)
    return (0..<repeats).map { index in
      seconds { run(matrices[index % matrices.count], batch) }
    }
  }

  private func run(_ matrix: PackedMatrix, _ batch: Int) {
    let job = ProductJob(
      matrix: matrix.matrix, activations: activations, batch: Int32(batch), output: output,
      stride: Self.rows, groups: Int(ft_matrix_groups(matrix.matrix)), scratch: scratch.base)
    pool.run { worker, workers in job.run(worker, workers) }
  }
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
