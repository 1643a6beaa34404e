import CKernels

/// A weight matrix [rows, columns] in the layout of the kernels: y = x · Wᵀ.
///
/// `@unchecked Sendable`: written by the initialiser only, read-only afterwards.
public final class PackedMatrix: @unchecked Sendable {
  /// The kernels' description; lives as long as this object.
  public let matrix: UnsafeMutablePointer<ft_matrix>
  private let storage: WeightMemory.Block

  /// Output values per row of activations.
  public var rows: Int { Int(matrix.pointee.rows) }
  /// Input values per row of activations.
  public var columns: Int { Int(matrix.pointee.columns) }
  /// Whether products read the activations' floats; otherwise their quantised form alone.
  public var readsFloats: Bool { matrix.pointee.layout == FT_LAYOUT_ROWS }
  /// Bytes of the packed form: what a pass over the matrix reads.
  public var bytes: Int { matrix.pointee.bytes }

  /// Packs `source` (rows in the file's own block format) on all workers of `pool`.
  ///
  /// - Parameters:
  ///   - type: block format of `source`.
  ///   - reference: keep the file's rows and multiply with float activations: slow, and without
  ///     any rounding but the file's own.
  ///   - memory: where the packed form goes; by default a region of its own.
  ///   - packed: called with each range of bytes of `source` that is not needed any more, so that a
  ///     mapped file does not stay in memory beside its packed copy.
  /// - Throws: `PackingError` if the shape or type does not fit, or memory is short.
  public init(
    type: ft_type, rows: Int, columns: Int, source: UnsafeRawBufferPointer, reference: Bool,
    pool: WorkerPool, memory: WeightMemory? = nil, packed: (Range<Int>) -> Void = { _ in }
  ) throws(PackingError) {
    var plan = ft_matrix()
    guard let rows32 = Int32(exactly: rows), let columns32 = Int32(exactly: columns),
      ft_matrix_plan(&plan, type, rows32, columns32, reference)
    else { throw .unsupported(type: type.rawValue, rows: rows, columns: columns) }
    let blocks = columns / Int(ft_type_block_elements(type))
    let needed = rows * blocks * Int(ft_type_block_bytes(type))
    guard source.count >= needed, let start = source.baseAddress else {
      throw .truncated(expected: needed, found: source.count)
    }
    do {
      storage = try (memory ?? WeightMemory(regionBytes: plan.bytes)).allocate(plan.bytes)
    } catch { throw .memory(error) }
    plan.data = UnsafeRawPointer(storage.base)
    matrix = .allocate(capacity: 1)
    matrix.initialize(to: plan)
    let groups = Int(ft_matrix_groups(matrix))
    let groupBytes = needed / rows * Int(FT_GROUP_ROWS)
    let slice = max(pool.workers, Self.sliceBytes / groupBytes)
    for first in stride(from: 0, to: groups, by: slice) {
      let job = PackingJob(
        matrix: matrix, target: storage.base, source: start,
        groups: first..<min(first + slice, groups))
      pool.run { worker, workers in job.run(worker, workers) }
      packed(first * groupBytes..<min((first + slice) * groupBytes, needed))
    }
  }

  /// Source bytes packed at a time.
  private static let sliceBytes = 16 << 20

  deinit { matrix.deallocate() }
}

/// Pointers of one packing run; they outlive `WorkerPool.run`, which waits for its workers.
private struct PackingJob: @unchecked Sendable {
  let matrix: UnsafeMutablePointer<ft_matrix>
  let target: UnsafeMutableRawPointer
  let source: UnsafeRawPointer
  let groups: Range<Int>

  func run(_ worker: Int, _ workers: Int) {
    let begin = groups.lowerBound + groups.count * worker / workers
    let end = groups.lowerBound + groups.count * (worker + 1) / workers
    if begin < end { ft_matrix_pack(matrix, target, source, Int32(begin), Int32(end)) }
  }
}

/// Why a matrix could not be packed.
public enum PackingError: Error, CustomStringConvertible, Sendable {
  /// The kernels have no layout for this type and shape.
  case unsupported(type: UInt32, rows: Int, columns: Int)
  /// The source holds fewer bytes than the shape needs.
  case truncated(expected: Int, found: Int)
  /// Memory is short.
  case memory(OutOfMemory)

  /// What was found and what was expected.
  public var description: String {
    switch self {
    case .unsupported(let type, let rows, let columns):
      "a matrix of \(rows) rows and \(columns) columns of type \(type) cannot be used: "
        + "rows must be positive and columns a multiple of the type's block"
    case .truncated(let expected, let found):
      "the matrix needs \(expected) bytes but \(found) are there"
    case .memory(let error): error.description
    }
  }
}

/// A vector of floats at a fixed address (norm weights, biases).
public struct FloatVector: Sendable {
  private let storage: AlignedBuffer
  /// Number of floats.
  public let count: Int

  /// Copies `values`.
  public init(_ values: [Float]) throws(OutOfMemory) {
    storage = try AlignedBuffer(count: values.count * MemoryLayout<Float>.stride)
    count = values.count
    values.withUnsafeBufferPointer { source in
      if let start = source.baseAddress {
        storage.floats.update(from: start, count: source.count)
      }
    }
  }

  /// Address of the first float; valid as long as the vector is.
  public var pointer: UnsafePointer<Float> { UnsafePointer(storage.floats) }
}
