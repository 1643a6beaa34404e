import Testing

@testable import Decoding

@Suite struct EventChannelTests {
  private func piece(_ index: Int) -> GenerationEvent {
    .text(TextPiece(text: "\(index)", tokens: [Int32(index)], logProbabilities: nil))
  }

  private struct Broken: Error {}

  /// Sends while there is room and waits where there is none, as the generator does.
  private func produce(_ count: Int, into channel: EventChannel, _ wake: WakeSignal) async -> Int {
    for index in 0..<count {
      while channel.demand == .full { await wake.wait() }
      if channel.demand == .cancelled { return index }
      channel.send([piece(index)])
    }
    channel.finish()
    return count
  }

  @Test("events arrive in order, far more of them than fit")
  func order() async throws {
    let wake = WakeSignal()
    let channel = EventChannel(wake: wake)
    let count = EventChannel.capacity * 10
    let producer = Task { await produce(count, into: channel, wake) }
    var received: [GenerationEvent] = []
    for try await event in channel.stream() { received.append(event) }
    #expect(await producer.value == count)
    #expect(received == (0..<count).map(piece))
  }

  @Test(
    "a full channel takes what a step still has, and says when there is room")
  func room() async throws {
    let wake = WakeSignal()
    let channel = EventChannel(wake: wake)
    channel.send((0..<EventChannel.capacity - 1).map(piece))
    #expect(channel.demand == .open)
    channel.send([piece(1), piece(2), piece(3)])
    #expect(channel.demand == .full)
    for _ in 0..<3 {
      #expect(channel.demand == .full)
      _ = try await channel.next()
    }
    // Set by the reading that made room, and by no other.
    await wake.wait()
    #expect(channel.demand == .open)
  }

  @Test("an error comes after the events before it")
  func failure() async {
    let channel = EventChannel()
    channel.send([piece(0)])
    channel.finish(throwing: Broken())
    var received = 0
    await #expect(throws: Broken.self) {
      for try await _ in channel.stream() { received += 1 }
    }
    #expect(received == 1)
  }

  @Test("dropping the stream wakes a producer that waits for room")
  func dropped() async throws {
    let wake = WakeSignal()
    let channel = EventChannel(wake: wake)
    let producer = Task { await produce(.max, into: channel, wake) }
    do {
      for try await _ in channel.stream() { break }
    }
    #expect(await producer.value >= 1)
    #expect(channel.isCancelled)
  }

  @Test("a reader that waits gets the summary of a cancelled generation")
  func summaryAfterCancel() async throws {
    let channel = EventChannel()
    channel.send([piece(0)])
    channel.cancel()
    #expect(channel.demand == .cancelled)
    channel.send([piece(1)])
    channel.send([.finish(GenerationEventTests.summary)])
    channel.finish()
    #expect(try await channel.next() == .finish(GenerationEventTests.summary))
    #expect(try await channel.next() == nil)
  }

  @Test("events that arrive together are read one by one by a reader that waits")
  func together() async throws {
    let channel = EventChannel()
    let reader = Task {
      var received: [GenerationEvent] = []
      while let event = try await channel.next() { received.append(event) }
      return received
    }
    for begin in stride(from: 0, to: 60, by: 3) {
      channel.send((begin..<begin + 3).map(piece))
      await Task.yield()
    }
    channel.finish()
    #expect(try await reader.value == (0..<60).map(piece))
  }
}
