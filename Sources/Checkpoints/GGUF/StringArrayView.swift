/// The strings of a metadata array, read in place: an offset each, no Swift string until one is
/// asked for.
public struct StringArrayView: Sendable {
  private let array: GGUFArray
  /// Where the bytes of each string begin in the array's encoding, after its 64-bit length.
  private let starts: [Int]

  /// - Returns: nil if the elements are not strings.
  init?(_ array: GGUFArray) {
    guard array.elementType == .string else { return nil }
    self.array = array
    starts = array.withEncoding { bytes in
      var starts: [Int] = []
      starts.reserveCapacity(array.count)
      var offset = 0
      for _ in 0..<array.count {
        offset += stringLengthBytes
        starts.append(offset)
        offset += Self.length(before: offset, in: bytes)
      }
      return starts
    }
  }

  /// Number of strings.
  public var count: Int { starts.count }

  /// Calls `body` with the bytes of string `index`, which need not be valid UTF-8.
  public func withBytes<Result>(
    at index: Int, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    let start = starts[index]
    return try array.withEncoding { bytes in
      let length = Self.length(before: start, in: bytes)
      return try body(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
    }
  }

  /// String `index`, with invalid UTF-8 repaired.
  public func string(at index: Int) -> String {
    withBytes(at: index) { String(decoding: $0, as: UTF8.self) }
  }

  /// All strings in one block: string i is `bytes[offsets[i]..<offsets[i + 1]]`.
  ///
  /// - Returns: nil if the strings are longer than `Int32.max` bytes altogether.
  public func contiguous() -> (bytes: [UInt8], offsets: [Int32])? {
    array.withEncoding { source in
      let total = source.count - stringLengthBytes * count
      guard total <= Int(Int32.max) else { return nil }
      var offsets: [Int32] = [0]
      offsets.reserveCapacity(count + 1)
      let bytes = [UInt8](unsafeUninitializedCapacity: total) { bytes, end in
        for start in starts {
          let length = min(Self.length(before: start, in: source), total - end)
          UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(bytes)[end...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<start + length]))
          end += length
          offsets.append(Int32(end))
        }
      }
      return (bytes, offsets)
    }
  }

  /// The length that lies before the string at `start`. The parser has checked it; it is clamped
  /// all the same, because a file can change under its mapping.
  private static func length(before start: Int, in bytes: UnsafeRawBufferPointer) -> Int {
    guard start <= bytes.count else { return 0 }
    let position = start - stringLengthBytes
    let length = UInt64(
      littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
    return Int(min(length, UInt64(bytes.count - start)))
  }
}

/// Bytes of the length before every string of a GGUF file.
let stringLengthBytes = MemoryLayout<UInt64>.size
