import Synchronization

/// Carries events from a generation to its one consumer, with a bounded number in between.
///
/// A consumer that is slow makes the producer wait, without holding the engine's thread; one that
/// goes away or is cancelled makes `send` return false, and the generation ends.
final class EventChannel: Sendable {
  /// Events that may wait for the consumer.
  static let capacity = 256

  private struct State {
    var events: [GenerationEvent] = []
    var end: Result<Void, any Error>?
    var isCancelled = false
    var consumer: CheckedContinuation<GenerationEvent?, any Error>?
    var producer: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  /// Whether the consumer has gone.
  var isCancelled: Bool { state.withLock { $0.isCancelled } }

  // MARK: Producer

  /// Delivers an event, waiting while too many are unread. Returns false after cancellation; the
  /// last event of a cancelled generation is delivered all the same, if someone still waits for it.
  @discardableResult
  func send(_ event: GenerationEvent) async -> Bool {
    if isFull {
      await withCheckedContinuation { continuation in
        let isRoom = state.withLock { state in
          if state.events.count < Self.capacity || state.isCancelled { return true }
          state.producer = continuation
          return false
        }
        if isRoom { continuation.resume() }
      }
    }
    return deliver(event)
  }

  private var isFull: Bool {
    state.withLock { $0.events.count >= Self.capacity && !$0.isCancelled }
  }

  private func deliver(_ event: GenerationEvent) -> Bool {
    let (consumer, isOpen) = state.withLock {
      state -> (CheckedContinuation<GenerationEvent?, any Error>?, Bool) in
      guard state.end == nil else { return (nil, false) }
      if state.isCancelled, !event.isFinish { return (nil, false) }
      if state.consumer == nil { state.events.append(event) }
      return (state.consumer.take(), !state.isCancelled)
    }
    consumer?.resume(returning: event)
    return isOpen
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
        let (result, producer) = state.withLock { Self.take(from: &$0, for: continuation) }
        producer?.resume()
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      cancel()
    }
  }

  /// What the consumer gets at once, or nil if it has to wait.
  private static func take(
    from state: inout State, for consumer: CheckedContinuation<GenerationEvent?, any Error>
  ) -> (Result<GenerationEvent?, any Error>?, CheckedContinuation<Void, Never>?) {
    if !state.events.isEmpty {
      let event = state.events.removeFirst()
      return (.success(event), state.producer.take())
    }
    if let end = state.end { return (end.map { nil }, nil) }
    state.consumer = consumer
    return (nil, nil)
  }

  /// Asks the generation to end. Unread events are dropped; its summary can still be read.
  func cancel() {
    let producer = state.withLock { state in
      state.isCancelled = true
      state.events.removeAll { !$0.isFinish }
      return state.producer.take()
    }
    producer?.resume()
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
