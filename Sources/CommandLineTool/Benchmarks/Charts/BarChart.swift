/// Horizontal bars of stacked parts, with a legend.
struct BarChart {
  /// One bar.
  struct Bar {
    let name: String
    /// One value for each of the chart's parts.
    let values: [Double]
  }

  let title: String
  let subtitle: String
  /// Names of the parts; a part has the colour of its place.
  let parts: [String]
  let bars: [Bar]
  /// What stands behind a total, such as `ms`.
  let unit: String

  private static let left = 112.0
  private static let right = 84.0
  private static let barHeight = 20.0
  private static let gap = 9.0
  private static let top = 78.0

  /// Height that the chart needs.
  static func height(bars: Int) -> Double { top + Double(bars) * (barHeight + gap) + 12 }

  /// Draws into a rectangle of `document`, of the height that `height(bars:)` says.
  func draw(in document: inout SVGDocument, x: Double, y: Double, width: Double) {
    document.text(title, x: x + 12, y: y + 22, weight: .heading)
    document.text(subtitle, x: x + 12, y: y + 40, weight: .dim)
    drawLegend(in: &document, x: x + 12, y: y + 58)
    let longest = bars.map { $0.values.reduce(0, +) }.max() ?? 0
    guard longest > 0 else { return }
    let scale = (width - Self.left - Self.right) / longest
    for (index, bar) in bars.enumerated() {
      let top = y + Self.top + Double(index) * (Self.barHeight + Self.gap)
      document.text(bar.name, x: x + Self.left - 8, y: top + 14, anchor: .end)
      var at = x + Self.left
      for (part, value) in bar.values.enumerated() where value > 0 {
        document.rectangle(
          x: at, y: top, width: value * scale, height: Self.barHeight,
          color: part % SVGDocument.colors, hint: "\(parts[part]): \(compact(value)) \(unit)")
        at += value * scale
      }
      document.text(
        "\(compact(bar.values.reduce(0, +))) \(unit)", x: at + 6, y: top + 14, weight: .dim)
    }
  }

  private func drawLegend(in document: inout SVGDocument, x: Double, y: Double) {
    var at = x
    for (index, part) in parts.enumerated() {
      document.rectangle(
        x: at, y: y - 9, width: 10, height: 10, color: index % SVGDocument.colors)
      document.text(part, x: at + 14, y: y, weight: .dim)
      at += 14 + Double(part.count) * 6.6 + 14
    }
  }
}
