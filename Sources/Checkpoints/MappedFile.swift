import Foundation

/// A file mapped read-only into memory. Pages are read when they are first touched.
///
/// The size is taken once, at opening. If another program shortens the file afterwards, reading
/// beyond its new end kills the process (SIGBUS): replace model files by renaming, as the store
/// and the writers here do, never in place.
///
/// `@unchecked Sendable`: the pointer is the only state that the compiler cannot check; it is set
/// once in `init`, the memory behind it is never written, and it is unmapped in `deinit` only.
public final class MappedFile: @unchecked Sendable {
  /// Path of the file as it was given.
  public let path: String
  /// Size of the file in bytes.
  public let count: Int
  private let base: UnsafeRawPointer?

  /// Maps the regular file at `path`.
  ///
  /// - Throws: `CheckpointError` if the file cannot be opened or is not a regular file.
  public init(path: String) throws(CheckpointError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CheckpointError(.inaccessible, file: path, "cannot be opened: \(systemErrorMessage())")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw CheckpointError(.inaccessible, file: path, "has no status: \(systemErrorMessage())")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(.inaccessible, file: path, "is a folder or device, not a regular file")
    }
    self.path = path
    count = Int(status.st_size)
    guard count > 0 else {
      base = nil
      return
    }
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0),
      address != MAP_FAILED
    else {
      throw CheckpointError(
        .inaccessible, file: path, "cannot be mapped into memory: \(systemErrorMessage())")
    }
    base = UnsafeRawPointer(address)
  }

  deinit {
    if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
  }

  /// The file's bytes; valid as long as this object lives.
  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Calls `body` with the bytes of `range`, clamped to the file.
  public func withBytes<Result, Failure: Error>(
    in range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let slice = UnsafeRawBufferPointer(rebasing: bytes[range.clamped(to: 0..<count)])
    defer { withExtendedLifetime(self) {} }
    return try body(slice)
  }

  /// Tells the system that `range` will not be read again soon, so that its pages stop counting
  /// against this process. The contents stay readable (they are read from the file again).
  public func adviseUnneeded(_ range: Range<Int>) {
    advise(range, MADV_DONTNEED, roundingInwards: true)
  }

  /// Tells the system to start reading `range` from disk now.
  public func adviseWillNeed(_ range: Range<Int>) {
    advise(range, MADV_WILLNEED, roundingInwards: false)
  }

  private func advise(_ range: Range<Int>, _ advice: Int32, roundingInwards: Bool) {
    let page = Int(getpagesize())
    let inside = range.clamped(to: 0..<count)
    let slack = page - 1
    let start = (roundingInwards ? inside.lowerBound + slack : inside.lowerBound) / page * page
    let end = roundingInwards ? inside.upperBound / page * page : inside.upperBound
    guard let base, start < end else { return }
    // Advice only: a refusal changes nothing that a caller could react to.
    _ = madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, advice)
  }
}
