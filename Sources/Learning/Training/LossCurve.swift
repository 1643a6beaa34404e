import Foundation

/// The loss of a training over its steps, as a picture.
public enum LossCurve {
  /// An SVG document: every step's loss as a thin line, its running mean as a thick one.
  public static func svg(_ losses: [Double], title: String) -> String {
    let (width, height, left, top) = (640.0, 320.0, 56.0, 40.0)
    let finite = losses.filter(\.isFinite)
    guard let least = finite.min(), let most = finite.max() else {
      return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"320\"/>\n"
    }
    let span = max(most - least, 1e-9)
    func path(_ values: [Double]) -> String {
      values.enumerated().map { index, value in
        let x = left + Double(index) / Double(max(values.count - 1, 1)) * (width - left - 16)
        let y = top + (most - value) / span * (height - top - 36)
        return String(format: "%.1f,%.1f", x, y)
      }.joined(separator: " ")
    }
    var mean = losses.first ?? 0
    let smooth = losses.map { loss -> Double in
      mean += (loss - mean) * 0.05
      return mean
    }
    let escaped = title.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    let labels = [(most, top), (least, height - 36)].map { value, y in
      "<text x=\"8\" y=\"\(y + 4)\" font-size=\"12\" fill=\"#666\">\(String(format: "%.3f", value))</text>"
    }
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="640" height="320" font-family="sans-serif">
      <rect width="640" height="320" fill="#fff"/>
      <text x="16" y="24" font-size="15">\(escaped)</text>
      \(labels.joined(separator: "\n"))
      <text x="624" y="308" font-size="12" fill="#666" text-anchor="end">\(losses.count) steps</text>
      <polyline points="\(path(losses))" fill="none" stroke="#9bc" stroke-width="1"/>
      <polyline points="\(path(smooth))" fill="none" stroke="#246" stroke-width="2"/>
      </svg>

      """
  }
}
