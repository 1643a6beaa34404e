import Synchronization

/// Ends generations from outside, whoever reads their events.
///
/// The reader of a cancelled generation gets its summary, with the reason `cancelled`, as the last
/// event. The pages are free after the step that is under way.
public final class GenerationCancellation: Sendable {
  private struct State {
    var isCancelled = false
    var channels: [EventChannel] = []
  }

  private let state = Mutex(State())

  /// Ends nothing until it is given to generations.
  public init() {}

  /// Whether `cancel` was called.
  public var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Ends the generations that this was given to, and those that it will be given to.
  public func cancel() {
    let channels = state.withLock { state in
      state.isCancelled = true
      defer { state.channels.removeAll() }
      return state.channels
    }
    for channel in channels { channel.cancel() }
  }

  /// Ends these generations too when the time comes.
  func attach(_ channels: [EventChannel]) {
    let isLate = state.withLock { state in
      if !state.isCancelled { state.channels += channels }
      return state.isCancelled
    }
    if isLate { for channel in channels { channel.cancel() } }
  }
}
