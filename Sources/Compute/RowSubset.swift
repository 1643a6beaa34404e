import CKernels

/// A choice of output rows of a matrix, such as the candidate tokens of a draft head.
///
/// Products with a subset read the groups of eight rows that hold a chosen one, and nothing else;
/// every value has the bits of the product with the whole matrix.
public struct RowSubset: Sendable {
  /// The chosen rows, in the caller's order.
  public let rows: [Int]
  /// The groups that hold them, ascending, for `ft_matmul_groups`.
  public let groups: [Int32]
  /// Where each chosen row's value lies in a row of compact outputs.
  public let places: [Int]
  /// Floats in a row of compact outputs.
  public var width: Int { groups.count * Int(FT_GROUP_ROWS) }

  /// Chooses `rows` of a matrix of `rowCount` rows, in any order, repeated or not.
  ///
  /// - Throws: `RowSubsetError` if a row does not exist.
  public init(_ rows: [Int], of rowCount: Int) throws(RowSubsetError) {
    if let missing = rows.first(where: { !(0..<rowCount).contains($0) }) {
      throw RowSubsetError(row: missing, rowCount: rowCount)
    }
    let size = Int(FT_GROUP_ROWS)
    let distinct = Set(rows.map { $0 / size }).sorted()
    let order = Dictionary(
      uniqueKeysWithValues: distinct.enumerated().map { ($0.element, $0.offset) })
    self.rows = rows
    groups = distinct.map { Int32($0) }
    places = rows.map { row in order[row / size, default: 0] * size + row % size }
  }
}

/// A row that a matrix does not have.
public struct RowSubsetError: Error, CustomStringConvertible, Sendable {
  /// What was asked for.
  public let row: Int
  /// How many there are.
  public let rowCount: Int

  /// What was asked for and what there is.
  public var description: String {
    "row \(row) was chosen, but the matrix has rows 0 to \(rowCount - 1)"
  }
}

extension PackedMatrix {
  /// Products of `input` [batch, columns] with the rows of `subset`, computed on all workers of
  /// `pool`.
  ///
  /// - Returns: [batch, subset.rows.count] values, in the order of `subset.rows`.
  /// - Throws: `OutOfMemory`.
  /// - Precondition: `input` holds batch × columns values, with a batch of 1...`FT_MAX_BATCH`, and
  ///   the subset was chosen of this matrix's rows.
  public func multiply(
    _ input: [Float], batch: Int, subset: RowSubset, pool: WorkerPool
  ) throws(OutOfMemory) -> [Float] {
    precondition(input.count == batch * columns && (1...Int(FT_MAX_BATCH)).contains(batch))
    precondition(subset.groups.last.map { Int($0) * Int(FT_GROUP_ROWS) < rows } ?? true)
    let scratch = try AlignedBuffer(count: Int(FT_MATMUL_SCRATCH) * pool.workers)
    let memory = try AlignedBuffer(count: ft_activations_bytes(Int32(columns), Int32(batch)))
    let compact = try AlignedBuffer(
      count: batch * subset.width * MemoryLayout<Float>.stride)
    input.withUnsafeBufferPointer { input in
      subset.groups.withUnsafeBufferPointer { groups in
        var activations = ft_activations()
        ft_activations_init(&activations, memory.base, Int32(columns), Int32(batch))
        ft_activations_quantize(&activations, input.baseAddress, columns, 0, Int32(batch))
        let job = SubsetJob(
          matrix: matrix, activations: activations, batch: Int32(batch), out: compact.floats,
          width: subset.width, groups: groups, scratch: scratch.base)
        pool.run { worker, workers in job.run(worker, workers) }
      }
    }
    return (0..<batch).flatMap { row in
      subset.places.map { compact.floats[row * subset.width + $0] }
    }
  }
}

/// One product with a subset, shared out among workers.
///
/// `@unchecked Sendable`: the pointers outlive `WorkerPool.run`, and each worker writes outputs of
/// its own.
private struct SubsetJob: @unchecked Sendable {
  let matrix: UnsafeMutablePointer<ft_matrix>
  let activations: ft_activations
  let batch: Int32
  let out: UnsafeMutablePointer<Float>
  let width: Int
  let groups: UnsafeBufferPointer<Int32>
  let scratch: UnsafeMutableRawPointer

  func run(_ worker: Int, _ workers: Int) {
    var activations = activations
    ft_matmul_groups(
      matrix, &activations, batch, out, width, groups.baseAddress,
      Int32(groups.count * worker / workers), Int32(groups.count * (worker + 1) / workers),
      scratch + worker * Int(FT_MATMUL_SCRATCH))
  }
}
