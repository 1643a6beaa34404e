extension Character {
  /// Columns that the character takes on a terminal: 0, 1 or 2 (East Asian wide, emoji).
  var displayWidth: Int {
    guard let scalar = unicodeScalars.first else { return 0 }
    switch scalar.properties.generalCategory {
    case .control, .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    if scalar.properties.isEmojiPresentation || unicodeScalars.contains("\u{FE0F}") { return 2 }
    return Self.wide.contains { $0.contains(scalar.value) } ? 2 : 1
  }

  /// Blocks that Unicode's East Asian Width property calls wide or full-width (UAX #11).
  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
    0xA000...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
    0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD,
  ]
}

extension StringProtocol {
  /// Columns that the text takes on a terminal, without line breaks and escape sequences.
  var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

  /// The text filled up with spaces to `width` columns.
  func padded(to width: Int, alignment: Table.Alignment = .left) -> String {
    let space = String(repeating: " ", count: Swift.max(0, width - displayWidth))
    return alignment == .left ? self + space : space + self
  }

  /// At most `width` columns of the text, with an ellipsis where something was cut off.
  func truncated(to width: Int) -> String {
    guard displayWidth > width else { return String(self) }
    var result = ""
    var columns = 0
    for character in self {
      guard columns + character.displayWidth < width else { break }
      result.append(character)
      columns += character.displayWidth
    }
    return result + "…"
  }

  /// The text in lines of at most `width` columns, broken between words. Longer words stay whole.
  func wrapped(to width: Int) -> [String] {
    var lines = [""]
    var columns = 0
    for word in split(separator: " ") {
      let needed = word.displayWidth
      if columns > 0, columns + 1 + needed > width {
        lines.append(String(word))
        columns = needed
      } else {
        lines[lines.count - 1] += (columns > 0 ? " " : "") + word
        columns += (columns > 0 ? 1 : 0) + needed
      }
    }
    return lines
  }

  /// The text on one line: control characters as escapes, so that hostile names cannot move the
  /// cursor.
  var visible: String {
    var result = ""
    for scalar in unicodeScalars {
      switch scalar {
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.properties.generalCategory == .control || scalar == "\u{2028}":
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
