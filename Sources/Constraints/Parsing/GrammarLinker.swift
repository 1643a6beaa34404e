/// Puts the automata of all rules into one numbering, and drops what can never be completed.
struct GrammarLinker {
  private(set) var states: [Automaton.State] = []
  private(set) var starts: [Int32] = []
  private(set) var isNullable: [Bool] = []
  private(set) var firstStates: [[Int32]] = []
  private(set) var root = 0

  /// - Throws: `ConstraintError.unsatisfiable` if no finite text satisfies the root.
  static func link(_ automata: [Automaton?], root: Int) throws -> GrammarLinker {
    var linker = GrammarLinker()
    try linker.collect(automata, root: root)
    linker.keepUseful(linker.completable(allowsBytes: true))
    guard linker.starts.indices.contains(linker.root), linker.starts[linker.root] >= 0 else {
      throw ConstraintError.unsatisfiable(
        "no finite text satisfies the constraint: every way through it goes on for ever or needs "
          + "something that matches nothing")
    }
    linker.findNullable()
    return linker
  }

  /// Numbers the rules that the root calls, and their states.
  private mutating func collect(_ automata: [Automaton?], root: Int) throws {
    var places: [Int32: Int32] = [Int32(root): 0]
    var order = [Int32(root)]
    while starts.count < order.count {
      let automaton = automata[Int(order[starts.count])] ?? .never
      let base = Int32(states.count)
      starts.append(base)
      for var state in automaton.states {
        for index in state.bytes.indices { state.bytes[index].target += base }
        for index in state.calls.indices {
          let rule = state.calls[index].rule
          if places[rule] == nil {
            places[rule] = Int32(order.count)
            order.append(rule)
          }
          state.calls[index].rule = places[rule] ?? 0
          state.calls[index].target += base
        }
        states.append(state)
      }
    }
    self.root = 0
  }

  /// States from which a rule can be completed, for all rules at once: backwards from the accepting
  /// states, where an edge that calls a rule opens when the rule's start is completable.
  ///
  /// - Parameter allowsBytes: false to complete with the empty text only.
  private func completable(allowsBytes: Bool) -> [Bool] {
    struct Source {
      var state: Int32
      var rule: Int32
    }
    var into: [[Source]] = Array(repeating: [], count: states.count)
    for (index, state) in states.enumerated() {
      if allowsBytes {
        for edge in state.bytes {
          into[Int(edge.target)].append(Source(state: Int32(index), rule: -1))
        }
      }
      for call in state.calls {
        into[Int(call.target)].append(Source(state: Int32(index), rule: call.rule))
      }
    }
    var ruleOfStart: [Int32: Int] = [:]
    for (rule, start) in starts.enumerated() { ruleOfStart[start] = rule }
    var isDone = states.map(\.isAccepting)
    var isRuleDone = Array(repeating: false, count: starts.count)
    /// Callers that wait for their rule.
    var waiting: [[Int32]] = Array(repeating: [], count: starts.count)
    var queue = states.indices.filter { isDone[$0] }.map { Int32($0) }
    func take(_ state: Int32) {
      guard !isDone[Int(state)] else { return }
      isDone[Int(state)] = true
      queue.append(state)
    }
    while let state = queue.popLast() {
      if let rule = ruleOfStart[state], !isRuleDone[rule] {
        isRuleDone[rule] = true
        for caller in waiting[rule] { take(caller) }
      }
      for source in into[Int(state)] {
        if source.rule < 0 || isRuleDone[Int(source.rule)] {
          take(source.state)
        } else {
          waiting[Int(source.rule)].append(source.state)
        }
      }
    }
    return isDone
  }

  private mutating func keepUseful(_ isUseful: [Bool]) {
    var places = Array(repeating: Int32(-1), count: states.count)
    var count: Int32 = 0
    for index in states.indices where isUseful[index] {
      places[index] = count
      count += 1
    }
    let ruleStarts = starts.map { places[Int($0)] }
    states = states.indices.filter { isUseful[$0] }.map { index in
      var state = states[index]
      state.bytes = state.bytes.compactMap { edge in
        let target = places[Int(edge.target)]
        return target < 0 ? nil : .init(low: edge.low, high: edge.high, target: target)
      }
      state.calls = state.calls.compactMap { call in
        let target = places[Int(call.target)]
        return target < 0 || ruleStarts[Int(call.rule)] < 0
          ? nil : .init(rule: call.rule, target: target)
      }
      return state
    }
    starts = ruleStarts
  }

  private mutating func findNullable() {
    let isEmpty = completable(allowsBytes: false)
    isNullable = starts.map { $0 >= 0 && isEmpty[Int($0)] }
    firstStates = starts.map { start in
      guard start >= 0 else { return [] }
      var found = [start]
      var next = 0
      while next < found.count {
        for call in states[Int(found[next])].calls
        where isNullable[Int(call.rule)] && !found.contains(call.target) {
          found.append(call.target)
        }
        next += 1
      }
      return found
    }
  }

  /// Groups of rules that call each other at their beginnings, callers before callees.
  func leftCallGroups() -> (groups: [[Int32]], groupOf: [Int32], isCyclic: [Bool]) {
    let callees = firstStates.map { firsts in
      Array(Set(firsts.flatMap { states[Int($0)].calls.map { Int($0.rule) } })).sorted()
    }
    let groups = Components.find(callees, from: starts.indices).reversed().map { component in
      component.map { Int32($0) }.sorted()
    }
    var groupOf = Array(repeating: Int32(0), count: starts.count)
    for (index, group) in groups.enumerated() {
      for rule in group { groupOf[Int(rule)] = Int32(index) }
    }
    let isCyclic = groups.map { group in
      group.count > 1 || callees[Int(group[0])].contains(Int(group[0]))
    }
    return (Array(groups), groupOf, isCyclic)
  }
}
