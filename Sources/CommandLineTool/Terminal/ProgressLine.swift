import Foundation
import Synchronization

/// Progress of something that takes time, on standard error: a bar that is redrawn in place on a
/// terminal; elsewhere a plain line when the phase changes and every ten seconds.
final class ProgressLine: Sendable {
  /// A moment of the work.
  struct Moment {
    /// What is going on, such as `fetching smollm2-135m`.
    var phase: String
    /// From 0 to 1; nil if it is not known.
    var fraction: Double?
    /// Amount, rate and time left, as text.
    var detail: String
  }

  private struct State {
    var drawn: (time: ContinuousClock.Instant, phase: String)?
    var isOnScreen = false
  }

  private let stream: TextStream
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private let delay: Duration
  private let state = Mutex(State())

  private static let frame = Duration.milliseconds(100)
  private static let plainInterval = Duration.seconds(10)
  private static let barWidth = 24

  /// - Parameter delay: shows nothing before this time, so that quick work leaves no flicker.
  init(_ stream: TextStream = .error, delay: Duration = .zero) {
    self.stream = stream
    // What is worth no bar for a moment is worth no line in a log for longer than that.
    self.delay = stream.isTerminal || delay == .zero ? delay : Self.plainInterval
    start = clock.now
  }

  /// Shows `moment`, if it is time to. May be called from any thread.
  func show(_ moment: Moment) {
    let now = clock.now
    guard start.duration(to: now) >= delay else { return }
    state.withLock { state in
      let interval = stream.isTerminal ? Self.frame : Self.plainInterval
      let isNew = state.drawn?.phase != moment.phase
      if !isNew, let drawn = state.drawn, drawn.time.duration(to: now) < interval { return }
      state.drawn = (now, moment.phase)
      if stream.isTerminal {
        state.isOnScreen = true
        try? stream.write("\r\u{1B}[K" + bar(moment))
      } else {
        try? stream.writeLine(plain(moment))
      }
    }
  }

  /// Takes the bar off the screen.
  func clear() {
    state.withLock { state in
      if state.isOnScreen { try? stream.write("\r\u{1B}[K") }
      state.isOnScreen = false
    }
  }

  private func bar(_ moment: Moment) -> String {
    guard let fraction = moment.fraction else {
      return fitted("\(moment.phase)  \(moment.detail)")
    }
    let filled = Int(Double(Self.barWidth) * min(max(fraction, 0), 1))
    let percent = "\(Int(min(max(fraction, 0), 1) * 100))%".padded(to: 4, alignment: .right)
    let done = String(repeating: "━", count: filled)
    let open = String(repeating: "─", count: Self.barWidth - filled)
    let used = moment.phase.displayWidth + Self.barWidth + percent.count + 6
    let detail = moment.detail.truncated(to: max(1, (stream.width ?? 80) - used - 1))
    return "\(moment.phase)  \(stream.styled(done, .cyan))\(stream.styled(open, .dim)) "
      + "\(percent)  \(detail)"
  }

  private func fitted(_ text: String) -> String { text.truncated(to: (stream.width ?? 80) - 1) }

  private func plain(_ moment: Moment) -> String {
    let percent = moment.fraction.map { " \(Int($0 * 100))%" } ?? ""
    return moment.phase + percent + (moment.detail.isEmpty ? "" : ", \(moment.detail)")
  }
}

/// A time as a person reads it: `7 s`, `3 min 20 s`, `2 h 5 min`.
func readableTime(seconds: Double) -> String {
  guard seconds.isFinite, seconds < 1e9 else { return "unknown" }
  let whole = Int(seconds.rounded(.up))
  switch whole {
  case ..<60: return "\(whole) s"
  case ..<3600: return "\(whole / 60) min \(whole % 60) s"
  default: return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

/// A number with one digit after the point below 100, none above; for rates and milliseconds.
func readableNumber(_ value: Double) -> String {
  String(format: value < 100 ? "%.1f" : "%.0f", value)
}
