import Testing

@testable import Decoding

@Suite struct EventChannelTests {
  private func piece(_ index: Int) -> GenerationEvent {
    .text(TextPiece(text: "\(index)", tokens: [Int32(index)], logProbabilities: nil))
  }

  private struct Broken: Error {}

  @Test("events arrive in order, far more of them than fit")
  func order() async throws {
    let channel = EventChannel()
    let count = EventChannel.capacity * 10
    let producer = Task {
      for index in 0..<count { await channel.send(piece(index)) }
      channel.finish()
    }
    var received: [GenerationEvent] = []
    for try await event in channel.stream() { received.append(event) }
    await producer.value
    #expect(received == (0..<count).map(piece))
  }

  @Test("an error comes after the events before it")
  func failure() async {
    let channel = EventChannel()
    await channel.send(piece(0))
    channel.finish(throwing: Broken())
    var received = 0
    await #expect(throws: Broken.self) {
      for try await _ in channel.stream() { received += 1 }
    }
    #expect(received == 1)
  }

  @Test("dropping the stream releases a producer that waits for room")
  func dropped() async throws {
    let channel = EventChannel()
    let producer = Task {
      var sent = 0
      while await channel.send(piece(sent)) { sent += 1 }
      return sent
    }
    do {
      for try await _ in channel.stream() { break }
    }
    #expect(await producer.value >= 1)
    #expect(channel.isCancelled)
  }

  @Test("a reader that waits gets the summary of a cancelled generation")
  func summaryAfterCancel() async throws {
    let channel = EventChannel()
    await channel.send(piece(0))
    channel.cancel()
    #expect(await channel.send(piece(1)) == false)
    await channel.send(.finish(GenerationEventTests.summary))
    channel.finish()
    #expect(try await channel.next() == .finish(GenerationEventTests.summary))
    #expect(try await channel.next() == nil)
  }
}
