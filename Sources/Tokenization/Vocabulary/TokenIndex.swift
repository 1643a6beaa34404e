/// Finds the token with given bytes: an open-addressing hash table over a `StringTable`.
///
/// One 8-byte slot per entry holds 32 bits of the hash and the token, so that a probe touches the
/// strings only when it has very probably found its token.
struct TokenIndex: Sendable {
  /// Hash tag in the upper half, token + 1 in the lower half; zero is free. A power of two of them,
  /// at most half full.
  private var slots: [UInt64]
  private let shift: UInt64
  private let strings: StringTable
  /// The longest string, in bytes: a longer query cannot be found.
  let longest: Int

  /// Indexes all of `strings`. Of equal strings the first one for which `isPreferred` holds is
  /// found, else the first one.
  init(_ strings: StringTable, isPreferred: (Int) -> Bool) {
    var bits: UInt64 = 4
    while 1 << bits < 2 * strings.count { bits += 1 }
    slots = [UInt64](repeating: 0, count: 1 << bits)
    shift = 64 - bits
    self.strings = strings
    var longest = 0
    let mask = slots.count - 1
    for token in 0..<strings.count {
      let range = strings.range(of: token)
      longest = max(longest, range.count)
      let hash = Self.hash(strings.bytes, range)
      let entry = Self.entry(hash: hash, token: token)
      var slot = Int(hash >> shift)
      var isDone = false
      while !isDone, slots[slot] != 0 {
        let other = Self.token(of: slots[slot])
        if Self.tag(of: slots[slot]) == Self.tag(of: entry),
          strings.bytes[strings.range(of: other)] == strings.bytes[range]
        {
          if isPreferred(token), !isPreferred(other) { slots[slot] = entry }
          isDone = true
        }
        slot = (slot + 1) & mask
      }
      if !isDone { slots[slot] = entry }
    }
    self.longest = longest
  }

  /// The token whose bytes are `range` of `text`, or -1.
  @inline(__always)
  func find(_ text: [UInt8], _ range: Range<Int>) -> Int32 {
    guard range.count <= longest else { return -1 }
    let hash = Self.hash(text, range)
    let tag = hash & 0xFFFF_FFFF
    let mask = slots.count - 1
    var slot = Int(hash >> shift)
    while slots[slot] != 0 {
      if Self.tag(of: slots[slot]) == tag {
        let token = Self.token(of: slots[slot])
        if isEqual(token, text, range) { return Int32(truncatingIfNeeded: token) }
      }
      slot = (slot + 1) & mask
    }
    return -1
  }

  @inline(__always)
  private func isEqual(_ token: Int, _ text: [UInt8], _ range: Range<Int>) -> Bool {
    let own = strings.range(of: token)
    guard own.count == range.count else { return false }
    for offset in 0..<range.count
    where strings.bytes[own.lowerBound + offset] != text[range.lowerBound + offset] {
      return false
    }
    return true
  }

  /// The slot comes from the upper bits of the hash and the tag from the lower ones, so both must
  /// be well mixed: multiply per byte, then fold.
  @inline(__always)
  static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
    var hash: UInt64 = 0x2545_F491_4F6C_DD1D
    for index in range {
      hash = (hash ^ UInt64(bytes[index])) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 29
    }
    return hash &* 0xD6E8_FEB8_6659_FD93
  }

  private static func entry(hash: UInt64, token: Int) -> UInt64 {
    hash << 32 | UInt64(token + 1)
  }

  @inline(__always)
  private static func tag(of entry: UInt64) -> UInt64 { entry >> 32 }

  @inline(__always)
  private static func token(of entry: UInt64) -> Int { Int(entry & 0xFFFF_FFFF) - 1 }
}
