/// Progress of a benchmark with the time left, on standard error, if that is a terminal. The work
/// done is counted in any unit that is about proportional to time.
final class BenchProgress {
  private let line = ProgressLine()
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private let total: Double
  private var done = 0.0

  /// - Parameter total: all work there is.
  init(total: Double) {
    self.total = max(total, 1)
    start = clock.now
  }

  /// Says what is done next.
  func begin(_ what: String) {
    guard TextStream.error.isTerminal else { return }
    let fraction = min(done / total, 1)
    let elapsed = start.duration(to: clock.now) / .seconds(1)
    // The first moments say nothing about the rest.
    let isEarly = fraction < 0.02 || elapsed < 1
    let left = isEarly ? "" : "\(readableTime(seconds: elapsed / fraction - elapsed)) left"
    line.show(.init(phase: what, fraction: fraction, detail: left))
  }

  /// Counts work that is done.
  func add(_ work: Double) { done += work }

  /// Takes the bar off the screen.
  func finish() { line.clear() }
}
