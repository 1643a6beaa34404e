import Transformers

/// What passes of one engine cost here and now: the measured curve, corrected by every step.
///
/// The time of a pass of n rows at position p is taken to be
///
///     (level · curve(n) + attention · (n + 1) · p) · shape(n)
///
/// `level` moves with what neighbours leave of the machine, `attention` is the cost of looking at a
/// context (K and V are read once for all rows, the products are each row's own: n + 1), both
/// followed by a Kalman filter; `shape(n)` is a moving average of what is left at each size, and
/// lets the curve itself be wrong. A pass that the system interrupted counts for little.
///
/// Deterministic: time enters through `observe` only.
public final class CostModel {
  /// The curve as it was measured.
  public let curve: CostCurve

  private static let positionUnit = 1024.0
  private let unit: Double  // microseconds of a pass of one row
  private let base: [Double]  // curve(n) / unit, by rows
  private var level = 1.0
  private var attention = 0.1
  // Covariance of the two.
  private var levelVariance = 0.09
  private var crossVariance = 0.0
  private var attentionVariance = 0.02
  private var shapes: [Double]
  private var seen: [Int]

  /// A model that believes `curve`.
  public init(_ curve: CostCurve) {
    self.curve = curve
    unit = max(curve.microseconds(rows: 1), 1e-3)
    let unit = unit
    base = (0...ForwardEngine.maximumRows).map { curve.microseconds(rows: max($0, 1)) / unit }
    shapes = Array(repeating: 1, count: base.count)
    seen = Array(repeating: 0, count: base.count)
  }

  /// Expected microseconds of a pass of `rows` rows after `position` tokens.
  public func microseconds(rows: Int, position: Int) -> Double {
    let rows = min(max(rows, 1), base.count - 1)
    let reach = Self.reach(rows: rows, position: position)
    return max(level * base[rows] + attention * reach, 0.01) * shapes[rows] * unit
  }

  private static func reach(rows: Int, position: Int) -> Double {
    Double(rows + 1) / 2 * Double(max(position, 0)) / positionUnit
  }

  /// Learns from a pass.
  public func observe(rows: Int, position: Int, microseconds: Double) {
    guard rows > 0, rows < base.count, microseconds > 0, microseconds.isFinite else { return }
    let reach = Self.reach(rows: rows, position: position)
    let measured = microseconds / unit / shapes[rows]
    let expected = max(level * base[rows] + attention * reach, 0.01)
    // A pass cannot be much quicker than it is, but it can be interrupted.
    let surprise = min(max(measured - expected, -expected / 2), expected / 4)
    levelVariance += 4e-4
    attentionVariance += 1e-5
    let toLevel = levelVariance * base[rows] + crossVariance * reach
    let toAttention = crossVariance * base[rows] + attentionVariance * reach
    let noise = 0.01 * expected * expected
    let variance = toLevel * base[rows] + toAttention * reach + noise
    level = min(max(level + toLevel / variance * surprise, 0.1), 50)
    attention = min(max(attention + toAttention / variance * surprise, 0), 10)
    levelVariance -= toLevel * toLevel / variance
    crossVariance -= toLevel * toAttention / variance
    attentionVariance -= toAttention * toAttention / variance
    correctShape(rows, measured: microseconds / unit, reach: reach)
  }

  /// A single row has shape 1 by definition: its deviations are the level's.
  private func correctShape(_ rows: Int, measured: Double, reach: Double) {
    guard rows > 1 else { return }
    let expected = max(level * base[rows] + attention * reach, 0.01)
    seen[rows] += 1
    let ratio = min(max(measured / expected, 0.5), 1.5)
    shapes[rows] += (ratio - shapes[rows]) / Double(min(seen[rows] + 3, 24))
    // Sizes that were never run lie between those that were.
    var below = 1
    for size in 2..<shapes.count where seen[size] > 0 {
      let step = (shapes[size] - shapes[below]) / Double(size - below)
      for between in (below + 1)..<size {
        shapes[between] = shapes[below] + step * Double(between - below)
      }
      below = size
    }
    for beyond in (below + 1)..<shapes.count { shapes[beyond] = shapes[below] }
  }
}
