/// A non-deterministic automaton with empty moves (Thompson's construction), built from a rule's
/// expression. Flat arrays: grammars may have a million states.
struct NFA {
  /// An edge of a state's list.
  struct Edge {
    /// `emptyMove`, bytes `low << 8 | high`, or `firstRule` + the rule.
    var label: Int32
    var target: Int32
    /// The state's next edge; -1 for the last.
    var next: Int32
  }

  static let emptyMove: Int32 = -1
  static let firstRule: Int32 = 1 << 16
  /// Most states of one rule.
  static let mostStates = 1_000_000

  private(set) var edges: [Edge] = []
  private(set) var heads: [Int32] = []

  var count: Int { heads.count }

  mutating func addState() throws -> Int32 {
    guard heads.count < Self.mostStates else {
      throw ConstraintError.tooLarge(
        "a rule has more than \(Self.mostStates) states; write smaller repetitions")
    }
    heads.append(-1)
    return Int32(heads.count - 1)
  }

  mutating func addEdge(_ source: Int32, _ label: Int32, _ target: Int32) {
    edges.append(Edge(label: label, target: target, next: heads[Int(source)]))
    heads[Int(source)] = Int32(edges.count - 1)
  }

  mutating func addBytes(_ source: Int32, _ low: UInt8, _ high: UInt8, _ target: Int32) {
    addEdge(source, Int32(low) << 8 | Int32(high), target)
  }

  /// Turns an edge into a loop to itself by an empty move, which changes nothing: removes it.
  mutating func remove(edge: Int, of source: Int32) {
    edges[edge].label = Self.emptyMove
    edges[edge].target = source
  }

  /// Calls `body` with each edge of a state and its index.
  func forEachEdge(_ state: Int32, _ body: (Int, Edge) throws -> Void) rethrows {
    var next = heads[Int(state)]
    while next >= 0 {
      let edge = edges[Int(next)]
      try body(Int(next), edge)
      next = edge.next
    }
  }

  /// Appends the states of an automaton; returns where its start and its end are. The end is a
  /// state that its accepting states reach by empty moves.
  mutating func append(_ automaton: Automaton, from source: Int32) throws -> Int32 {
    let base = Int32(count)
    for _ in automaton.states { _ = try addState() }
    let end = try addState()
    for (index, state) in automaton.states.enumerated() {
      let place = base + Int32(index)
      for edge in state.bytes { addBytes(place, edge.low, edge.high, base + edge.target) }
      for call in state.calls { addEdge(place, Self.firstRule + call.rule, base + call.target) }
      if state.isAccepting { addEdge(place, Self.emptyMove, end) }
    }
    addEdge(source, Self.emptyMove, base)
    return end
  }

  /// Appends characters in UTF-8. Their common beginnings are shared, and their tails of full
  /// ranges.
  mutating func append(_ set: ScalarSet, from source: Int32) throws -> Int32 {
    let end = try addState()
    var tails: [Int32] = [end]
    var begun: [SIMD4<Int32>: Int32] = [:]
    for sequence in UTF8Ranges.sequences(set) {
      var at = source
      for (place, range) in sequence.enumerated() {
        let rest = sequence[(place + 1)...]
        guard rest.allSatisfy({ $0.low == 0x80 && $0.high == 0xBF }) else {
          let key: SIMD4<Int32> = [at, Int32(range.low), Int32(range.high), 0]
          if let known = begun[key] {
            at = known
            continue
          }
          let target = try addState()
          addBytes(at, range.low, range.high, target)
          begun[key] = target
          at = target
          continue
        }
        while tails.count <= rest.count {
          let tail = try addState()
          addBytes(tail, 0x80, 0xBF, tails[tails.count - 1])
          tails.append(tail)
        }
        addBytes(at, range.low, range.high, tails[rest.count])
        break
      }
    }
    return end
  }
}
