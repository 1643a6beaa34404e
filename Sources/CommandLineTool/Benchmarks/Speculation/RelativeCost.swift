import Compute
import Foretoken

/// Cost of a forward pass by its rows, as a multiple of the cost of one row.
struct RelativeCost: Sendable, Equatable, Codable {
  /// The measured times.
  let curve: CostCurve

  /// Cost of `rows` rows.
  func callAsFunction(_ rows: Int) -> Double {
    curve.microseconds(rows: rows) / curve.microseconds(rows: 1)
  }

  /// Measured sizes with their costs.
  var points: [(rows: Int, cost: Double)] { curve.points.map { ($0.rows, self($0.rows)) } }

  /// Time that measuring may take, in microseconds: more than a generation would wait for.
  private static let measuringTime = 4_000_000.0
  /// Tokens that every row sees, as in a conversation under way.
  private static let context = 256

  /// Measures a model.
  /// - Throws: errors of the file, the weights or the engine.
  static func measure(path: String, threads: Int?, kv: KVType) async throws -> RelativeCost {
    try await ThreadExecutor(name: "foretoken.cost").perform { isCancelled in
      let threads = threads ?? WorkerPool.defaultWorkers
      let weights = try Transformer(file: try GGUFFile(path: path), threads: threads)
      let engine = try ForwardEngine(model: weights, threads: threads, kv: kv)
      let vocabulary = weights.configuration.vocabularyCount
      let cache = engine.makeCache()
      defer { cache.release() }
      func tokens(_ count: Int) -> [Int32] {
        (0..<count).map { Int32(($0 * 7919 + 13) % vocabulary) }
      }
      _ = try engine.prefill(tokens(context), into: cache)
      var batch = ForwardBatch()
      let curve = try CostCurve.measure(time: measuringTime) { rows in
        if isCancelled() { throw CancellationError() }
        batch.removeAll()
        batch.append(chain: tokens(rows), to: cache, logits: .all)
        defer { cache.rollback() }
        return try seconds { _ = try engine.forward(batch) } * 1e6
      }
      return RelativeCost(curve: curve)
    }
  }

  /// An 8-core Zen 3 desktop with DDR4-3200: 44.8 GB/s for all cores and 150 GMAC/s per core, where
  /// a machine of two cores was measured to have 37.4 GB/s, 115 GMAC/s, and 207 µs for reading, 76
  /// µs and 57 µs a row for computing on a Q4_K matrix of 13.8 M weights.
  static let eightCores: RelativeCost = {
    let compute = 2.0 * 115 / (8 * 150)
    return RelativeCost(
      curve: CostCurve(memory: 207.0 * 37.4 / 44.8, fixed: 76 * compute, perRow: 57 * compute))
  }()
}
