import Foundation

/// A file that appears under its name only when it is complete: it is written under a temporary
/// name in the same folder, flushed to disk, then renamed. Dropped without `commit()`, it leaves
/// nothing behind.
public final class AtomicFile {
  /// Name that the file will have.
  public let path: String
  private let temporaryPath: String
  private var descriptor: Int32
  /// Bytes written so far.
  public private(set) var bytesWritten = 0

  /// Creates the temporary file.
  /// - Throws: `CheckpointError` if the folder cannot be written to.
  public init(path: String) throws(CheckpointError) {
    self.path = path
    let folder = (path as NSString).deletingLastPathComponent
    let name = (path as NSString).lastPathComponent
    let unique = "\(getpid())-\(UInt32.random(in: .min ... .max))"
    temporaryPath = (folder as NSString).appendingPathComponent(".\(name).\(unique).tmp")
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure("cannot be created") }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporaryPath)
  }

  /// Appends bytes.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    do {
      try writeAll(bytes, to: descriptor)
    } catch {
      throw failure("cannot be written beyond \(bytesWritten) bytes", code: error.code)
    }
    bytesWritten += bytes.count
  }

  /// Appends bytes.
  public func write(_ bytes: [UInt8]) throws(CheckpointError) {
    // A typed throw does not pass through `withUnsafeBytes` of Array.
    let result: Result<Void, CheckpointError> = bytes.withUnsafeBytes { buffer in
      Result { () throws(CheckpointError) in try write(buffer) }
    }
    try result.get()
  }

  /// Writes zeros up to the next multiple of `alignment`.
  public func pad(to alignment: Int) throws(CheckpointError) {
    let partial = bytesWritten % alignment
    if partial > 0 { try write([UInt8](repeating: 0, count: alignment - partial)) }
  }

  /// Makes the file visible under its name, replacing what was there.
  public func commit() throws(CheckpointError) {
    guard fsync(descriptor) == 0 else { throw failure("cannot be flushed to disk") }
    guard rename(temporaryPath, path) == 0 else { throw failure("cannot be renamed into place") }
    close(descriptor)
    descriptor = -1
    flushFolder(of: path)
  }

  private func failure(_ what: String, code: Int32 = errno) -> CheckpointError {
    CheckpointError(.inaccessible, file: path, "\(what): \(systemErrorMessage(code))")
  }
}

/// A failed system call's error number.
struct SystemError: Error {
  let code: Int32
}

/// Writes all of `bytes`, however many calls that takes.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws(SystemError) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
    if written < 0 {
      if errno == EINTR { continue }
      throw SystemError(code: errno)
    }
    rest = rest.dropFirst(written)
  }
}

/// Makes a rename in the folder of `path` survive a power failure. Best effort: some file systems
/// refuse to flush a folder, and the file itself is already safe.
func flushFolder(of path: String) {
  let folder = (path as NSString).deletingLastPathComponent
  let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  _ = fsync(descriptor)
  close(descriptor)
}
