/// Rows in aligned columns. On a terminal the last column is wrapped into what space is left; in a
/// pipe nothing is cut or wrapped, so that every row stays one line.
struct Table {
  enum Alignment { case left, right }

  struct Column {
    let title: String
    let alignment: Alignment
    let style: Style?

    init(_ title: String, _ alignment: Alignment = .left, style: Style? = nil) {
      self.title = title
      self.alignment = alignment
      self.style = style
    }
  }

  private let columns: [Column]
  private var rows: [[String]] = []
  private static let gap = "  "
  /// Narrowest wrapped column; on terminals narrower than that, lines run over.
  private static let narrowest = 24

  init(_ columns: Column...) { self.columns = columns }

  /// Adds a row: one cell for each column.
  mutating func append(_ cells: String...) { append(cells) }

  mutating func append(_ cells: [String]) { rows.append(cells.map(\.visible)) }

  var isEmpty: Bool { rows.isEmpty }

  /// The table as lines for `stream`, the titles first.
  func lines(for stream: TextStream) -> [String] {
    var widths = columns.indices.map { index in
      ([columns[index].title] + rows.map { $0[index] }).map(\.displayWidth).max() ?? 0
    }
    if let total = stream.width, let last = widths.indices.last {
      let fixed = widths.dropLast().reduce(0) { $0 + $1 + Self.gap.count }
      widths[last] = min(widths[last], max(Self.narrowest, total - fixed))
    }
    let title = line(columns.map(\.title), widths, stream, isTitle: true)
    return title + rows.flatMap { line($0, widths, stream, isTitle: false) }
  }

  /// One row, which takes several lines if its last cell is wrapped.
  private func line(
    _ cells: [String], _ widths: [Int], _ stream: TextStream, isTitle: Bool
  ) -> [String] {
    guard let last = cells.last, let lastWidth = widths.last else { return [] }
    let wrapped = stream.isTerminal ? last.wrapped(to: lastWidth) : [last]
    return wrapped.enumerated().map { lineIndex, text in
      let shown = (lineIndex == 0 ? cells.dropLast() : cells.dropLast().map { _ in "" }) + [text]
      let parts = zip(shown, zip(columns, widths)).enumerated().map { index, part in
        let (cell, (column, width)) = part
        let isLast = index == columns.count - 1
        let padded =
          isLast && column.alignment == .left
          ? cell : cell.padded(to: width, alignment: column.alignment)
        if isTitle { return stream.styled(padded, .bold) }
        return column.style.map { stream.styled(padded, $0) } ?? padded
      }
      return trimmed(parts.joined(separator: Self.gap))
    }
  }

  private func trimmed(_ line: String) -> String {
    var line = line
    while line.last == " " { line.removeLast() }
    return line
  }
}

/// Names and values, one pair a line, values aligned and wrapped below themselves.
struct Listing {
  private var pairs: [(name: String, value: String)] = []

  /// Adds a pair; nil and empty values are left out.
  mutating func append(_ name: String, _ value: String?) {
    if let value, !value.isEmpty { pairs.append((name, value.visible)) }
  }

  func lines(for stream: TextStream) -> [String] {
    let margin = (pairs.map(\.name.displayWidth).max() ?? 0) + 2
    let width = stream.width.map { max(24, $0 - margin) } ?? .max
    return pairs.flatMap { pair in
      pair.value.wrapped(to: width).enumerated().map { index, text in
        let name = (index == 0 ? pair.name : "").padded(to: margin)
        return stream.styled(name, .dim) + text
      }
    }
  }
}
