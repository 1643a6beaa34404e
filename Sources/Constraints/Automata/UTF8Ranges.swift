/// Splits ranges of scalars into sequences of byte ranges, as UTF-8 writes them.
enum UTF8Ranges {
  typealias ByteRange = (low: UInt8, high: UInt8)

  /// Sequences of one to four byte ranges, whose texts together are the scalars of `set`.
  static func sequences(_ set: ScalarSet) -> [[ByteRange]] {
    var result: [[ByteRange]] = []
    for range in set.ranges { split(range, into: &result) }
    return result
  }

  /// Largest scalars of one to four bytes.
  private static let limits: [UInt32] = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF]

  private static func split(_ range: ClosedRange<UInt32>, into result: inout [[ByteRange]]) {
    var low = range.lowerBound
    for limit in limits where low <= range.upperBound && low <= limit {
      let high = min(range.upperBound, limit)
      splitSameLength(low, high, into: &result)
      low = high + 1
    }
  }

  /// Cuts where the last bytes do not run from 80 to BF, until they all do.
  private static func splitSameLength(
    _ low: UInt32, _ high: UInt32, into result: inout [[ByteRange]]
  ) {
    let (first, last) = (encode(low), encode(high))
    for tail in 1..<max(first.count, 1) {
      let mask = (UInt32(1) << (6 * UInt32(tail))) - 1
      guard low & ~mask != high & ~mask else { continue }
      if low & mask != 0 {
        splitSameLength(low, low | mask, into: &result)
        splitSameLength((low | mask) + 1, high, into: &result)
        return
      }
      if high & mask != mask {
        splitSameLength(low, (high & ~mask) - 1, into: &result)
        splitSameLength(high & ~mask, high, into: &result)
        return
      }
    }
    result.append(zip(first, last).map { ($0, $1) })
  }

  private static func encode(_ scalar: UInt32) -> [UInt8] {
    func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: scalar >> shift & 0x3F) }
    return switch scalar {
    case ..<0x80: [UInt8(scalar)]
    case ..<0x800: [0xC0 | UInt8(scalar >> 6), tail(0)]
    case ..<0x10000: [0xE0 | UInt8(scalar >> 12), tail(6), tail(0)]
    default: [0xF0 | UInt8(truncatingIfNeeded: scalar >> 18), tail(12), tail(6), tail(0)]
    }
  }
}
