import Compute
import Foretoken

/// Cost of a forward pass by its rows, as a multiple of the cost of one row.
struct RelativeCost: Sendable, Equatable, Codable {
  /// Rows and cost, ascending; the first is one row at cost 1.
  let points: [Point]

  struct Point: Sendable, Equatable, Codable {
    let rows: Int
    let cost: Double
  }

  /// - Parameter times: time of each number of rows, ascending; divided by the first.
  init(_ times: [(rows: Int, time: Double)]) {
    let unit = times.first.map(\.time) ?? 1
    points = times.map { Point(rows: $0.rows, cost: $0.time / max(unit, .leastNormalMagnitude)) }
  }

  /// Cost of `rows` rows: linear between the measured points, and after the last two.
  func callAsFunction(_ rows: Int) -> Double {
    guard let first = points.first, points.count > 1, rows > first.rows else { return 1 }
    let next = points.firstIndex { $0.rows >= rows } ?? points.count - 1
    let (low, high) = (points[next - 1], points[next])
    let slope = (high.cost - low.cost) / Double(high.rows - low.rows)
    return low.cost + slope * Double(rows - low.rows)
  }

  private static let measuredRows = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
  private static let repeats = 7
  /// Tokens that every row sees, as in a conversation under way.
  private static let context = 256

  /// Measures a model: medians of several passes of each size, sizes taking turns.
  ///
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
      var times = measuredRows.map { _ in [Double]() }
      var batch = ForwardBatch()
      for round in 0...repeats {
        for (index, rows) in measuredRows.enumerated() {
          if isCancelled() { throw CancellationError() }
          batch.removeAll()
          batch.append(chain: tokens(rows), to: cache, logits: .all)
          let time = try seconds { _ = try engine.forward(batch) }
          cache.rollback()
          // The first round warms up.
          if round > 0 { times[index].append(time) }
        }
      }
      return RelativeCost(zip(measuredRows, times).map { ($0, Samples($1).median) })
    }
  }

  /// An 8-core Zen 3 desktop with DDR4-3200: max(T_mem, T_0 + n T_c) with 44.8 GB/s for all cores
  /// and 150 GMAC/s per core, where a machine of two cores was measured to have 37.4 GB/s, 115
  /// GMAC/s, and T_mem, T_0, T_c of 207, 76 and 57 µs on a Q4_K matrix of 13.8 M weights.
  static let eightCores: RelativeCost = {
    let memory = 207.0 * 37.4 / 44.8
    let compute = 2.0 * 115 / (8 * 150)
    return RelativeCost(
      [1, 2, 4, 8, 12, 14, 16, 24, 32, 48, 64].map { rows in
        (rows, max(memory, (76 + 57 * Double(rows)) * compute))
      })
  }()
}
