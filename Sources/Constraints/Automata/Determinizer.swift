/// Makes a deterministic automaton of an NFA by the subset construction, and a small one of that.
///
/// Where the subsets grow beyond `budget` the automaton keeps its choices (only empty moves are
/// removed): the parser follows several states at once.
struct Determinizer {
  private let nfa: NFA
  private let final: Int32
  private var stamps: [Int32]
  private var stamp: Int32 = 0
  private var index: [[Int32]: Int32] = [:]
  private var subsets: [[Int32]] = []
  private var result = Automaton()
  private var budget: Int

  private init(_ nfa: NFA, final: Int32) {
    self.nfa = nfa
    self.final = final
    stamps = Array(repeating: 0, count: nfa.count)
    budget = 200_000 + 8 * nfa.count
  }

  /// - Parameter mustBeDeterministic: throws instead of keeping choices.
  static func automaton(
    _ nfa: NFA, start: Int32, final: Int32, mustBeDeterministic: Bool = false
  ) throws -> Automaton {
    var determinizer = Determinizer(nfa, final: final)
    if determinizer.run(start) { return Minimizer.minimized(determinizer.result.trimmed()) }
    if mustBeDeterministic {
      throw ConstraintError.tooLarge(
        "a pattern that is combined with another has too many states; write a simpler one")
    }
    var direct = Determinizer(nfa, final: final)
    return try direct.withoutEmptyMoves(start).trimmed()
  }

  /// False if the budget was not enough.
  private mutating func run(_ start: Int32) -> Bool {
    _ = place(closure([start]))
    while result.states.count < subsets.count {
      let subset = subsets[result.states.count]
      budget -= subset.count + 1
      guard budget > 0 else { return false }
      result.states.append(expand(subset))
    }
    return true
  }

  private mutating func expand(_ subset: [Int32]) -> Automaton.State {
    var state = Automaton.State()
    var edges: [(low: Int, high: Int, target: Int32)] = []
    var calls: [Int32: [Int32]] = [:]
    for member in subset {
      if member == final { state.isAccepting = true }
      nfa.forEachEdge(member) { _, edge in
        if edge.label >= NFA.firstRule {
          calls[edge.label - NFA.firstRule, default: []].append(edge.target)
        } else if edge.label >= 0 {
          edges.append((Int(edge.label >> 8), Int(edge.label & 0xFF), edge.target))
        }
      }
    }
    budget -= edges.count
    state.bytes = byteEdges(edges)
    for rule in calls.keys.sorted() {
      let target = place(closure(calls[rule] ?? []))
      state.calls.append(.init(rule: rule, target: target))
    }
    return state
  }

  private mutating func byteEdges(
    _ edges: [(low: Int, high: Int, target: Int32)]
  ) -> [Automaton.ByteEdge] {
    if edges.count == 1 {
      let edge = edges[0]
      return [
        .init(low: UInt8(edge.low), high: UInt8(edge.high), target: place(closure([edge.target])))
      ]
    }
    let cuts = Set(edges.flatMap { [$0.low, $0.high + 1] }).sorted()
    var result: [Automaton.ByteEdge] = []
    for (low, next) in zip(cuts, cuts.dropFirst()) {
      let targets = edges.filter { $0.low <= low && $0.high >= next - 1 }.map(\.target)
      budget -= edges.count / 4
      guard !targets.isEmpty else { continue }
      let target = place(closure(targets))
      if let last = result.last, last.target == target, Int(last.high) + 1 == low {
        result[result.count - 1].high = UInt8(next - 1)
      } else {
        result.append(.init(low: UInt8(low), high: UInt8(next - 1), target: target))
      }
    }
    return result
  }

  private mutating func place(_ subset: [Int32]) -> Int32 {
    if let known = index[subset] { return known }
    let place = Int32(subsets.count)
    index[subset] = place
    subsets.append(subset)
    return place
  }

  /// What empty moves reach, without the states that have nothing but empty moves.
  private mutating func closure(_ seeds: [Int32]) -> [Int32] {
    stamp += 1
    var queue: [Int32] = []
    for seed in seeds where stamps[Int(seed)] != stamp {
      stamps[Int(seed)] = stamp
      queue.append(seed)
    }
    var members: [Int32] = []
    while let state = queue.popLast() {
      var isMember = state == final
      nfa.forEachEdge(state) { _, edge in
        if edge.label != NFA.emptyMove {
          isMember = true
        } else if stamps[Int(edge.target)] != stamp {
          stamps[Int(edge.target)] = stamp
          queue.append(edge.target)
        }
      }
      if isMember { members.append(state) }
      budget -= 1
    }
    return members.sorted()
  }

  /// States of the NFA as they are, with the edges of what empty moves reach.
  private mutating func withoutEmptyMoves(_ start: Int32) throws -> Automaton {
    budget = 20_000_000
    var places: [Int32: Int32] = [start: 0]
    var order = [start]
    var result = Automaton()
    while result.states.count < order.count {
      var state = Automaton.State()
      func place(_ target: Int32) -> Int32 {
        if let known = places[target] { return known }
        let place = Int32(order.count)
        places[target] = place
        order.append(target)
        return place
      }
      guard budget > 0 else {
        throw ConstraintError.tooLarge(
          "there are too many ways through the repetitions of a rule; write fewer repetitions of "
            + "repetitions")
      }
      for member in closure([order[result.states.count]]) {
        if member == final { state.isAccepting = true }
        nfa.forEachEdge(member) { _, edge in
          if edge.label >= NFA.firstRule {
            state.calls.append(
              .init(rule: edge.label - NFA.firstRule, target: place(edge.target)))
          } else if edge.label >= 0 {
            state.bytes.append(
              .init(
                low: UInt8(edge.label >> 8), high: UInt8(edge.label & 0xFF),
                target: place(edge.target)))
          }
        }
      }
      result.states.append(state)
    }
    return result
  }
}
