/// Where the n-grams of a growing token sequence were followed by another token before.
///
/// A hash table with open addressing over a polynomial hash, which is rolled along as tokens are
/// appended. The table holds positions only, and a hit counts when all tokens of the n-gram agree,
/// so what the hash does with them can cost time but never give a wrong answer.
///
/// Entry `p` stands for the n-gram `tokens[p - length ..< p]`, which `tokens[p]` followed. The last
/// n-gram has no entry: nothing follows it yet, and it can never be found as its own predecessor.
///
/// Cost: appending takes O(1) amortised (the table grows by a fifth), looking up O(1) expected,
/// taking back a token O(1) expected. Memory: at most 16 bytes for each token, the tokens
/// themselves included, once there are a thousand.
final class NGramIndex {
  /// Which occurrence of an n-gram the table leads to.
  enum Occurrence: String {
    /// The first; later ones are not recorded.
    case first
    /// The last, and from there each one before it.
    case last
  }

  /// Tokens of an n-gram.
  let length: Int
  /// Which occurrence is found.
  let occurrence: Occurrence
  /// The indexed tokens.
  private(set) var tokens: [Int32] = []
  /// Slots of the table that were looked at; for tests.
  private(set) var probeCount = 0
  /// Tokens before entries that were compared with the end of the sequence; for tests.
  private(set) var comparedCount = 0
  /// Tokens that were appended, those taken back included; for tests.
  private(set) var appendedCount = 0

  private var previous: [Int32] = []  // earlier entry of the same n-gram, -1 for none
  private var slots: [Int32] = []  // entry, -1 for an empty slot
  private var capacity = 0  // tokens that fit; four fifths of the slots
  private let multiplier: UInt64
  private let leadingFactor: UInt64  // multiplier ^ (length - 1)
  private var rolling: UInt64 = 0  // hash of the last `length` tokens

  /// An empty index.
  ///
  /// - Parameters:
  ///   - length: tokens of an n-gram, 1 or more.
  ///   - multiplier: of the polynomial hash; tests give bad ones.
  init(
    length: Int, occurrence: Occurrence = .last, multiplier: UInt64 = 0xD1B5_4A32_D192_ED03
  ) {
    self.length = max(length, 1)
    self.occurrence = occurrence
    self.multiplier = multiplier
    leadingFactor = (1..<max(length, 1)).reduce(1) { factor, _ in factor &* multiplier }
  }

  /// Number of indexed tokens.
  var count: Int { tokens.count }

  /// Bytes of the index, the tokens included.
  var byteCount: Int {
    (tokens.capacity + previous.capacity + slots.capacity) * MemoryLayout<Int32>.stride
  }

  // MARK: Looking up

  /// The entry of the n-gram that ends the sequence; nil if it was never followed by anything.
  func entryOfTail() -> Int? {
    guard count >= length else { return nil }
    let slot = slot(ofTailBefore: count, hash: rolling)
    return slots[slot] < 0 ? nil : Int(slots[slot])
  }

  /// The entry of `key`, which has `length` tokens; nil if it was never followed by anything.
  func entry(of key: ArraySlice<Int32>) -> Int? {
    guard key.count == length, capacity > 0 else { return nil }
    let hash = key.reduce(0) { $0 &* multiplier &+ Self.value($1) }
    let slot = probe(hash) { tokens, entry in tokens[entry - length..<entry] == key }
    return slots[slot] < 0 ? nil : Int(slots[slot])
  }

  /// The entry of the same n-gram before `entry`; nil if there is none (or only the first
  /// occurrences are kept).
  func entry(before entry: Int) -> Int? {
    previous[entry] < 0 ? nil : Int(previous[entry])
  }

  /// How many tokens before `entry` and before the end of the sequence agree, up to `limit`.
  func sharedContext(of entry: Int, limit: Int) -> Int {
    let end = count
    let limit = min(limit, entry)
    var shared = 0
    while shared < limit, tokens[entry - 1 - shared] == tokens[end - 1 - shared] { shared += 1 }
    comparedCount += shared + 1
    return shared
  }

  // MARK: Changing

  /// Makes the index that of `sequence`: keeps what both share, takes back what `sequence` lacks
  /// and appends what is new.
  func follow(_ sequence: [Int32]) {
    let limit = min(count, sequence.count)
    var common = 0
    while common < limit, tokens[common] == sequence[common] { common += 1 }
    truncate(to: common)
    reserve(sequence.count)
    for index in common..<sequence.count { append(sequence[index]) }
  }

  /// Makes room for `count` tokens.
  func reserve(_ count: Int) {
    if count > capacity { grow(to: count) }
  }

  /// Appends a token: the n-gram before it is now known to be followed.
  func append(_ token: Int32) {
    if count == capacity { grow(to: max(capacity + capacity / 5, 64)) }
    appendedCount += 1
    let end = count
    guard end >= length else {
      previous.append(-1)
      tokens.append(token)
      rolling = rolling &* multiplier &+ Self.value(token)
      return
    }
    let slot = slot(ofTailBefore: end, hash: rolling)
    let known = slots[slot]
    previous.append(occurrence == .last ? known : -1)
    if known < 0 || occurrence == .last { slots[slot] = Int32(truncatingIfNeeded: end) }
    let leaving = Self.value(tokens[end - length]) &* leadingFactor
    rolling = (rolling &- leaving) &* multiplier &+ Self.value(token)
    tokens.append(token)
  }

  /// Takes tokens back until `count` are left.
  func truncate(to count: Int) {
    guard count < self.count else { return }
    if count < self.count / 2 {
      let kept = Array(tokens[..<count])
      tokens.removeAll(keepingCapacity: true)
      previous.removeAll(keepingCapacity: true)
      for slot in slots.indices { slots[slot] = -1 }
      rolling = 0
      for token in kept { append(token) }
      return
    }
    for end in stride(from: self.count - 1, through: max(count, length), by: -1) {
      let slot = slot(ofTailBefore: end, hash: hash(before: end))
      guard slots[slot] == Int32(truncatingIfNeeded: end) else { continue }
      if previous[end] >= 0 { slots[slot] = previous[end] } else { remove(slot) }
    }
    tokens.removeSubrange(count...)
    previous.removeSubrange(count...)
    let start = max(count - length, 0)
    rolling = tokens[start...].reduce(0) { $0 &* multiplier &+ Self.value($1) }
  }

  // MARK: Table

  /// The slot that holds an entry for which `matches` says yes, or the empty one where the search
  /// ends. A fifth of the slots is always empty.
  @inline(__always)
  private func probe(_ hash: UInt64, _ matches: ([Int32], Int) -> Bool) -> Int {
    // Copies of the references: the compiler need not ask at each turn whether somebody else
    // changes the arrays meanwhile.
    let slots = slots
    let tokens = tokens
    var slot = home(of: hash, among: slots.count)
    var probes = 1
    while slots[slot] >= 0, !matches(tokens, Int(slots[slot])) {
      slot += 1
      if slot == slots.count { slot = 0 }
      probes += 1
    }
    probeCount += probes
    return slot
  }

  /// The slot of the n-gram that ends before `end`.
  private func slot(ofTailBefore end: Int, hash: UInt64) -> Int {
    probe(hash) { tokens, entry in
      for back in 1...length where tokens[entry - back] != tokens[end - back] { return false }
      return true
    }
  }

  /// Where the search for a hash begins. The multiplication lifts the last token, which only the
  /// low bits of a polynomial know, into the high bits, which choose the slot.
  private func home(of hash: UInt64, among count: Int) -> Int {
    let mixed = (hash ^ (hash >> 29)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed.multipliedFullWidth(by: UInt64(count)).high)
  }

  private func hash(before end: Int) -> UInt64 {
    var hash: UInt64 = 0
    for index in (end - length)..<end { hash = hash &* multiplier &+ Self.value(tokens[index]) }
    return hash
  }

  /// Empties a slot and moves up what was displaced beyond it, so that no search ends too early.
  private func remove(_ slot: Int) {
    var hole = slot
    var next = slot
    while true {
      next = next + 1 == slots.count ? 0 : next + 1
      let entry = Int(slots[next])
      guard entry >= 0 else { break }
      let home = home(of: hash(before: entry), among: slots.count)
      guard distance(from: home, to: next) >= distance(from: hole, to: next) else { continue }
      slots[hole] = slots[next]
      hole = next
    }
    slots[hole] = -1
  }

  private func distance(from: Int, to: Int) -> Int {
    to >= from ? to - from : to - from + slots.count
  }

  private func grow(to count: Int) {
    capacity = count
    tokens.reserveCapacity(count)
    previous.reserveCapacity(count)
    var grown = [Int32](repeating: -1, count: count + count / 4 + 1)
    for entry in slots where entry >= 0 {
      var slot = home(of: hash(before: Int(entry)), among: grown.count)
      while grown[slot] >= 0 { slot = slot + 1 == grown.count ? 0 : slot + 1 }
      grown[slot] = entry
    }
    probeCount += slots.count
    slots = grown
  }

  private static func value(_ token: Int32) -> UInt64 { UInt64(UInt32(bitPattern: token)) &+ 1 }
}
