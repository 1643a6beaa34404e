/// A drawing as text: SVG with its own background and with colours for light and for dark screens,
/// that needs nothing from outside.
struct SVGDocument {
  /// Distinct in both schemes, and for most kinds of colour blindness.
  private static let palette: [(light: String, dark: String)] = [
    ("#0969da", "#58a6ff"), ("#bc4c00", "#ffa657"), ("#1a7f37", "#56d364"),
    ("#8250df", "#d2a8ff"), ("#cf222e", "#ff7b72"), ("#6e7781", "#a0a8b1"),
  ]
  /// Number of colours there are.
  static var colors: Int { palette.count }

  let width: Double
  let height: Double
  private var elements: [String] = []

  init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  /// Where a text is anchored.
  enum Anchor: String { case start, middle, end }
  /// What a text is: a heading, ordinary, or secondary.
  enum Weight: String { case heading = "h", plain = "t", dim = "d" }

  mutating func text(
    _ text: String, x: Double, y: Double, anchor: Anchor = .start, weight: Weight = .plain,
    color: Int? = nil, rotated: Bool = false
  ) {
    let turn = rotated ? " transform=\"rotate(-90 \(short(x)) \(short(y)))\"" : ""
    let style = color.map { "\(weight.rawValue) f\($0)" } ?? weight.rawValue
    elements.append(
      "<text x=\"\(short(x))\" y=\"\(short(y))\" text-anchor=\"\(anchor.rawValue)\" "
        + "class=\"\(style)\"\(turn)>\(Self.escaped(text))</text>")
  }

  /// A line of the frame or the grid.
  mutating func rule(from: (x: Double, y: Double), to: (x: Double, y: Double)) {
    elements.append(
      "<path d=\"M\(short(from.x)) \(short(from.y))L\(short(to.x)) \(short(to.y))\" class=\"g\"/>")
  }

  /// A line through points; `dashes` as in SVG, none if empty; a thin one without dots if `isHint`.
  mutating func line(
    _ points: [(x: Double, y: Double)], color: Int?, dashes: String = "", isHint: Bool = false
  ) {
    let path = points.enumerated().map { index, point in
      (index == 0 ? "M" : "L") + "\(short(point.x)) \(short(point.y))"
    }.joined()
    let dash = dashes.isEmpty ? "" : " stroke-dasharray=\"\(dashes)\""
    let style = color.map { "s\($0)" } ?? "hint"
    elements.append("<path d=\"\(path)\" class=\"\(style)\"\(dash)/>")
    guard !isHint, let color else { return }
    for point in points {
      elements.append(
        "<circle cx=\"\(short(point.x))\" cy=\"\(short(point.y))\" r=\"2.2\" class=\"f\(color)\"/>")
    }
  }

  /// A filled rectangle; `hint` is shown when a pointer rests on it.
  mutating func rectangle(
    x: Double, y: Double, width: Double, height: Double, color: Int, hint: String = ""
  ) {
    let title = hint.isEmpty ? "/>" : "><title>\(Self.escaped(hint))</title></rect>"
    elements.append(
      "<rect x=\"\(short(x))\" y=\"\(short(y))\" width=\"\(short(width))\" "
        + "height=\"\(short(height))\" class=\"f\(color)\"\(title)")
  }

  /// The whole file.
  var serialized: String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(short(width)) \(short(height))" \
    width="\(short(width))" height="\(short(height))" \
    font-family="system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif" font-size="12">
    <style>
    \(Self.style)
    </style>
    <rect width="100%" height="100%" rx="6" class="b"/>
    \(elements.joined(separator: "\n"))
    </svg>

    """
  }

  private static var style: String {
    let light = rules("#ffffff", "#1f2328", "#59636e", "#d8dee4", palette.map(\.light))
    let dark = rules("#0d1117", "#e6edf3", "#9198a1", "#30363d", palette.map(\.dark))
    return light + "\n.h{font-weight:600;font-size:14px}\n@media(prefers-color-scheme:dark){\n"
      + dark + "\n}"
  }

  private static func rules(
    _ background: String, _ text: String, _ dim: String, _ grid: String, _ colors: [String]
  ) -> String {
    let base =
      ".b{fill:\(background)}.h,.t{fill:\(text)}.d{fill:\(dim)}"
      + ".g{stroke:\(grid);fill:none}.hint{stroke:\(dim);fill:none;stroke-width:1}"
    return colors.enumerated().reduce(base) { css, color in
      css + ".s\(color.offset){stroke:\(color.element);fill:none;stroke-width:1.8}"
        + ".f\(color.offset){fill:\(color.element)}"
    }
  }

  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
  }
}

/// A coordinate without needless digits.
private func short(_ value: Double) -> String {
  let rounded = (value * 10).rounded() / 10
  return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
}
