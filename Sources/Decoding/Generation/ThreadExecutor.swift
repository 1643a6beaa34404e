import Foundation
import Synchronization

/// Runs the jobs of actors on one thread of its own, one after another.
///
/// A forward pass keeps a thread busy for milliseconds and wants a deep stack; on the threads of
/// Swift's own pool it would hold up every other task of the process.
public final class ThreadExecutor: SerialExecutor {
  /// Bytes of the thread's stack.
  public static let stackSize = 16 << 20

  private let queue: JobQueue

  /// Starts the thread.
  /// - Parameter name: shown by debuggers and `top -H`.
  public init(name: String) {
    let queue = JobQueue()
    self.queue = queue
    // The thread holds the queue, not the executor, so that it ends when the executor goes.
    let thread = Thread {
      while let work = queue.next() { work() }
    }
    thread.name = name
    thread.stackSize = Self.stackSize
    thread.start()
  }

  deinit { queue.close() }

  /// Puts a job of an actor at the end of the queue.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedSerialExecutor()
    queue.append { job.runSynchronously(on: executor) }
  }

  /// Whether something waits for the thread.
  var hasWaitingJobs: Bool { queue.isWaited }

  /// Runs `body` on the thread and returns its result; the caller's own thread stays free.
  ///
  /// Cancelling the task that waits is seen by `body` through `isCancelled`.
  public func perform<Result>(
    _ body: @escaping @Sendable (_ isCancelled: @Sendable () -> Bool) throws -> sending Result
  ) async throws -> sending Result {
    let cancellation = CancellationFlag()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        queue.append {
          do {
            continuation.resume(returning: try body { cancellation.isSet })
          } catch {
            continuation.resume(throwing: error)
          }
        }
      }
    } onCancel: {
      cancellation.set()
    }
  }
}

/// A flag that one thread sets and another reads.
private final class CancellationFlag: Sendable {
  private let value = Atomic(false)

  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

/// Jobs in order of arrival.
///
/// `@unchecked Sendable`: every access to the two variables is made while the condition is locked.
private final class JobQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var jobs: [@Sendable () -> Void] = []
  private var isClosed = false

  func append(_ job: @escaping @Sendable () -> Void) {
    condition.withLock { jobs.append(job) }
    condition.signal()
  }

  /// Whether jobs wait.
  var isWaited: Bool { condition.withLock { !jobs.isEmpty } }

  /// Ends the thread once the jobs before are done.
  func close() {
    condition.withLock { isClosed = true }
    condition.signal()
  }

  /// The next job; waits for one. nil after `close`.
  func next() -> (@Sendable () -> Void)? {
    condition.withLock {
      while jobs.isEmpty {
        if isClosed { return nil }
        condition.wait()
      }
      return jobs.removeFirst()
    }
  }
}
