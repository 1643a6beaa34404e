/// Many byte strings in one buffer: string *i* is `bytes[offsets[i]..<offsets[i + 1]]`.
///
/// The shape of a string array inside a GGUF file, so that a vocabulary of a quarter of a million
/// tokens is two allocations and no `String`. The strings need not be valid UTF-8.
public struct StringTable: Sendable, Equatable {
  /// All strings, one after the other.
  public let bytes: [UInt8]
  /// Where each string starts, with the end of the last one at the back: `count + 1` values.
  public let offsets: [Int32]

  /// Takes over a buffer and its offsets.
  ///
  /// - Throws: `TokenizerError.invalidStringTable` unless the offsets start at zero, never decrease
  ///   and stay inside `bytes`.
  public init(bytes: [UInt8], offsets: [Int32]) throws {
    guard let last = offsets.last, offsets[0] == 0 else {
      throw TokenizerError.invalidStringTable("the first offset must be 0")
    }
    for index in 1..<max(1, offsets.count) where offsets[index] < offsets[index - 1] {
      throw TokenizerError.invalidStringTable("offset \(index) is smaller than the one before it")
    }
    guard Int(last) <= bytes.count else {
      throw TokenizerError.invalidStringTable(
        "the last offset is \(last), but there are only \(bytes.count) bytes")
    }
    self.bytes = bytes
    self.offsets = offsets
  }

  /// Copies `strings` into one table.
  ///
  /// - Throws: `TokenizerError.invalidStringTable` if they take more than 2 GiB.
  public init(_ strings: some Sequence<String>) throws {
    var builder = Builder()
    for string in strings {
      builder.append(contentsOf: string.utf8)
      try builder.endString()
    }
    self = builder.finish()
  }

  private init(unchecked bytes: [UInt8], offsets: [Int32]) {
    self.bytes = bytes
    self.offsets = offsets
  }

  /// How many strings there are.
  public var count: Int { offsets.count - 1 }

  /// The bytes of string `index`, which must be in `0..<count`.
  public subscript(index: Int) -> ArraySlice<UInt8> { bytes[range(of: index)] }

  /// Where string `index` lies in `bytes`.
  func range(of index: Int) -> Range<Int> {
    Int(offsets[index])..<Int(offsets[index + 1])
  }
}

extension StringTable {
  /// Grows a table byte by byte.
  struct Builder {
    private var bytes: [UInt8] = []
    private var offsets: [Int32] = [0]

    init(strings: Int = 0, bytes byteCount: Int = 0) {
      offsets.reserveCapacity(strings + 1)
      bytes.reserveCapacity(byteCount)
    }

    mutating func append(_ byte: UInt8) { bytes.append(byte) }

    mutating func append(contentsOf more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func endString() throws {
      guard let end = Int32(exactly: bytes.count) else {
        throw TokenizerError.invalidStringTable("the strings take more than 2 GiB")
      }
      offsets.append(end)
    }

    consuming func finish() -> StringTable {
      StringTable(unchecked: bytes, offsets: offsets)
    }
  }
}
