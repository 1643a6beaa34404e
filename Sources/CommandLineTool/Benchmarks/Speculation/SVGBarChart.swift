import Foundation

/// Horizontal bars in groups, as an SVG element whose colours come from the page's style sheet.
struct SVGBarChart {
  /// One bar.
  struct Bar {
    /// Index of the series: its colour.
    let series: Int
    let value: Double
    /// Where a mark stands, such as a bound; nil for none.
    let mark: Double?
    /// Shown beside the pointer.
    let hint: String
  }

  let title: String
  /// Groups of bars, each with a label.
  let groups: [(label: String, bars: [Bar])]
  /// A value with a line of its own and a name for it.
  let reference: (value: Double, name: String)?

  private static let width = 860.0
  private static let left = 150.0
  private static let right = 60.0
  private static let barHeight = 13.0
  private static let gap = 12.0
  private static let top = 26.0

  /// The element.
  var svg: String {
    let height =
      Self.top + 22
      + groups.reduce(0) { $0 + Double($1.bars.count) * Self.barHeight + Self.gap }
    var parts = [
      "<svg viewBox=\"0 0 \(Self.text(Self.width)) \(Self.text(height))\" role=\"img\" "
        + "aria-label=\"\(Self.escaped(title))\">"
    ]
    parts += grid(height)
    var y = Self.top
    for (label, bars) in groups {
      let middle = y + Double(bars.count) * Self.barHeight / 2 + 4
      parts.append(
        "<text x=\"\(Self.text(Self.left - 10))\" y=\"\(Self.text(middle))\" class=\"label\">"
          + "\(Self.escaped(label))</text>")
      for bar in bars {
        parts += element(bar, y)
        y += Self.barHeight
      }
      y += Self.gap
    }
    if let reference {
      let x = self.x(reference.value)
      parts.append(line(x, Self.top - 6, x, height - 20, "reference"))
      parts.append(
        "<text x=\"\(Self.text(x))\" y=\"\(Self.text(Self.top - 11))\" class=\"tick\">"
          + "\(Self.escaped(reference.name))</text>")
    }
    return (parts + ["</svg>"]).joined(separator: "\n")
  }

  private func element(_ bar: Bar, _ y: Double) -> [String] {
    let end = x(bar.value)
    let bottom = y + Self.barHeight - 2
    var parts = [
      "<rect x=\"\(Self.text(Self.left))\" y=\"\(Self.text(y))\" "
        + "width=\"\(Self.text(max(end - Self.left, 0.5)))\" "
        + "height=\"\(Self.text(Self.barHeight - 2))\" class=\"s\(bar.series % 8)\">"
        + "<title>\(Self.escaped(bar.hint))</title></rect>"
    ]
    var textX = end
    if let mark = bar.mark {
      parts.append(line(x(mark), y - 1, x(mark), bottom + 1, "mark"))
      // Right of a mark that would strike it out, else at the end of its bar.
      if x(mark) > end, x(mark) < end + 36 { textX = x(mark) }
    }
    parts.append(
      "<text x=\"\(Self.text(textX + 5))\" y=\"\(Self.text(bottom - 1.5))\" class=\"value\">"
        + "\(readableRatio(bar.value))</text>")
    return parts
  }

  /// Lines at round values, with the values below them.
  private func grid(_ height: Double) -> [String] {
    var parts: [String] = []
    var value = 0.0
    while value <= largest {
      let x = self.x(value)
      parts.append(line(x, Self.top - 6, x, height - 20, "grid"))
      parts.append(
        "<text x=\"\(Self.text(x))\" y=\"\(Self.text(height - 6))\" class=\"tick\">"
          + "\(readable(value))</text>")
      value += step
    }
    return parts
  }

  private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ name: String)
    -> String
  {
    "<line x1=\"\(Self.text(x1))\" y1=\"\(Self.text(y1))\" x2=\"\(Self.text(x2))\" "
      + "y2=\"\(Self.text(y2))\" class=\"\(name)\"/>"
  }

  private var largest: Double { (mostValue / step).rounded(.up) * step }

  /// Distance of the grid's lines: at most ten of them.
  private var step: Double {
    [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100].first { mostValue / $0 <= 9 } ?? mostValue
  }

  private var mostValue: Double {
    let values = groups.flatMap { $0.bars.map { max($0.value, $0.mark ?? 0) } }
    return max(values.max() ?? 1, reference?.value ?? 0, 0.5)
  }

  private func x(_ value: Double) -> Double {
    Self.left + min(value / largest, 1) * (Self.width - Self.left - Self.right)
  }

  private static func text(_ value: Double) -> String {
    let tenths = (value * 10).rounded() / 10
    return tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)"
  }

  /// Text for HTML and SVG, attributes included.
  static func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }
}
