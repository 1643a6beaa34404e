#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A block of memory on a 64-byte border, freed with its owner. Large blocks ask the system for huge
/// pages: kernels stream through them, and a miss of the page tables every 4 KiB costs a fifth of
/// attention over a long context.
///
/// `@unchecked Sendable`: the pointer never changes; who writes through it, and when, is the
/// owner's business (weights are written before they are shared, pass buffers belong to one engine).
public final class AlignedBuffer: @unchecked Sendable {
  /// Start of the memory.
  public let base: UnsafeMutableRawPointer
  /// Size in bytes, at least 1.
  public let count: Int

  /// Allocates `count` bytes.
  ///
  /// - Parameter zeroed: fill them with zeroes; otherwise they hold anything.
  /// - Throws: `OutOfMemory` if the system does not give them.
  public init(count: Int, zeroed: Bool = true) throws(OutOfMemory) {
    let size = max(count, 1)
    let isLarge = size >= 2 * HugePages.bytes
    var pointer: UnsafeMutableRawPointer?
    guard posix_memalign(&pointer, isLarge ? HugePages.bytes : 64, size) == 0, let pointer else {
      throw OutOfMemory(bytes: size)
    }
    if isLarge { HugePages.advise(pointer, size) }
    if zeroed { memset(pointer, 0, size) }
    base = pointer
    self.count = size
  }

  deinit { free(base) }

  /// The memory as `Float`s.
  public var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }
}

/// The system did not give the memory that was asked for.
public struct OutOfMemory: Error, CustomStringConvertible, Sendable {
  /// Bytes asked for.
  public let bytes: Int

  /// What was asked for, and what to do.
  public var description: String {
    "not enough memory for a block of \(bytes / 1_048_576) MiB: "
      + "choose a smaller model, a shorter --context or --kv q8"
  }
}
