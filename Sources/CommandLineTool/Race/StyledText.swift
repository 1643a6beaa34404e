import Foretoken

/// Characters with a style each, wrapped into lines for a column of a terminal.
struct StyledText {
  /// One line.
  typealias Line = [(character: Character, style: Style?)]

  private var characters: Line = []

  /// The text of `runs`, drafted ones in their drafter's colour, or between brackets if `stream`
  /// has no colour.
  init(_ runs: [DraftedRun], for stream: TextStream) {
    for run in runs {
      let bracket = stream.usesColor ? nil : run.drafter.map(DraftMarkup.bracket)
      let style = stream.usesColor ? run.drafter.map(DraftMarkup.style) : nil
      append((bracket?.open ?? "") + run.text + (bracket?.close ?? ""), style)
    }
  }

  private mutating func append(_ text: String, _ style: Style?) {
    for character in text {
      switch character {
      case "\t": for _ in 0..<4 { characters.append((" ", style)) }
      case _ where character.isNewline: characters.append(("\n", style))
      default:
        // Control characters would move the cursor.
        for shown in String(character).visible { characters.append((shown, style)) }
      }
    }
  }

  /// The text in lines of at most `width` columns, broken between words where that is possible;
  /// lines of the text stay lines.
  func lines(width: Int) -> [Line] {
    let width = max(width, 2)
    var lines: [Line] = []
    var line: Line = []
    var columns = 0
    var space: Int?
    for cell in characters {
      if cell.character == "\n" {
        lines.append(line)
        (line, columns, space) = ([], 0, nil)
        continue
      }
      let needed = cell.character.displayWidth
      if columns + needed > width {
        if cell.character == " " {
          // The space at the end of a full line is the break itself.
          lines.append(line)
          (line, columns, space) = ([], 0, nil)
          continue
        }
        let rest = space.map { Array(line[($0 + 1)...]) } ?? []
        lines.append(space.map { Array(line[..<$0]) } ?? line)
        line = rest
        columns = rest.reduce(0) { $0 + $1.character.displayWidth }
        space = nil
      }
      if cell.character == " " { space = line.count }
      line.append(cell)
      columns += needed
    }
    lines.append(line)
    return lines
  }

  /// A line as text for `stream`, filled up to `width` columns.
  static func text(_ line: Line, width: Int, for stream: TextStream) -> String {
    var result = ""
    var run = ""
    var style: Style?
    func close() -> String { style.map { stream.styled(run, $0) } ?? run }
    for cell in line {
      if cell.style != style {
        result += close()
        (run, style) = ("", cell.style)
      }
      run.append(cell.character)
    }
    result += close()
    let columns = line.reduce(0) { $0 + $1.character.displayWidth }
    return result + String(repeating: " ", count: max(0, width - columns))
  }
}
