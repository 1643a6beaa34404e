import Synchronization

/// Wakes the one task that waits for something to do. A signal that nobody waits for is kept for the
/// next wait.
final class WakeSignal: Sendable {
  private struct State {
    var isSet = false
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  /// Wakes the waiting task, or the next one that comes to wait.
  func set() {
    let waiter = state.withLock { state in
      state.isSet = state.waiter == nil
      return state.waiter.take()
    }
    waiter?.resume()
  }

  /// Returns once `set` was called after the wait before. For one task at a time.
  func wait() async {
    await withCheckedContinuation { continuation in
      let isSet = state.withLock { state in
        if state.isSet {
          state.isSet = false
          return true
        }
        state.waiter = continuation
        return false
      }
      if isSet { continuation.resume() }
    }
  }
}
