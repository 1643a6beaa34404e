import Synchronization

/// Carries events from a generation to its one consumer, with a bounded number in between.
///
/// The producer never waits: it asks for `demand` before a step, takes no step while too much is
/// unread, and is woken when there is room again or the consumer has gone.
final class EventChannel: Sendable {
  /// Unread events at which a generation pauses. The events of one step may come on top.
  static let capacity = 256

  /// What the consumer wants.
  enum Demand {
    /// It keeps up.
    case open
    /// It has much to read yet; the signal comes when it has caught up.
    case full
    /// It has gone.
    case cancelled
  }

  private struct State {
    var events: [GenerationEvent] = []
    var end: Result<Void, any Error>?
    var isCancelled = false
    var consumer: CheckedContinuation<GenerationEvent?, any Error>?
    var producerWaits = false

    var isFull: Bool { events.count >= EventChannel.capacity }
  }

  private let state = Mutex(State())
  private let wake: WakeSignal

  /// - Parameter wake: set when a full channel has room again, and when the consumer goes.
  init(wake: WakeSignal = WakeSignal()) { self.wake = wake }

  /// Whether the consumer has gone.
  var isCancelled: Bool { state.withLock { $0.isCancelled } }

  // MARK: Producer

  /// What the consumer wants now.
  var demand: Demand {
    state.withLock { state in
      if state.isCancelled { return .cancelled }
      state.producerWaits = state.isFull
      return state.isFull ? .full : .open
    }
  }

  /// Delivers events. After cancellation only the last event of the generation is delivered, if
  /// someone still waits for it.
  func send(_ events: some Sequence<GenerationEvent>) {
    let (consumer, event) = state.withLock {
      state -> (CheckedContinuation<GenerationEvent?, any Error>?, GenerationEvent?) in
      guard state.end == nil else { return (nil, nil) }
      var first: GenerationEvent?
      for event in events where !state.isCancelled || event.isFinish {
        if state.consumer != nil, first == nil { first = event } else { state.events.append(event) }
      }
      return first == nil ? (nil, nil) : (state.consumer.take(), first)
    }
    consumer?.resume(returning: event)
  }

  /// Ends the stream after the events already sent.
  func finish(throwing error: (any Error)? = nil) {
    let consumer = state.withLock { state in
      if state.end == nil { state.end = error.map { .failure($0) } ?? .success(()) }
      return state.consumer.take()
    }
    if let error { consumer?.resume(throwing: error) } else { consumer?.resume(returning: nil) }
  }

  // MARK: Consumer

  /// The next event; nil at the end.
  func next() async throws -> GenerationEvent? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let (result, isRoom) = state.withLock { Self.take(from: &$0, for: continuation) }
        if isRoom { wake.set() }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      cancel()
    }
  }

  /// What the consumer gets at once, or nil if it has to wait; and whether the producer waited for
  /// this.
  private static func take(
    from state: inout State, for consumer: CheckedContinuation<GenerationEvent?, any Error>
  ) -> (Result<GenerationEvent?, any Error>?, isRoom: Bool) {
    if !state.events.isEmpty {
      let event = state.events.removeFirst()
      let isRoom = state.producerWaits && !state.isFull
      if isRoom { state.producerWaits = false }
      return (.success(event), isRoom)
    }
    if let end = state.end { return (end.map { nil }, false) }
    state.consumer = consumer
    return (nil, false)
  }

  /// Asks the generation to end. Unread events are dropped; its summary can still be read.
  func cancel() {
    let isNews = state.withLock { state in
      guard !state.isCancelled else { return false }
      state.isCancelled = true
      state.events.removeAll { !$0.isFinish }
      return state.end == nil
    }
    if isNews { wake.set() }
  }

  /// The consumer's end as a stream. Dropping the stream cancels the generation.
  func stream() -> AsyncThrowingStream<GenerationEvent, any Error> {
    let lifetime = ConsumerLifetime(channel: self)
    return AsyncThrowingStream { try await lifetime.channel.next() }
  }
}

/// Cancels the generation when the last reference to the consumer's stream goes.
private final class ConsumerLifetime: Sendable {
  let channel: EventChannel

  init(channel: EventChannel) { self.channel = channel }

  deinit { channel.cancel() }
}

extension GenerationEvent {
  fileprivate var isFinish: Bool {
    if case .finish = self { true } else { false }
  }
}
