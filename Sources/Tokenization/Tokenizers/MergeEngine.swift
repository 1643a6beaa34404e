/// The result of joining two neighbouring symbols.
struct Merge {
  /// Lower merges first.
  var priority: UInt32
  /// The token of the joined text.
  var token: Int32

  /// The pair does not merge.
  static let none = Merge(priority: .max, token: -1)

  var exists: Bool { priority != .max }
}

/// What a vocabulary knows about neighbouring symbols of a word.
protocol MergeRules {
  /// The merge of the symbols with tokens `left` and `right` (-1: no token of their own), whose
  /// joined text is `range` of `text`.
  func merge(_ left: Int32, _ right: Int32, in text: [UInt8], _ range: Range<Int>) -> Merge
}

/// Byte-pair merging of one word at a time: the best pair first, of equals the leftmost.
///
/// Short words are scanned for their best pair, which is fastest and allocates nothing; long ones
/// use a linked list and a heap, so that a word of *n* symbols costs O(n log n) whatever it holds.
struct MergeEngine {
  /// Where each symbol of the word starts, and at the back where the last one ends. Filled by the
  /// caller before `merge`, the merged symbols after it.
  private(set) var starts: [Int32] = []
  /// The token of each symbol, or -1.
  private(set) var tokens: [Int32] = []
  /// How many steps all merging took so far: pairs examined and heap entries moved in or out.
  private(set) var work = 0

  private var candidates: [Merge] = []
  private var heap = MergeHeap()
  private var next: [Int32] = []
  private var previous: [Int32] = []

  /// The longest word in bytes, as positions in it are kept in 32 bits; longer ones must be cut.
  static let longestWord = 1 << 30

  /// Up to here a scan for the best pair beats a heap.
  private static let longestScannedWord = 24

  mutating func beginWord() {
    starts.removeAll(keepingCapacity: true)
    tokens.removeAll(keepingCapacity: true)
  }

  mutating func appendSymbol(start: Int, token: Int32) {
    starts.append(Int32(truncatingIfNeeded: start))
    tokens.append(token)
  }

  /// Merges the symbols of the word, which lies in `text` from `base` on and ends at `end`
  /// (relative to `base`), until no pair merges.
  mutating func merge(_ text: [UInt8], base: Int, end: Int, rules: some MergeRules) {
    starts.append(Int32(truncatingIfNeeded: end))
    if tokens.count <= Self.longestScannedWord {
      mergeByScanning(text, base: base, rules: rules)
    } else {
      mergeByHeap(text, base: base, rules: rules)
    }
  }

  private func merge(
    at symbol: Int, _ text: [UInt8], base: Int, rules: some MergeRules
  ) -> Merge {
    rules.merge(
      tokens[symbol], tokens[symbol + 1], in: text,
      base + Int(starts[symbol])..<base + Int(starts[symbol + 2]))
  }

  private mutating func mergeByScanning(_ text: [UInt8], base: Int, rules: some MergeRules) {
    candidates.removeAll(keepingCapacity: true)
    for symbol in 0..<max(0, tokens.count - 1) {
      candidates.append(merge(at: symbol, text, base: base, rules: rules))
    }
    while true {
      var best = -1
      var bestPriority = UInt32.max
      for index in 0..<candidates.count where candidates[index].priority < bestPriority {
        best = index
        bestPriority = candidates[index].priority
      }
      work += candidates.count
      if best < 0 { return }
      tokens[best] = candidates[best].token
      tokens.remove(at: best + 1)
      starts.remove(at: best + 1)
      candidates.remove(at: best)
      if best > 0 {
        candidates[best - 1] = merge(at: best - 1, text, base: base, rules: rules)
      }
      if best < candidates.count {
        candidates[best] = merge(at: best, text, base: base, rules: rules)
      }
    }
  }

  private mutating func mergeByHeap(_ text: [UInt8], base: Int, rules: some MergeRules) {
    let count = tokens.count
    next = (1...Int32(count)).map { $0 }
    previous = (-1..<Int32(count - 1)).map { $0 }
    heap.removeAll()
    for symbol in 0..<count - 1 {
      push(symbol, symbol + 1, text, base: base, rules: rules)
    }
    while let entry = heap.popFirst() {
      work += 1
      let left = entry.left
      let right = Int(next[left])
      // An entry is stale once either side has merged: then the left symbol is gone (its `next` is
      // 0) or the pair has grown.
      guard right > 0, right < count, starts[Int(next[right])] - starts[left] == entry.length
      else { continue }
      let after = next[right]
      tokens[left] = entry.token
      next[left] = after
      next[right] = 0
      if Int(after) < count { previous[Int(after)] = Int32(truncatingIfNeeded: left) }
      if previous[left] >= 0 { push(Int(previous[left]), left, text, base: base, rules: rules) }
      if Int(after) < count { push(left, Int(after), text, base: base, rules: rules) }
    }
    compact(count)
  }

  private mutating func push(
    _ left: Int, _ right: Int, _ text: [UInt8], base: Int, rules: some MergeRules
  ) {
    let end = starts[Int(next[right])]
    let merge = rules.merge(
      tokens[left], tokens[right], in: text, base + Int(starts[left])..<base + Int(end))
    work += 1
    guard merge.exists else { return }
    heap.insert(merge, left: left, length: end - starts[left])
  }

  /// Moves the symbols that are left to the front.
  private mutating func compact(_ count: Int) {
    var kept = 0
    var symbol = 0
    while symbol < count {
      starts[kept] = starts[symbol]
      tokens[kept] = tokens[symbol]
      kept += 1
      symbol = Int(next[symbol])
    }
    starts[kept] = starts[count]
    starts.removeLast(count - kept)
    tokens.removeLast(count - kept)
  }
}

/// A binary min-heap of possible merges, ordered by priority, then by position.
private struct MergeHeap {
  struct Entry {
    /// The priority in the upper half, the left symbol in the lower.
    var key: UInt64
    var token: Int32
    /// The length of the joined text in bytes; tells whether the entry still holds.
    var length: Int32

    var left: Int { Int(key & 0xFFFF_FFFF) }
  }

  private var entries: [Entry] = []

  mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

  mutating func insert(_ merge: Merge, left: Int, length: Int32) {
    let entry = Entry(
      key: UInt64(merge.priority) << 32 | UInt64(left), token: merge.token, length: length)
    entries.append(entry)
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if entries[parent].key <= entry.key { break }
      entries[child] = entries[parent]
      child = parent
    }
    entries[child] = entry
  }

  mutating func popFirst() -> Entry? {
    guard let first = entries.first, let last = entries.popLast() else { return nil }
    let count = entries.count
    if count == 0 { return first }
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= count { break }
      if child + 1 < count, entries[child + 1].key < entries[child].key { child += 1 }
      if entries[child].key >= last.key { break }
      entries[parent] = entries[child]
      parent = child
    }
    entries[parent] = last
    return first
  }
}
