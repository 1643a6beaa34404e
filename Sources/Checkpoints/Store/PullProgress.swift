/// How far a `pull` is. A new value comes a few times a second and at every change of phase.
public struct PullProgress: Sendable, Equatable {
  /// What is going on.
  public enum Phase: String, Sendable {
    /// Another process is pulling the same model; waiting for it.
    case waiting
    /// Bytes kept from an interrupted pull, or fetched just now, are being checked.
    case verifying
    /// Bytes are arriving.
    case downloading
    /// The model is in the store.
    case finished
  }

  /// The model that is pulled, as it was asked for.
  public let reference: String
  /// What is going on.
  public let phase: Phase
  /// Bytes of the model on this machine.
  public let bytesDone: Int
  /// Bytes of the whole model; 0 while the server has not said.
  public let bytesTotal: Int
  /// Bytes per second since the download began; nil before the first bytes.
  public let bytesPerSecond: Double?

  /// Seconds that the rest takes at this rate; nil while there is no rate.
  public var secondsRemaining: Double? {
    guard let bytesPerSecond, bytesPerSecond > 0, bytesTotal > 0 else { return nil }
    return Double(max(0, bytesTotal - bytesDone)) / bytesPerSecond
  }

  /// From 0 to 1; 0 while the total is not known.
  public var fraction: Double {
    bytesTotal > 0 ? min(1, Double(bytesDone) / Double(bytesTotal)) : 0
  }
}

/// Called with the progress of a `pull`, from any thread.
public typealias PullProgressHandler = @Sendable (PullProgress) -> Void

/// Turns byte counts into `PullProgress` values with a rate.
struct ProgressMeter: Sendable {
  let reference: String
  let total: Int
  let handler: PullProgressHandler
  private let clock = ContinuousClock()
  private var start: (time: ContinuousClock.Instant, bytes: Int)?

  init(reference: String, total: Int, handler: @escaping PullProgressHandler) {
    self.reference = reference
    self.total = total
    self.handler = handler
  }

  /// The rate counts from here: `bytes` were there before.
  mutating func beginDownload(bytes: Int) {
    if start == nil { start = (clock.now, bytes) }
  }

  func report(_ phase: PullProgress.Phase, bytes: Int) {
    handler(
      PullProgress(
        reference: reference, phase: phase, bytesDone: bytes, bytesTotal: total,
        bytesPerSecond: rate(bytes)))
  }

  private func rate(_ bytes: Int) -> Double? {
    guard let start, bytes > start.bytes else { return nil }
    let elapsed = start.time.duration(to: clock.now) / .seconds(1)
    return elapsed > 0 ? Double(bytes - start.bytes) / elapsed : nil
  }
}
