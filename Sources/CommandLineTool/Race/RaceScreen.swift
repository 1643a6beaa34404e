import Foretoken

/// A race as it goes on: both texts with accepted drafts marked, and under them each one's tokens
/// and rates, drawn again in place. Only on a terminal; elsewhere it shows nothing.
struct RaceScreen {
  private struct Lane {
    let name: String
    var runs: [DraftedRun] = []
    var tokens = 0
    var counts = StepCounts()
    var seconds = 0.0
  }

  private static let frame = Duration.milliseconds(100)
  /// Lines beside those of the texts: titles, figures, and one for the cursor.
  private static let ownLines = 4

  private let stream: TextStream
  private let clock = ContinuousClock()
  private var lanes: [Lane]
  private var drawn: (time: ContinuousClock.Instant, lines: Int)?
  private var firstToken: ContinuousClock.Instant?

  /// - Parameter names: of the two methods.
  init(_ names: [String], for stream: TextStream) {
    self.stream = stream
    lanes = names.map { Lane(name: $0) }
  }

  private var canDraw: Bool { stream.isTerminal && stream.usesColor }

  /// Shows that method `place` has come as far as this.
  /// - Parameters:
  ///   - runs: its text so far.
  ///   - isLast: whether this is its end, which is always drawn.
  mutating func show(
    _ place: Int, runs: [DraftedRun], tokens: Int, counts: StepCounts, isLast: Bool
  ) {
    guard canDraw, lanes.indices.contains(place) else { return }
    let now = clock.now
    if lanes[place].tokens == 0 { firstToken = now }
    lanes[place].tokens = tokens
    if let firstToken { lanes[place].seconds = firstToken.duration(to: now) / .seconds(1) }
    if let drawn, !isLast, drawn.time.duration(to: now) < Self.frame { return }
    lanes[place].runs = runs
    lanes[place].counts = counts
    draw(now)
  }

  /// Takes everything off the screen.
  mutating func clear() {
    if let drawn { try? stream.write(Self.back(drawn.lines)) }
    drawn = nil
  }

  private mutating func draw(_ now: ContinuousClock.Instant) {
    let height = max(1, (stream.height ?? 24) - Self.ownLines)
    let texts = RaceColumns(lanes.map { ($0.name, $0.runs) }, for: stream).lines(height: height)
    let width = (stream.width ?? 80) - 1
    let figures = stream.styled(
      lanes.map(figures).joined(separator: "  ·  ").truncated(to: width), .dim)
    let lines = texts + [figures]
    try? stream.write(
      (drawn.map { Self.back($0.lines) } ?? "") + lines.map { $0 + "\n" }.joined())
    drawn = (now, lines.count)
  }

  private func figures(_ lane: Lane) -> String {
    guard lane.tokens > 0 else { return "\(lane.name): waits" }
    let rate = lane.seconds > 0 ? readableNumber(Double(lane.tokens) / lane.seconds) : "–"
    return "\(lane.name): \(lane.tokens) tokens, \(rate) tokens/s, "
      + "\(readableRatio(lane.counts.tokensPerForward)) a pass"
  }

  /// To the first of the last `lines` lines, and everything from there deleted.
  private static func back(_ lines: Int) -> String { "\r\u{1B}[\(lines)A\u{1B}[J" }
}
