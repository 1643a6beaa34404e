/// The merges of byte-level BPE: from a pair of tokens to the rank and the result of its merge.
///
/// Open addressing over pairs of token ids; 16 bytes per slot, at most half full.
struct MergeTable: Sendable {
  private struct Slot {
    var pair: UInt64
    var rank: UInt32
    var token: Int32
  }

  private static let free = UInt64.max
  private var slots: [Slot]
  private let shift: UInt64

  /// Room for `capacity` merges.
  init(capacity: Int) {
    var bits: UInt64 = 4
    while 1 << bits < 2 * capacity { bits += 1 }
    slots = [Slot](repeating: Slot(pair: Self.free, rank: 0, token: 0), count: 1 << bits)
    shift = 64 - bits
  }

  /// Adds a merge unless the pair has one; the first is the one of lowest rank. No more than
  /// `capacity` merges may be added.
  mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, token: Int32) {
    let pair = Self.key(left, right)
    let slot = position(of: pair)
    guard slots[slot].pair == Self.free else { return }
    slots[slot] = Slot(pair: pair, rank: rank, token: token)
  }

  /// The merge of `left` and `right`, or `Merge.none`.
  @inline(__always)
  func find(_ left: Int32, _ right: Int32) -> Merge {
    let slot = slots[position(of: Self.key(left, right))]
    return slot.pair == Self.free ? .none : Merge(priority: slot.rank, token: slot.token)
  }

  @inline(__always)
  private func position(of pair: UInt64) -> Int {
    let mask = slots.count - 1
    var slot = Int((pair &* 0x9E37_79B9_7F4A_7C15) >> shift)
    while slots[slot].pair != Self.free, slots[slot].pair != pair { slot = (slot + 1) & mask }
    return slot
  }

  /// Equal to `free` only for two bytes without a token (-1, -1), which rightly find nothing.
  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }
}
