/// What a forward pass costs: microseconds by the number of its rows, at the beginning of a
/// sequence.
///
/// Measured at a few sizes and interpolated between them. On two cores without a vector unit for
/// int8 products a pass turns compute-bound at about three rows; with more cores to a memory
/// channel eight to sixteen are nearly free. Nothing of this is assumed: the curve says it.
public struct CostCurve: Sendable, Equatable {
  /// A measured size.
  public struct Point: Sendable, Equatable, Codable {
    /// Rows of the pass, 1 or more.
    public let rows: Int
    /// Time of the pass.
    public let microseconds: Double

    /// A measured size.
    public init(rows: Int, microseconds: Double) {
      self.rows = rows
      self.microseconds = microseconds
    }
  }

  /// Measured sizes, ascending in rows; microseconds never fall.
  public let points: [Point]

  /// A curve through `measured`, made plausible: it never falls, and never rises faster than
  /// in proportion to the rows (a pass could be cut in two). Points that are no sizes or no times
  /// are left out, of several of one size the quickest stays.
  ///
  /// - Returns: nil if no point is left.
  public init?(_ measured: some Sequence<Point>) {
    var kept: [Point] = []
    let usable = measured.filter {
      (1...1 << 20).contains($0.rows) && $0.microseconds.isFinite && $0.microseconds > 0
    }
    for point in usable.sorted(by: { ($0.rows, $0.microseconds) < ($1.rows, $1.microseconds) }) {
      guard let last = kept.last else {
        kept.append(point)
        continue
      }
      if last.rows == point.rows { continue }
      let most = last.microseconds * Double(point.rows) / Double(last.rows)
      let time = min(max(point.microseconds, last.microseconds), most)
      kept.append(Point(rows: point.rows, microseconds: time))
    }
    guard !kept.isEmpty else { return nil }
    points = kept
  }

  /// The cost model of a machine: reading the weights takes `memory` microseconds, computing
  /// `fixed + rows * perRow`, and the larger of the two counts. For simulations of other machines.
  ///
  /// - Parameter mostRows: largest size of the curve.
  public init(memory: Double, fixed: Double, perRow: Double, mostRows: Int = 65) {
    points = (1...max(mostRows, 1)).map { rows in
      Point(rows: rows, microseconds: max(memory, fixed + Double(rows) * perRow, 1e-3))
    }
  }

  /// Microseconds of a pass of `rows` rows: interpolated between the points, beyond the last one by
  /// the last slope, below the first one the first one's time.
  public func microseconds(rows: Int) -> Double {
    let after = points.firstIndex { $0.rows >= rows } ?? points.count
    if after == 0 { return points[0].microseconds }
    if after < points.count {
      return Self.line(points[after - 1], points[after], rows)
    }
    let last = points[points.count - 1]
    // One point says nothing of a slope: assume that rows save nothing.
    let before = points.count > 1 ? points[points.count - 2] : Point(rows: 0, microseconds: 0)
    return Self.line(before, last, rows)
  }

  private static func line(_ left: Point, _ right: Point, _ rows: Int) -> Double {
    let slope = (right.microseconds - left.microseconds) / Double(right.rows - left.rows)
    return right.microseconds + slope * Double(rows - right.rows)
  }
}

extension CostCurve: Codable {
  /// Reads a list of points.
  /// - Throws: `DecodingError` if there is no usable one.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let curve = CostCurve(try container.decode([Point].self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "a cost curve needs one point with rows and time")
    }
    self = curve
  }

  /// Writes the list of points.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(points)
  }
}

// MARK: - Measuring

extension CostCurve {
  /// Time that measuring may take, in microseconds. Two sizes are measured whatever they take.
  public static let measuringTime = 250_000.0

  /// Sizes in the order of their use for planning.
  private static let sizes = [1, 4, 2, 8, 3, 16, 6, 12, 32, 24, 48, 64]

  /// Whether a curve that was measured earlier fits what passes take now: the level roughly, since it
  /// is followed while decoding, the price of four rows closely. A curve that was measured while
  /// another process had the cores does not.
  ///
  /// - Parameter pass: runs a pass of so many rows and returns its microseconds.
  public func fits(pass: (Int) throws -> Double) rethrows -> Bool {
    func quickest(_ rows: Int) throws -> Double { min(try pass(rows), try pass(rows)) }
    let single = try quickest(1)
    guard (0.6...1.7).contains(single / microseconds(rows: 1)) else { return false }
    // Where passes are long, looking closer would cost as much as it could save.
    if single > Self.measuringTime / 16 { return true }
    let ratio = try quickest(4) / single / (microseconds(rows: 4) / microseconds(rows: 1))
    return (0.8...1.25).contains(ratio)
  }

  /// Measures passes of growing size until the time is used up.
  ///
  /// Of several passes of a size the quickest counts: what a neighbour on the machine adds only
  /// ever adds.
  ///
  /// - Parameters:
  ///   - mostRows: largest size of interest.
  ///   - time: microseconds that measuring may take.
  ///   - pass: runs a pass of so many rows and returns its microseconds.
  /// - Throws: what `pass` throws.
  public static func measure(
    mostRows: Int = 64, time: Double = measuringTime, pass: (Int) throws -> Double
  ) rethrows -> CostCurve {
    var spent = 0.0
    var found: [Point] = []
    for rows in sizes where rows <= max(mostRows, 4) {
      let expected = CostCurve(found)?.microseconds(rows: rows) ?? 0
      if found.count >= 2, spent + expected > time { continue }
      var best = Double.infinity
      // The first pass of all touches the weights, the first of a size grows the buffers.
      for repetition in 0..<(rows <= 4 ? 4 : 2) {
        if repetition > 0, spent + best > time { break }
        if repetition > 1, best > time / 16 { break }
        let took = max(try pass(rows), 1e-3)
        spent += took
        best = min(best, took)
      }
      found.append(Point(rows: rows, microseconds: best))
    }
    return CostCurve(found) ?? CostCurve(memory: 1, fixed: 0, perRow: 1)
  }
}
