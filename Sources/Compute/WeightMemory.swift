#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory that the packed weights of a model share, on huge pages where the system has them.
///
/// A product with one row of activations does nothing but read weights, and with pages of 4 KB a
/// tenth of that time goes into page tables. Matrices lie side by side in large regions, so that
/// small ones profit too; pages that are never written take no memory.
///
/// `@unchecked Sendable`: blocks are handed out by one thread at a time (the loader), and a block
/// belongs to who asked for it.
public final class WeightMemory: @unchecked Sendable {
  private let regionBytes: Int
  private var region: Region?
  private var used = 0

  /// - Parameter regionBytes: addresses reserved at a time; a larger block gets a region of its own.
  public init(regionBytes: Int = 256 << 20) {
    self.regionBytes = regionBytes
  }

  /// A block of zeroes on a 64-byte border. It lives as long as any block of its region, or as this
  /// object.
  ///
  /// - Throws: `OutOfMemory` if the system does not give it.
  func allocate(_ count: Int) throws(OutOfMemory) -> Block {
    let size = (count + Self.alignment - 1) / Self.alignment * Self.alignment
    if let region, used + size <= region.count {
      defer { used += size }
      return Block(base: region.base + used, region: region)
    }
    let fresh = try Region(count: max(size, regionBytes))
    region = fresh
    used = size
    return Block(base: fresh.base, region: fresh)
  }

  /// Memory for one owner.
  struct Block: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    private let region: Region

    fileprivate init(base: UnsafeMutableRawPointer, region: Region) {
      self.base = base
      self.region = region
    }
  }

  private static let alignment = 64

  /// Zeroed pages from the system, given back with the last block in them.
  ///
  /// `@unchecked Sendable`: nothing in it changes.
  fileprivate final class Region: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let count: Int
    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int

    init(count: Int) throws(OutOfMemory) {
      let (bytes, overflow) = count.addingReportingOverflow(HugePages.bytes)
      guard !overflow else { throw OutOfMemory(bytes: count) }
      let flags = MAP_PRIVATE | MAP_ANON | MAP_NORESERVE
      guard let start = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0),
        start != MAP_FAILED
      else { throw OutOfMemory(bytes: count) }
      mapping = start
      mappedBytes = bytes
      base =
        UnsafeMutableRawPointer(
          bitPattern: (UInt(bitPattern: start) + UInt(HugePages.bytes) - 1)
            & ~UInt(HugePages.bytes - 1)) ?? start
      self.count = count
      HugePages.advise(base, count)
    }

    deinit { munmap(mapping, mappedBytes) }
  }
}

/// Pages of 2 MB, which x86-64 and most ARM systems have.
enum HugePages {
  static let bytes = 2 << 20

  /// Asks for huge pages; a system without them goes on with ordinary ones.
  static func advise(_ start: UnsafeMutableRawPointer, _ count: Int) {
    #if os(Linux)
      _ = madvise(start, count, MADV_HUGEPAGE)
    #endif
  }
}
