import Foretoken

/// A finished race as lines: both texts, beside each other if the terminal is wide enough, then the
/// figures.
struct RaceView {
  private let result: RaceResult
  private let stream: TextStream

  init(_ result: RaceResult, for stream: TextStream) {
    self.result = result
    self.stream = stream
  }

  var lines: [String] { texts + [""] + figures }

  private var texts: [String] {
    RaceColumns(
      [result.first, result.second].map { ($0.name, $0.laps.first?.runs ?? []) }, for: stream
    ).lines()
  }

  // MARK: Figures

  private var figures: [String] {
    var table = Table(
      .init(""), .init(result.first.name.uppercased(), .right),
      .init(result.second.name.uppercased(), .right))
    let both = [result.first, result.second]
    func row(_ name: String, _ cell: (Contestant) -> String) {
      table.append(name, cell(both[0]), cell(both[1]))
    }
    row("tokens per forward pass") { readableRatio($0.tokensPerForward) }
    row("accepted of drafted") { contestant in
      guard let summary = contestant.laps.first?.summary, summary.draftedTokens > 0 else {
        return "–"
      }
      return "\(summary.acceptedTokens) of \(summary.draftedTokens)"
    }
    row("tokens/s") { readableNumber($0.rates.median) }
    if result.first.laps.count > 1 { row("spread") { $0.rates.spread } }
    return table.lines(for: stream) + ["", ratioLine, agreement] + legend
  }

  private var ratioLine: String {
    let ratio = stream.styled(readableRatio(result.ratio), .bold)
    let repeats = result.first.laps.count
    let how = repeats == 1 ? "one run each" : "median of \(repeats) pairs of runs"
    return "ratio \(ratio) (\(result.first.name) : \(result.second.name), \(how))"
  }

  private var agreement: String {
    let count = result.first.laps.first?.tokens.count ?? 0
    guard let difference = result.difference else {
      return "bytes agree: " + stream.styled("yes", .green, .bold)
        + " (\(count) \(count == 1 ? "token" : "tokens"), seed \(result.seed))"
    }
    let reason =
      result.mustAgree
      ? "" : "; one of them promises the same distribution, not the same text"
    return "bytes agree: " + stream.styled("NO", .red, .bold)
      + " (they differ from token \(difference + 1) on\(reason))"
  }

  private var legend: [String] {
    [result.first, result.second].flatMap { contestant -> [String] in
      guard let lap = contestant.laps.first else { return [] }
      return lap.drafters.enumerated().map { index, name in
        let bracket = DraftMarkup.bracket(index)
        let mark =
          stream.usesColor
          ? stream.styled("this colour", DraftMarkup.style(index))
          : bracket.open + "…" + bracket.close
        return "\(mark) in \(contestant.name): drafted by \(name) and accepted"
      }
    }
  }
}
