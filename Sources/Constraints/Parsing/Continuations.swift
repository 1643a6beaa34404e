/// What may follow the rule that is being read: sets of frames, each a state to go on with and what
/// follows its own rule.
///
/// Equal sets have one number, so that places in a text which go on alike are one place, however
/// they were reached. Under left recursion a set may have frames that lead back to itself; such
/// sets are made in groups.
struct Continuations {
  /// A state in the upper half and a continuation in the lower one. Also an item of a parser state:
  /// where a rule is, and what follows it.
  typealias Frame = UInt64

  static func frame(_ state: Int32, _ continuation: Int32) -> Frame {
    UInt64(UInt32(bitPattern: state)) << 32 | UInt64(UInt32(bitPattern: continuation))
  }

  static func state(_ frame: Frame) -> Int32 { Int32(truncatingIfNeeded: frame >> 32) }
  static func continuation(_ frame: Frame) -> Int32 { Int32(truncatingIfNeeded: frame) }

  /// The continuation of the root: the text is complete.
  static let end: Int32 = 0
  /// The continuation that is not known, of what is read without its context.
  static let unknown: Int32 = 1
  /// Pseudo-states of the frames of these two.
  static let endState: Int32 = .max
  static let unknownState: Int32 = .max - 1

  private var frames: [Frame] = []
  private var bounds: [Int32] = [0]
  private var index: [[Frame]: Int32] = [:]
  private var simulations: [UInt64: Bool] = [:]

  init() {
    _ = intern([Self.frame(Self.endState, 0)])
    _ = intern([Self.frame(Self.unknownState, 0)])
  }

  /// Bytes of memory, roughly.
  var byteCount: Int { frames.count * 24 + bounds.count * 72 + simulations.count * 32 }

  func frames(of continuation: Int32) -> ArraySlice<Frame> {
    frames[Int(bounds[Int(continuation)])..<Int(bounds[Int(continuation) + 1])]
  }

  /// The number of a set of frames, given in any order.
  mutating func intern(_ unordered: [Frame]) -> Int32 {
    let sorted = withoutRedundant(unordered)
    if let known = index[sorted] { return known }
    index[sorted] = Int32(bounds.count - 1)
    return append(sorted)
  }

  private mutating func append(_ sorted: [Frame]) -> Int32 {
    frames.append(contentsOf: sorted)
    bounds.append(Int32(frames.count))
    return Int32(bounds.count - 2)
  }

  // MARK: Groups

  /// Frames of one continuation of a group.
  struct Member {
    /// Frames that lead out of the group.
    var outer: Set<Frame> = []
    /// Frames that lead to members: a state, and the member's place in the group.
    var inner: Set<Frame> = []
  }

  /// The numbers of a group of continuations that lead to each other: the first one's, the others
  /// follow it.
  mutating func intern(group: [Member]) -> Int32 {
    let group = withoutRedundant(group)
    // Marks keep members apart; no frame has these states.
    var key: [Frame] = [Self.frame(-1, Int32(group.count))]
    for member in group {
      key += member.outer.sorted()
      key.append(Self.frame(-2, 0))
      key += member.inner.sorted()
      key.append(Self.frame(-3, 0))
    }
    if let known = index[key] { return known }
    let base = Int32(bounds.count - 1)
    index[key] = base
    for member in group {
      let inner = member.inner.map { Self.frame(Self.state($0), base + Self.continuation($0)) }
      _ = append((member.outer + inner).sorted())
    }
    return base
  }

  // MARK: Redundancy

  /// Sorted and unique, without frames whose texts another frame has too.
  mutating func withoutRedundant(_ unordered: [Frame]) -> [Frame] {
    var sorted = unordered.sorted()
    guard sorted.count > 1 else { return sorted }
    var kept = 0
    for place in sorted.indices where place == 0 || sorted[place] != sorted[place - 1] {
      sorted[kept] = sorted[place]
      kept += 1
    }
    sorted.removeSubrange(kept...)
    let hasEqualStates = zip(sorted, sorted.dropFirst()).contains {
      Self.state($0) == Self.state($1)
    }
    return hasEqualStates ? withoutSimulated(sorted) : sorted
  }

  private mutating func withoutSimulated(_ sorted: [Frame]) -> [Frame] {
    var isDropped = Array(repeating: false, count: sorted.count)
    var begin = 0
    while begin < sorted.count {
      var end = begin + 1
      while end < sorted.count, Self.state(sorted[end]) == Self.state(sorted[begin]) { end += 1 }
      // Beyond this many the comparison of all pairs would cost more than it saves.
      if end - begin <= 32 {
        for place in begin..<end {
          isDropped[place] = (begin..<end).contains { other in
            other != place && !isDropped[other]
              && simulates(
                Self.continuation(sorted[other]), Self.continuation(sorted[place]))
          }
        }
      }
      begin = end
    }
    return sorted.indices.filter { !isDropped[$0] }.map { sorted[$0] }
  }

  /// True if every text of `small` is one of `large`, as far as frame by frame comparison shows.
  private mutating func simulates(_ large: Int32, _ small: Int32) -> Bool {
    if large == small { return true }
    let key = UInt64(UInt32(large)) << 32 | UInt64(UInt32(small))
    if let known = simulations[key] { return known }
    var comparison = Comparison(group: [])
    let result = comparison.covers(.known(large), .known(small), in: self)
    if simulations.count > 100_000 { simulations.removeAll() }
    simulations[key] = result
    return result
  }

  private func withoutRedundant(_ group: [Member]) -> [Member] {
    var group = group
    for place in group.indices {
      for frame in group[place].outer.sorted() {
        let state = Self.state(frame)
        let isCovered = group[place].inner.contains { inner in
          var comparison = Comparison(group: group)
          return Self.state(inner) == state
            && comparison.covers(
              .member(Int(Self.continuation(inner))), .known(Self.continuation(frame)), in: self)
        }
        if isCovered { group[place].outer.remove(frame) }
      }
    }
    return group
  }

  /// Compares what may follow, frame by frame. Pairs that are being compared count as covered: a
  /// text is finite, so that what is left of it gets shorter with every frame.
  private struct Comparison {
    enum Side: Hashable {
      case known(Int32)
      case member(Int)
    }

    struct Pair: Hashable {
      let large: Side
      let small: Side
    }

    let group: [Member]
    private var assumed: Set<Pair> = []
    private var refuted: Set<Pair> = []
    private var budget = 400

    init(group: [Member]) { self.group = group }

    /// False also where the comparison takes too long.
    mutating func covers(
      _ large: Side, _ small: Side, in all: Continuations, depth: Int = 0
    ) -> Bool {
      if large == small { return true }
      let pair = Pair(large: large, small: small)
      guard depth < 40, !refuted.contains(pair) else { return false }
      if assumed.contains(pair) { return true }
      let before = assumed
      assumed.insert(pair)
      let largeFrames = frames(large, in: all)
      for (state, next) in frames(small, in: all) {
        budget -= 1
        let isCovered =
          budget > 0
          && largeFrames.contains { candidate in
            candidate.state == state && covers(candidate.next, next, in: all, depth: depth + 1)
          }
        guard isCovered else {
          // What was found to hold meanwhile may have rested on this pair.
          assumed = before
          refuted.insert(pair)
          return false
        }
      }
      return true
    }

    private func frames(_ side: Side, in all: Continuations) -> [(state: Int32, next: Side)] {
      switch side {
      case .known(let continuation):
        return all.frames(of: continuation).map {
          (Continuations.state($0), .known(Continuations.continuation($0)))
        }
      case .member(let place):
        return group[place].outer.map {
          (Continuations.state($0), .known(Continuations.continuation($0)))
        }
          + group[place].inner.map {
            (Continuations.state($0), .member(Int(Continuations.continuation($0))))
          }
      }
    }
  }
}
