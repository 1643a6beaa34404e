/// Merges the equivalent states of deterministic automata, by refining a partition (Moore).
enum Minimizer {
  /// Above this much work an automaton stays as it is.
  private static let mostWork = 4_000_000

  static func minimized(_ automaton: Automaton) -> Automaton {
    let states = automaton.states
    guard states.count > 1 else { return automaton }
    // Equivalent states are equally far from the end, which tells most states apart at once.
    var classes = automaton.distancesToEnd().map { $0 ?? -1 }
    var classCount = Set(classes).count
    let edgeCount = states.reduce(states.count) { $0 + $1.bytes.count + $1.calls.count }
    var work = 0
    while true {
      work += edgeCount
      guard work <= mostWork else { return automaton }
      var index: [[Int32]: Int32] = [:]
      var refined: [Int32] = []
      refined.reserveCapacity(states.count)
      for state in states.indices {
        let signature = signature(states[state], own: classes[state], classes)
        let place = index[signature] ?? Int32(index.count)
        index[signature] = place
        refined.append(place)
      }
      classes = refined
      if index.count == classCount { break }
      classCount = index.count
    }
    return merged(automaton, classes, classCount)
  }

  private static func signature(
    _ state: Automaton.State, own: Int32, _ classes: [Int32]
  ) -> [Int32] {
    var signature: [Int32] = [own, state.isAccepting ? 1 : 0]
    for edge in mergedEdges(state.bytes, classes) {
      signature.append(Int32(edge.low) << 8 | Int32(edge.high))
      signature.append(edge.target)
    }
    for call in state.calls {
      signature.append(NFA.firstRule + call.rule)
      signature.append(classes[Int(call.target)])
    }
    return signature
  }

  /// Edges to classes; neighbouring bytes that lead to one class become one edge.
  private static func mergedEdges(
    _ edges: [Automaton.ByteEdge], _ classes: [Int32]
  ) -> [Automaton.ByteEdge] {
    var result: [Automaton.ByteEdge] = []
    for edge in edges {
      let target = classes[Int(edge.target)]
      if let last = result.last, last.target == target, Int(last.high) + 1 == Int(edge.low) {
        result[result.count - 1].high = edge.high
      } else {
        result.append(.init(low: edge.low, high: edge.high, target: target))
      }
    }
    return result
  }

  private static func merged(
    _ automaton: Automaton, _ classes: [Int32], _ classCount: Int
  ) -> Automaton {
    guard classCount < automaton.states.count else { return automaton }
    // The start keeps the number 0: classes are numbered by their first states.
    var result = Automaton(states: Array(repeating: .init(), count: classCount))
    var isDone = Array(repeating: false, count: classCount)
    for (state, place) in zip(automaton.states, classes) where !isDone[Int(place)] {
      isDone[Int(place)] = true
      result.states[Int(place)] = Automaton.State(
        bytes: mergedEdges(state.bytes, classes),
        calls: state.calls.map { .init(rule: $0.rule, target: classes[Int($0.target)]) },
        isAccepting: state.isAccepting)
    }
    return result
  }
}
