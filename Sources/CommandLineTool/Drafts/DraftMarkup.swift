import Foretoken

/// Shows who drafted which text: in the drafter's colour, or between its brackets where there is no
/// colour. The text between is the text itself, byte for byte.
struct DraftMarkup: Sendable {
  private static let palette: [(style: Style, name: String)] = [
    (.green, "green"), (.cyan, "cyan"), (.magenta, "magenta"), (.yellow, "yellow"),
    (.blue, "blue"),
  ]
  private static let brackets: [(open: String, close: String)] = [
    ("[", "]"), ("{", "}"), ("<", ">"), ("(", ")"), ("|", "|"),
  ]

  private let stream: TextStream
  private var drafted = DraftedText()
  private var open: Int?

  /// - Parameter stream: what the text is shown on.
  init(_ stream: TextStream) { self.stream = stream }

  /// Takes a step: it comes before the text of its tokens.
  mutating func append(_ step: StepTrace) { drafted.append(step) }

  /// Takes a piece and returns its text, marked.
  mutating func append(_ piece: TextPiece, tokenizer: Tokenizer) -> String {
    drafted.append(piece, tokenizer: tokenizer).reduce("") { $0 + marked($1) }
  }

  /// What closes the last bracket at the end of the text.
  mutating func finish() -> String {
    defer { open = nil }
    return open.map { Self.bracket($0).close } ?? ""
  }

  private mutating func marked(_ run: DraftedRun) -> String {
    if stream.usesColor {
      return run.drafter.map { stream.styled(run.text, Self.style($0)) } ?? run.text
    }
    guard run.drafter != open else { return run.text }
    let closing = finish()
    open = run.drafter
    return closing + (run.drafter.map { Self.bracket($0).open } ?? "") + run.text
  }

  /// What the marks mean, and how many tokens each drafter brought in.
  var legend: [String] {
    guard !drafted.drafters.isEmpty else { return ["no drafted token was accepted"] }
    return drafted.drafters.enumerated().map { index, name in
      let count = drafted.acceptedCounts[index]
      let mark =
        stream.usesColor
        ? Self.palette[index % Self.palette.count].name
        : Self.bracket(index).open + "…" + Self.bracket(index).close
      return "\(mark) was drafted by \(name): \(count) \(count == 1 ? "token" : "tokens")"
    }
  }

  /// The colour of a drafter.
  static func style(_ drafter: Int) -> Style { palette[drafter % palette.count].style }

  /// What stands around a drafter's text where there is no colour.
  static func bracket(_ drafter: Int) -> (open: String, close: String) {
    brackets[drafter % brackets.count]
  }
}
