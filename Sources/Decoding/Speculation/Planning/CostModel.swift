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
  private var attention: Double
  // Covariance of the two.
  private var levelVariance = 0.04
  private var crossVariance = 0.0
  private var attentionVariance: Double
  private var shapes: [Double]
  private var seen: [Int]
  private var surprises: [Int]

  /// A model that believes `curve`.
  /// - Parameter attention: cost of looking at 1024 positions with one row, as a share of a pass of
  ///   one row at the beginning: what is believed before a long context was met.
  public init(_ curve: CostCurve, attention: Double = 0.02) {
    self.curve = curve
    self.attention = attention
    attentionVariance = attention * attention + 4e-4
    unit = max(curve.microseconds(rows: 1), 1e-3)
    let unit = unit
    base = (0...ForwardEngine.maximumRows).map { curve.microseconds(rows: max($0, 1)) / unit }
    shapes = Array(repeating: 1, count: base.count)
    seen = Array(repeating: 0, count: base.count)
    surprises = seen
  }

  /// A model that believes `curve`, and of a context what the shape of the network says: attention
  /// is computed in floats, at about a third of the speed of the int8 products, whose time for
  /// each row is the curve's last slope.
  public convenience init(_ curve: CostCurve, model: ModelConfiguration) {
    let (layers, hidden) = (Double(model.layerCount), Double(model.hiddenSize))
    let queries = Double(model.headCount * model.headDimension)
    let keys = Double(model.keyValueHeadCount * model.headDimension)
    let products =
      layers * hidden * (2 * queries + 2 * keys + 3 * Double(model.feedForwardSize))
      + Double(model.vocabularyCount) * hidden
    let scores = layers * queries * 2 * Self.positionUnit
    let most = curve.points[curve.points.count - 1].rows
    let row = curve.microseconds(rows: most + 1) - curve.microseconds(rows: most)
    let single = max(curve.microseconds(rows: 1), 1e-3)
    self.init(curve, attention: min(2 * 3 * scores / max(products, 1) * row / single, 2))
  }

  /// Expected microseconds of a pass of `rows` rows after `position` tokens.
  public func microseconds(rows: Int, position: Int) -> Double {
    microseconds(rows: rows, position: position, sequences: 1)
  }

  /// The same where the rows belong to several sequences, each after `position` tokens on average.
  func microseconds(rows: Int, position: Int, sequences: Int) -> Double {
    let rows = min(max(rows, 1), base.count - 1)
    let reach = Self.reach(rows: rows, position: position, sequences: sequences)
    return max(level * base[rows] + attention * reach, 0.01) * shapes[rows] * unit
  }

  private static func reach(rows: Int, position: Int, sequences: Int) -> Double {
    Double(rows + sequences) / 2 * Double(max(position, 0)) / positionUnit
  }

  /// Learns from a pass.
  public func observe(rows: Int, position: Int, microseconds: Double) {
    observe(rows: rows, position: position, sequences: 1, microseconds: microseconds)
  }

  /// Learns from a pass of several sequences, each after `position` tokens on average.
  func observe(rows: Int, position: Int, sequences: Int, microseconds: Double) {
    guard rows > 0, rows < base.count, microseconds > 0, microseconds.isFinite else { return }
    let reach = Self.reach(rows: rows, position: position, sequences: sequences)
    let measured = microseconds / unit / shapes[rows]
    let expected = max(level * base[rows] + attention * reach, 0.01)
    // A pass cannot be much quicker than it is, but it can be interrupted.
    let surprise = min(max(measured - expected, -expected / 2), expected / 4)
    levelVariance += 4e-4
    attentionVariance += 1e-5
    let toLevel = levelVariance * base[rows] + crossVariance * reach
    let toAttention = crossVariance * base[rows] + attentionVariance * reach
    // Several rows say less of the machine's level: it may be their own cost that is off.
    let noise = (rows == 1 ? 0.01 : 0.06) * expected * expected
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
    let ratio = measured / expected / shapes[rows]
    surprises[rows] = ratio > 1.5 || ratio < 0.5 ? surprises[rows] + 1 : 0
    // Once is an interruption, three times in a row is what this size costs.
    let believed = surprises[rows] >= 3 ? ratio : min(max(ratio, 0.5), 1.5)
    let weight = surprises[rows] >= 3 ? 0.5 : 1 / Double(min(seen[rows] + 3, 24))
    shapes[rows] *= 1 + weight * (believed - 1)
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
