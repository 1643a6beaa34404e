import Foretoken

/// The events of all choices of a request, one choice after the other by turns.
///
/// Choices run in the same passes, so nobody waits long for his turn; one whose turn has not come
/// pauses when it is 256 events ahead.
///
/// `@unchecked Sendable`: a request has one reader at a time, first the one that waits for the first
/// event, then the one that writes the answer.
final class SampleEvents: @unchecked Sendable {
  typealias Stream = AsyncThrowingStream<GenerationEvent, any Error>

  private var iterators: [Stream.Iterator]
  private var active: [Int]
  private var turn = 0
  private var peeked: (Int, GenerationEvent)?

  init(_ streams: [Stream]) {
    iterators = streams.map { $0.makeAsyncIterator() }
    active = Array(streams.indices)
  }

  /// Waits for the first event, before which all that is wrong with a request is thrown.
  func start() async throws { peeked = try await advance() }

  /// The next event and its choice; nil when all are over.
  func next() async throws -> (choice: Int, event: GenerationEvent)? {
    if let first = peeked.take() { return first }
    return try await advance()
  }

  private func advance() async throws -> (Int, GenerationEvent)? {
    while !active.isEmpty {
      turn %= active.count
      let choice = active[turn]
      if let event = try await iterators[choice].next() {
        turn += 1
        return (choice, event)
      }
      active.remove(at: turn)
    }
    return nil
  }
}
