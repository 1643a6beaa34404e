/// Merges equivalent states of deterministic automata.
enum Minimizer {
  /// Larger automata are merged from their ends in one pass, which leaves loops as they are.
  private static let mostRefined = 256

  static func minimized(_ automaton: Automaton) -> Automaton {
    let count = automaton.states.count
    guard count > 1 else { return automaton }
    return count <= mostRefined ? refined(automaton) : mergedFromEnds(automaton)
  }

  /// Refines a partition until its classes hold equivalent states (Moore).
  private static func refined(_ automaton: Automaton) -> Automaton {
    let states = automaton.states
    // Equivalent states are equally far from the end, which tells most states apart at once.
    var classes = automaton.distancesToEnd().map { $0 ?? -1 }
    var classCount = Set(classes).count
    while true {
      var index: [[Int32]: Int32] = [:]
      classes = states.indices.map { state in
        let signature = signature(states[state], own: classes[state], classes)
        let place = index[signature] ?? Int32(index.count)
        index[signature] = place
        return place
      }
      if index.count == classCount { break }
      classCount = index.count
    }
    return merged(automaton, classes, classCount)
  }

  /// Merges states whose edges agree, callees first; states of loops stay apart.
  private static func mergedFromEnds(_ automaton: Automaton) -> Automaton {
    let states = automaton.states
    let successors = states.map { state in
      state.bytes.map { Int($0.target) } + state.calls.map { Int($0.target) }
    }
    var classes = Array(repeating: Int32(-1), count: states.count)
    var index: [[Int32]: Int32] = [:]
    var count: Int32 = 0
    for component in Components.find(successors, from: [0]) {
      let isLoop = component.count > 1 || successors[component[0]].contains(component[0])
      for state in component {
        let signature = isLoop ? [] : signature(states[state], own: 0, classes)
        if !isLoop, let known = index[signature] {
          classes[state] = known
          continue
        }
        classes[state] = count
        if !isLoop { index[signature] = count }
        count += 1
      }
    }
    // What the start does not reach goes.
    return renumbered(automaton, classes, Int(count))
  }

  /// Numbers classes by their first states, so that the start keeps the number 0.
  private static func renumbered(
    _ automaton: Automaton, _ classes: [Int32], _ count: Int
  ) -> Automaton {
    var places = Array(repeating: Int32(-1), count: count)
    var next: Int32 = 0
    for place in classes where place >= 0 && places[Int(place)] < 0 {
      places[Int(place)] = next
      next += 1
    }
    return merged(automaton, classes.map { $0 < 0 ? $0 : places[Int($0)] }, count)
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
    var result = Automaton(states: Array(repeating: .init(), count: classCount))
    var isDone = Array(repeating: false, count: classCount)
    for (state, place) in zip(automaton.states, classes) where place >= 0 && !isDone[Int(place)] {
      isDone[Int(place)] = true
      result.states[Int(place)] = Automaton.State(
        bytes: mergedEdges(state.bytes, classes),
        calls: state.calls.map { .init(rule: $0.rule, target: classes[Int($0.target)]) },
        isAccepting: state.isAccepting)
    }
    return result
  }
}
