/// An automaton over bytes and rules: what one rule of a grammar is compiled to.
///
/// State 0 is the start. Without `calls` it is a plain finite automaton. Most are deterministic;
/// those whose deterministic form would be too large are not.
struct Automaton: Sendable {
  /// Goes to `target` with one byte of `low...high`.
  struct ByteEdge: Sendable, Equatable {
    var low: UInt8
    var high: UInt8
    var target: Int32
  }

  /// Goes to `target` with a text of `rule`.
  struct Call: Sendable, Equatable {
    var rule: Int32
    var target: Int32
  }

  struct State: Sendable {
    var bytes: [ByteEdge] = []
    var calls: [Call] = []
    var isAccepting = false
  }

  var states: [State] = []

  /// No text at all.
  static let never = Automaton(states: [State()])

  var isRegular: Bool { states.allSatisfy { $0.calls.isEmpty } }

  /// True if some state goes on with most bytes: then many tokens are possible there.
  var isWide: Bool {
    states.contains { state in
      state.bytes.reduce(0) { $0 + Int($1.high) - Int($1.low) + 1 } >= 64
    }
  }

  /// Shortest way to an accepting state, in edges; nil where there is none. Rules count as one edge.
  func distancesToEnd() -> [Int32?] {
    var into: [[Int32]] = Array(repeating: [], count: states.count)
    for (index, state) in states.enumerated() {
      for edge in state.bytes { into[Int(edge.target)].append(Int32(index)) }
      for call in state.calls { into[Int(call.target)].append(Int32(index)) }
    }
    var distances: [Int32?] = Array(repeating: nil, count: states.count)
    var queue = states.indices.filter { states[$0].isAccepting }
    for state in queue { distances[state] = 0 }
    var next = 0
    while next < queue.count {
      let state = queue[next]
      next += 1
      for source in into[state] where distances[Int(source)] == nil {
        distances[Int(source)] = (distances[state] ?? 0) + 1
        queue.append(Int(source))
      }
    }
    return distances
  }

  /// Without the states from which nothing ends; the start always stays.
  func trimmed() -> Automaton {
    let distances = distancesToEnd()
    var places = Array(repeating: Int32(-1), count: states.count)
    var kept: [Int] = []
    for index in states.indices where index == 0 || distances[index] != nil {
      places[index] = Int32(kept.count)
      kept.append(index)
    }
    guard kept.count < states.count else { return self }
    return Automaton(
      states: kept.map { index in
        var state = states[index]
        state.bytes = state.bytes.compactMap { edge in
          places[Int(edge.target)] < 0
            ? nil : ByteEdge(low: edge.low, high: edge.high, target: places[Int(edge.target)])
        }
        state.calls = state.calls.compactMap { call in
          places[Int(call.target)] < 0
            ? nil : Call(rule: call.rule, target: places[Int(call.target)])
        }
        return state
      })
  }

  /// The texts that both accept, or those of `self` that `other` does not; both deterministic and
  /// regular.
  func combined(
    with other: Automaton, excluding: Bool, limit: Int
  ) throws -> Automaton {
    // -1 stands for the state of `other` from which nothing is accepted.
    var index: [SIMD2<Int32>: Int32] = [:]
    var pairs: [SIMD2<Int32>] = []
    func place(_ pair: SIMD2<Int32>) -> Int32 {
      if let known = index[pair] { return known }
      let place = Int32(pairs.count)
      index[pair] = place
      pairs.append(pair)
      return place
    }
    _ = place([0, 0])
    var result = Automaton()
    while result.states.count < pairs.count {
      guard pairs.count <= limit else {
        throw ConstraintError.tooLarge(
          "two patterns that must both match have more than \(limit) states together; write a "
            + "simpler pattern or smaller bounds")
      }
      let pair = pairs[result.states.count]
      let right = pair.y < 0 ? State() : other.states[Int(pair.y)]
      var state = State()
      let accepts = states[Int(pair.x)].isAccepting
      state.isAccepting = accepts && (right.isAccepting != excluding)
      for edge in states[Int(pair.x)].bytes {
        for part in right.parts(of: edge) where excluding || part.target >= 0 {
          state.bytes.append(
            ByteEdge(
              low: part.low, high: part.high, target: place([edge.target, part.target])))
        }
      }
      result.states.append(state)
    }
    return result.trimmed()
  }
}

extension Automaton.State {
  /// The pieces of an edge's bytes by where they lead here, -1 where nowhere.
  fileprivate func parts(of edge: Automaton.ByteEdge) -> [Automaton.ByteEdge] {
    var parts: [Automaton.ByteEdge] = []
    var next = Int(edge.low)
    for own in bytes.sorted(by: { $0.low < $1.low })
    where Int(own.high) >= next && own.low <= edge.high {
      if Int(own.low) > next {
        parts.append(.init(low: UInt8(next), high: own.low - 1, target: -1))
      }
      let low = max(next, Int(own.low))
      let high = min(own.high, edge.high)
      parts.append(.init(low: UInt8(low), high: high, target: own.target))
      next = Int(high) + 1
    }
    if next <= Int(edge.high) {
      parts.append(.init(low: UInt8(next), high: edge.high, target: -1))
    }
    return parts
  }
}
