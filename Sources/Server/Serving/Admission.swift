import Synchronization

/// Gives places to requests: so many generations at a time, so many requests that wait.
///
/// Waiting requests are let in by turns among those who sent them, in order of arrival for each, so
/// that one who sends many does not hold up the others.
final class Admission: Sendable {
  /// A request's places. They are given back by `release`, or when the ticket goes.
  final class Ticket: Sendable {
    private let admission: Admission
    private let places: Int
    private let isOpen = Mutex(true)

    fileprivate init(_ admission: Admission, places: Int) {
      self.admission = admission
      self.places = places
    }

    deinit { release() }

    /// Gives the places to others.
    func release() {
      let wasOpen = isOpen.withLock { open in
        defer { open = false }
        return open
      }
      if wasOpen { admission.giveBack(places) }
    }
  }

  private struct Waiter {
    let id: Int
    let places: Int
    let continuation: CheckedContinuation<Bool, Never>
  }

  private struct State {
    var running = 0
    var waiting = 0
    var nextID = 0
    /// Clients in the order of their turns.
    var turns: [String] = []
    var queues: [String: [Waiter]] = [:]
    /// Mean time that places were taken, in seconds.
    var meanSeconds = 1.0
  }

  private let state = Mutex(State())
  /// Generations at the same time.
  let concurrency: Int
  /// Requests that may wait.
  let queue: Int

  init(concurrency: Int, queue: Int) {
    self.concurrency = concurrency
    self.queue = queue
  }

  /// Generations that have places, and requests that wait.
  var load: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting) } }

  /// Waits for places.
  ///
  /// - Parameters:
  ///   - places: one for each generation, at most `concurrency`.
  ///   - client: who asks.
  ///   - lifetime: ends the wait.
  /// - Returns: the places; nil if the lifetime has ended.
  /// - Throws: `APIError.busy` if the queue is full.
  func enter(places: Int, client: String, lifetime: RequestLifetime) async throws -> Ticket? {
    let id = try state.withLock { state throws(APIError) -> Int? in
      guard state.waiting > 0 || state.running + places > concurrency else {
        state.running += places
        return nil
      }
      guard state.waiting < queue else { throw .busy(retryAfter: retryAfter(state)) }
      state.waiting += 1
      state.nextID += 1
      return state.nextID
    }
    guard let id else { return Ticket(self, places: places) }
    let isAdmitted = await withCheckedContinuation { continuation in
      let waiter = Waiter(id: id, places: places, continuation: continuation)
      state.withLock { state in
        if state.queues[client] == nil { state.turns.append(client) }
        state.queues[client, default: []].append(waiter)
      }
      lifetime.onEnd { [self] in leave(id, client) }
      admit()
    }
    return isAdmitted ? Ticket(self, places: places) : nil
  }

  /// Notes how long a request had its places, for what others are told to wait.
  func note(seconds: Double) {
    state.withLock { $0.meanSeconds += 0.1 * (seconds - $0.meanSeconds) }
  }

  private func retryAfter(_ state: State) -> Int {
    let ahead = Double(state.waiting + state.running) / Double(max(concurrency, 1))
    return Int(min(max((ahead * state.meanSeconds).rounded(.up), 1), 60))
  }

  private func giveBack(_ places: Int) {
    state.withLock { $0.running -= places }
    admit()
  }

  /// Takes a request that has ended out of the queue.
  private func leave(_ id: Int, _ client: String) {
    let waiter = state.withLock { state -> Waiter? in
      guard let index = state.queues[client]?.firstIndex(where: { $0.id == id }) else { return nil }
      let waiter = state.queues[client]?.remove(at: index)
      Self.drop(client, from: &state)
      return waiter
    }
    waiter?.continuation.resume(returning: false)
    admit()
  }

  private static func drop(_ client: String, from state: inout State) {
    state.waiting -= 1
    if state.queues[client]?.isEmpty == true {
      state.queues[client] = nil
      state.turns.removeAll { $0 == client }
    }
  }

  /// Lets in whose turn it is, as long as there is room for them.
  private func admit() {
    let admitted = state.withLock { state -> [Waiter] in
      var admitted: [Waiter] = []
      while let client = state.turns.first, let waiter = state.queues[client]?.first,
        state.running + waiter.places <= concurrency
      {
        state.queues[client]?.removeFirst()
        state.running += waiter.places
        state.turns.removeFirst()
        state.turns.append(client)
        Self.drop(client, from: &state)
        admitted.append(waiter)
      }
      return admitted
    }
    for waiter in admitted { waiter.continuation.resume(returning: true) }
  }
}
