import Foundation

/// An exclusive lock between processes, held as long as this object lives. The system releases it
/// when the holder dies, whatever the cause.
final class StoreLock: Sendable {
  private let descriptor: Int32

  private init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Takes the lock on the file `path`, which is made if it is not there.
  ///
  /// - Parameter onWait: Called once if somebody else holds the lock.
  static func acquire(_ path: String, onWait: () -> Void) async throws -> StoreLock {
    // Close-on-exec: a child that outlives this process must not keep the lock.
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw StoreError.system(path, "cannot be opened") }
    let lock = StoreLock(descriptor: descriptor)
    var waited = false
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else {
        throw StoreError.system(path, "cannot be locked")
      }
      if !waited { onWait() }
      waited = true
      try await Task.sleep(for: .milliseconds(100))
    }
    return lock
  }
}
