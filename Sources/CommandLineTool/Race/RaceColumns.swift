/// Two texts under their titles: beside each other if the terminal is wide enough, else one below
/// the other.
struct RaceColumns {
  /// Narrowest terminal with two columns.
  static let narrowest = 72
  /// Columns where there is no terminal.
  static let defaultWidth = 100
  private static let separator = " │ "

  private let texts: [(title: String, runs: [DraftedRun])]
  private let stream: TextStream
  private let width: Int

  /// - Parameter texts: two, in runs of one origin.
  init(_ texts: [(title: String, runs: [DraftedRun])], for stream: TextStream) {
    self.texts = texts
    self.stream = stream
    width = stream.width ?? Self.defaultWidth
  }

  /// The lines of both.
  /// - Parameter height: most lines of a text; of a longer one the last are shown. nil for all.
  func lines(height: Int? = nil) -> [String] {
    guard width >= Self.narrowest else { return stacked(height.map { max(1, $0 / 2) }) }
    let half = (width - Self.separator.count) / 2
    let columns = texts.map { wrapped($0.runs, width: half, height: height) }
    let count = columns.map(\.count).max() ?? 0
    return [titles(half)] + (0..<count).map { row in beside(columns, row: row, half) }
  }

  private func wrapped(_ runs: [DraftedRun], width: Int, height: Int?) -> [StyledText.Line] {
    let lines = StyledText(runs, for: stream).lines(width: width)
    return height.map { Array(lines.suffix($0)) } ?? lines
  }

  private func stacked(_ height: Int?) -> [String] {
    texts.flatMap { title, runs in
      [stream.styled("── \(title) " + rule(width - title.displayWidth - 4), .bold)]
        + wrapped(runs, width: width, height: height).map {
          StyledText.text($0, width: 0, for: stream)
        }
    }
  }

  private func titles(_ half: Int) -> String {
    texts.map { title, _ in
      stream.styled("── \(title) " + rule(half - title.displayWidth - 4), .bold)
    }.joined(separator: "─┬─")
  }

  private func beside(_ columns: [[StyledText.Line]], row: Int, _ half: Int) -> String {
    let cells = columns.enumerated().map { index, lines in
      // Nothing follows the last column.
      StyledText.text(
        row < lines.count ? lines[row] : [], width: index == columns.count - 1 ? 0 : half,
        for: stream)
    }
    let text = cells.joined(separator: Self.separator)
    return String(text.reversed().drop { $0 == " " }.reversed())
  }

  private func rule(_ count: Int) -> String { String(repeating: "─", count: max(0, count)) }
}
