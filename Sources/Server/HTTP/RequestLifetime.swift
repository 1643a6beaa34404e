import Synchronization

/// What can end a request before it is done.
final class RequestLifetime: Sendable {
  /// Who ended it.
  enum End: Sendable, Equatable {
    /// The client has gone.
    case disconnected
    /// It took too long.
    case timeout
    /// The server ends.
    case shutdown
  }

  private struct State {
    var end: End?
    var isDone = false
    var actions: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())

  /// Why the request was ended; nil while it may run.
  var end: End? { state.withLock { $0.end } }

  /// Ends the request; the first reason counts, and none once the request is done.
  func end(_ reason: End) {
    let actions = state.withLock { state -> [@Sendable () -> Void] in
      guard state.end == nil, !state.isDone else { return [] }
      state.end = reason
      defer { state.actions.removeAll() }
      return state.actions
    }
    for action in actions { action() }
  }

  /// Does `action` when the request is ended, at once if it is already.
  func onEnd(_ action: @escaping @Sendable () -> Void) {
    let isLate = state.withLock { state in
      if state.end == nil { state.actions.append(action) }
      return state.end != nil
    }
    if isLate { action() }
  }

  /// The answer is written: nothing ends the request any more.
  func finish() {
    state.withLock { state in
      state.isDone = true
      state.actions.removeAll()
    }
  }

  /// The error that a client is told; nil while the request may run.
  func error(timeout: Duration) -> APIError? {
    switch end {
    case nil: nil
    case .timeout: .timeout(seconds: timeout / .seconds(1))
    case .shutdown, .disconnected: .shuttingDown
    }
  }
}
