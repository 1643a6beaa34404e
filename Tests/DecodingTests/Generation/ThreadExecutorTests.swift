import Foundation
import Synchronization
import Testing

@testable import Decoding

@Suite struct ThreadExecutorTests {
  private actor Counter {
    let executor: ThreadExecutor
    var threads: Set<ObjectIdentifier> = []
    var count = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ executor: ThreadExecutor) { self.executor = executor }

    func touch() -> Bool {
      threads.insert(ObjectIdentifier(Thread.current))
      count += 1
      return Thread.current.stackSize >= ThreadExecutor.stackSize
    }
  }

  @Test("an actor's jobs all run on the one thread, with its deep stack")
  func oneThread() async {
    let counter = Counter(ThreadExecutor(name: "test"))
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<200 { group.addTask { await counter.touch() } }
      for await isDeep in group { #expect(isDeep) }
    }
    #expect(await counter.threads.count == 1)
    #expect(await counter.count == 200)
  }

  @Test("work and its errors come back to the caller")
  func perform() async throws {
    struct Broken: Error {}
    let executor = ThreadExecutor(name: "test")
    #expect(try await executor.perform { _ in 6 * 7 } == 42)
    await #expect(throws: Broken.self) { try await executor.perform { _ in throw Broken() } }
  }

  @Test("cancelling the waiting task is seen by the work")
  func cancellation() async {
    let executor = ThreadExecutor(name: "test")
    let task = Task {
      try await executor.perform { isCancelled in
        while !isCancelled() {}
        throw CancellationError()
      }
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
