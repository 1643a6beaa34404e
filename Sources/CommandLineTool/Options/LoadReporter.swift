import Foretoken
import Synchronization

/// Shows on standard error how far fetching and loading a model are.
final class LoadReporter: Sendable {
  private let pullLine = ProgressLine()
  private let packLine = ProgressLine(delay: .milliseconds(300))
  private let hasAnnounced = Mutex(false)

  /// Takes the progress of `LanguageModel.load`.
  @Sendable func report(_ progress: LanguageModel.LoadProgress) {
    switch progress {
    case .pulling(let pull): report(pull)
    case .packing(let fraction):
      // Not worth a line in a log: this is over in a moment.
      guard TextStream.error.isTerminal else { return }
      packLine.show(.init(phase: "loading", fraction: fraction, detail: ""))
    }
  }

  /// Takes the progress of a pull.
  @Sendable func report(_ pull: PullProgress) {
    guard pull.phase != .finished else { return pullLine.clear() }
    announce(pull)
    pullLine.show(
      .init(
        phase: "\(Self.verb(pull.phase)) \(pull.reference)",
        fraction: pull.bytesTotal > 0 ? pull.fraction : nil, detail: Self.detail(pull)))
  }

  /// Takes the bars off the screen.
  func finish() {
    pullLine.clear()
    packLine.clear()
  }

  private func announce(_ pull: PullProgress) {
    let isFirst = hasAnnounced.withLock { announced in
      defer { announced = true }
      return !announced
    }
    guard isFirst else { return }
    let size = pull.bytesTotal > 0 ? " (\(ByteCount(pull.bytesTotal)))" : ""
    note("\(pull.reference) is not on this machine yet; fetching it\(size)")
  }

  private static func verb(_ phase: PullProgress.Phase) -> String {
    switch phase {
    case .waiting: "waiting for another process to fetch"
    case .verifying: "checking"
    case .downloading, .finished: "fetching"
    }
  }

  private static func detail(_ pull: PullProgress) -> String {
    var parts: [String] = []
    if pull.bytesTotal > 0 {
      parts.append("\(ByteCount(pull.bytesDone)) of \(ByteCount(pull.bytesTotal))")
    } else if pull.bytesDone > 0 {
      parts.append("\(ByteCount(pull.bytesDone))")
    }
    if let rate = pull.bytesPerSecond { parts.append("\(ByteCount(Int(rate)))/s") }
    if let seconds = pull.secondsRemaining {
      parts.append("\(readableTime(seconds: seconds)) left")
    }
    return parts.joined(separator: ", ")
  }
}
