import Foundation

/// Lines over an axis of batch sizes, each named at its right end.
struct LineChart {
  /// One line.
  struct Series {
    let name: String
    let color: Int
    var dashes = ""
    let points: [(x: Double, y: Double)]
  }

  let title: String
  let subtitle: String
  let xTitle: String
  /// Positions marked on the horizontal axis.
  let xTicks: [Double]
  /// Whether the horizontal axis is logarithmic.
  var isLogarithmicAcross = true
  /// Whether the vertical axis is logarithmic.
  var isLogarithmic = false
  let series: [Series]
  /// Thin lines to compare with, such as a limit.
  var references: [Series] = []

  private static let left = 46.0
  private static let right = 92.0
  private static let top = 52.0
  private static let bottom = 40.0
  private static let labelHeight = 13.0

  /// Draws into a rectangle of `document`.
  func draw(
    in document: inout SVGDocument, x: Double, y: Double, width: Double, height: Double
  ) {
    let frame = Frame(
      x: (x + Self.left, x + width - Self.right), y: (y + Self.top, y + height - Self.bottom))
    let all = series.flatMap(\.points)
    let scale = (across: isLogarithmicAcross, up: isLogarithmic)
    guard let domain = Domain(all, xTicks: xTicks, isLogarithmic: scale) else { return }
    document.text(title, x: x + 12, y: y + 22, weight: .heading)
    document.text(subtitle, x: x + 12, y: y + 40, weight: .dim)
    drawAxes(in: &document, frame, domain)
    for line in references {
      let points = line.points.filter { domain.y.contains($0.y) }
      guard points.count > 1 else { continue }
      document.line(
        points.map { domain.place($0, frame) }, color: nil, dashes: "3 3", isHint: true)
      let middle = domain.place(points[points.count / 2], frame)
      document.text(line.name, x: middle.x - 8, y: middle.y - 4, anchor: .end, weight: .dim)
    }
    for line in series {
      document.line(
        line.points.map { domain.place($0, frame) }, color: line.color, dashes: line.dashes)
    }
    drawNames(in: &document, frame, domain)
  }

  private func drawAxes(in document: inout SVGDocument, _ frame: Frame, _ domain: Domain) {
    for tick in domain.yTicks {
      let at = domain.place((domain.x.lowerBound, tick), frame).y
      document.rule(from: (frame.x.0, at), to: (frame.x.1, at))
      document.text(
        compact(tick), x: frame.x.0 - 6, y: at + 4, anchor: .end, weight: .dim)
    }
    var free = -Double.infinity
    for tick in xTicks {
      let at = domain.place((tick, domain.y.lowerBound), frame).x
      document.rule(from: (at, frame.y.1), to: (at, frame.y.1 + 4))
      guard at - free > 18 else { continue }
      free = at
      document.text(compact(tick), x: at, y: frame.y.1 + 17, anchor: .middle, weight: .dim)
    }
    document.text(
      xTitle, x: (frame.x.0 + frame.x.1) / 2, y: frame.y.1 + 33, anchor: .middle, weight: .dim)
  }

  /// Names beside the lines' ends, pushed apart where they would overlap.
  private func drawNames(in document: inout SVGDocument, _ frame: Frame, _ domain: Domain) {
    let ends = series.compactMap { line in
      line.points.last.map { (line: line, end: domain.place($0, frame)) }
    }.sorted { $0.end.y < $1.end.y }
    var heights = ends.map(\.end.y)
    for index in heights.indices.dropFirst() {
      heights[index] = max(heights[index], heights[index - 1] + Self.labelHeight)
    }
    // Back up from the bottom, should the last ones have been pushed out.
    var limit = frame.y.1 + 4
    for index in heights.indices.reversed() {
      heights[index] = min(heights[index], limit)
      limit = heights[index] - Self.labelHeight
    }
    for (entry, height) in zip(ends, heights) {
      document.line(
        [entry.end, (entry.end.x + 10, height)], color: nil, dashes: "", isHint: true)
      document.text(
        entry.line.name, x: entry.end.x + 13, y: height + 4, color: entry.line.color)
    }
  }

  /// Where the plot lies on the drawing.
  private struct Frame {
    let x: (Double, Double)
    let y: (Double, Double)
  }

  /// What the plot shows.
  private struct Domain {
    let x: ClosedRange<Double>
    let y: ClosedRange<Double>
    let yTicks: [Double]
    let isLogarithmic: (across: Bool, up: Bool)

    init?(
      _ points: [(x: Double, y: Double)], xTicks: [Double],
      isLogarithmic: (across: Bool, up: Bool)
    ) {
      self.isLogarithmic = isLogarithmic
      let xs = points.map(\.x) + xTicks
      guard let first = xs.min(), let last = xs.max(), first > 0, last > first,
        let low = points.map(\.y).min(), let high = points.map(\.y).max(), high > 0
      else { return nil }
      x = first...last
      if isLogarithmic.up, low > 0 {
        let ticks = Self.logarithmicTicks(low, high)
        yTicks = ticks
        y = min(ticks.first ?? low, low)...max(ticks.last ?? high, high)
      } else {
        let step = Self.step(high)
        yTicks = Array(stride(from: 0, through: (high / step).rounded(.up) * step, by: step))
        y = 0...(yTicks.last ?? high)
      }
      guard y.upperBound > y.lowerBound else { return nil }
    }

    func place(_ point: (x: Double, y: Double), _ frame: Frame) -> (x: Double, y: Double) {
      let across = Self.share(point.x, of: x, isLogarithmic: isLogarithmic.across)
      let up = Self.share(point.y, of: y, isLogarithmic: isLogarithmic.up)
      return (
        frame.x.0 + across * (frame.x.1 - frame.x.0), frame.y.1 - up * (frame.y.1 - frame.y.0)
      )
    }

    private static func share(
      _ value: Double, of range: ClosedRange<Double>, isLogarithmic: Bool
    ) -> Double {
      isLogarithmic && range.lowerBound > 0
        ? log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
        : (value - range.lowerBound) / (range.upperBound - range.lowerBound)
    }

    /// 1, 2, 5, 10, … around the values.
    private static func logarithmicTicks(_ low: Double, _ high: Double) -> [Double] {
      var ticks: [Double] = []
      var decade = pow(10, log10(low).rounded(.down))
      while decade <= high * 10 {
        ticks += [1, 2, 5].map { $0 * decade }
        decade *= 10
      }
      let first = ticks.lastIndex { $0 <= low * 1.001 } ?? 0
      let last = ticks.firstIndex { $0 >= high * 0.999 } ?? ticks.count - 1
      return Array(ticks[first...max(first, last)])
    }

    /// A round step that makes about five ticks.
    private static func step(_ high: Double) -> Double {
      let rough = high / 5
      let decade = pow(10, log10(rough).rounded(.down))
      return ([1, 2, 5, 10].map { $0 * decade }.first { $0 >= rough } ?? rough)
    }
  }
}

/// A number for an axis: no digits after the point that say nothing.
func compact(_ value: Double) -> String {
  if value >= 100 || value == value.rounded() { return String(format: "%.0f", value) }
  return String(format: value >= 10 ? "%.1f" : "%.2g", value)
}
