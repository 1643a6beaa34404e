import Foundation
import Synchronization

/// Ctrl-C. The first one runs the action in force, the second one ends the process at once.
enum Interrupts {
  /// What Ctrl-C does outside `cancelling(_:)`: the process ends with the status of an interrupt.
  private static let action = Mutex<@Sendable () -> Void>(exitAtOnce)

  /// The handler may only write to this pipe; a thread at the other end runs the action.
  private static let pipeEnds: (read: Int32, write: Int32)? = {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }()

  /// Starts to watch. A closed pipe is reported by `write` from now on, not by a signal.
  static func install() {
    signal(SIGPIPE, SIG_IGN)
    guard let pipeEnds else { return }
    let watcher = Thread {
      var byte: UInt8 = 0
      while true {
        let count = read(pipeEnds.read, &byte, 1)
        if count < 0 && errno == EINTR { continue }
        guard count == 1 else { return }
        action.withLock { $0 }()
      }
    }
    watcher.name = "foretoken.interrupts"
    watcher.start()
    arm()
  }

  /// Makes the next Ctrl-C run the action again, after one was handled.
  static func arm() {
    var handler = sigaction()
    #if canImport(Darwin)
      handler.__sigaction_u.__sa_handler = { _ in Interrupts.notify() }
    #else
      handler.__sigaction_handler.sa_handler = { _ in Interrupts.notify() }
    #endif
    // The handler is gone once it ran: the second Ctrl-C has the system's own effect.
    handler.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND)) | SA_RESTART
    sigaction(SIGINT, &handler, nil)
  }

  /// Runs `body`; Ctrl-C cancels it.
  ///
  /// - Throws: what `body` throws; `Interrupted` if Ctrl-C ended it, whatever it threw then.
  static func cancelling<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    let flag = Flag()
    let task = Task { try await body() }
    action.withLock {
      $0 = {
        flag.set()
        task.cancel()
      }
    }
    defer { action.withLock { $0 = exitAtOnce } }
    let result = await task.result
    if flag.isSet {
      arm()
      throw Interrupted()
    }
    return try result.get()
  }

  /// Called by the signal: only what is safe there.
  private static func notify() {
    let saved = errno
    if let pipeEnds {
      var byte: UInt8 = 1
      _ = Foundation.write(pipeEnds.write, &byte, 1)
    }
    errno = saved
  }

  @Sendable private static func exitAtOnce() {
    if TextStream.error.isTerminal { try? TextStream.error.write("\n") }
    _exit(ExitStatus.interrupted)
  }
}

/// Set once, read from anywhere.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

/// Ctrl-C ended the work.
struct Interrupted: Error {}
