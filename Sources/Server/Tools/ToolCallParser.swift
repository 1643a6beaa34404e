/// Splits a text that comes in pieces into what is said and what is called.
///
/// What could be the beginning of a call is held back until it is known. A call that cannot be read
/// stays in the text as it is.
struct ToolCallParser {
  /// What became known.
  enum Part: Equatable {
    case text(String)
    case call(ToolCallFormat.Call)
  }

  private var held = ""
  private var isInside = false
  /// The whitespace before a call is no part of the text, nor is what stands alone after one.
  private var space = ""
  private var hasCalls = false

  /// Takes a piece of the text.
  mutating func append(_ piece: String) -> [Part] {
    held += piece
    var parts: [Part] = []
    while true {
      if isInside {
        guard let end = held.firstRange(of: ToolCallFormat.closing) else { return parts }
        close(String(held[..<end.lowerBound]), into: &parts)
        held = String(held[end.upperBound...])
      } else if let begin = held.firstRange(of: ToolCallFormat.opening) {
        say(String(held[..<begin.lowerBound]), isLast: false, into: &parts)
        held = String(held[begin.upperBound...])
        isInside = true
      } else {
        let kept = Self.overlap(held)
        say(String(held.dropLast(kept)), isLast: false, into: &parts)
        held = String(held.suffix(kept))
        return parts
      }
    }
  }

  /// What is still held back at the end of the text.
  mutating func finish() -> [Part] {
    var parts: [Part] = []
    if isInside {
      // Generation may have ended before the closing mark.
      close(held, into: &parts, isUnclosed: true)
    } else {
      say(held, isLast: true, into: &parts)
    }
    held = ""
    return parts
  }

  private mutating func close(
    _ body: String, into parts: inout [Part], isUnclosed: Bool = false
  ) {
    isInside = false
    if let call = ToolCallFormat.call(in: body) {
      space = ""
      hasCalls = true
      parts.append(.call(call))
    } else {
      let end = isUnclosed ? "" : ToolCallFormat.closing
      say(ToolCallFormat.opening + body + end, isLast: isUnclosed, into: &parts)
    }
  }

  private mutating func say(_ text: String, isLast: Bool, into parts: inout [Part]) {
    let whole = space + text
    space = isLast ? "" : String(whole.reversed().prefix { $0.isWhitespace }.reversed())
    let said = String(whole.dropLast(space.count))
    let isBlank = hasCalls && said.allSatisfy(\.isWhitespace)
    if !said.isEmpty, !isBlank { parts.append(.text(said)) }
  }

  /// Characters at the end of `text` that could begin the opening mark.
  private static func overlap(_ text: String) -> Int {
    let mark = ToolCallFormat.opening
    for count in stride(from: min(mark.count - 1, text.count), to: 0, by: -1)
    where text.hasSuffix(mark.prefix(count)) { return count }
    return 0
  }
}
