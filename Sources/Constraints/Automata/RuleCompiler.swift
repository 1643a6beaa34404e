/// Compiles the rules of a grammar, callees first, to one automaton each.
///
/// Small regular rules are put into the place of their calls, and rules that only recur at their
/// very beginning or end become loops: what is left to be parsed with a stack is what needs one.
struct RuleCompiler {
  private let rules: GrammarRules
  private let uses: [Int]
  private var automata: [Automaton?]
  private var stateCount = 0

  /// Larger regular rules are called: their states would be copied for every call.
  private static let mostInlinedStates = 24
  /// A rule that is used once is put there up to this size.
  private static let mostMovedStates = 4_000
  /// Most states of all rules.
  private static let mostStates = 500_000
  /// Most states of a product of two patterns.
  private static let mostProductStates = 100_000

  private init(_ rules: GrammarRules) {
    self.rules = rules
    automata = Array(repeating: nil, count: rules.bodies.count)
    var uses = Array(repeating: 0, count: rules.bodies.count)
    for body in rules.bodies { body.forEachRule { uses[$0] += 1 } }
    self.uses = uses
  }

  /// An automaton for each rule that the root needs; nil for the others.
  static func compile(_ rules: GrammarRules) throws -> [Automaton?] {
    var compiler = RuleCompiler(rules)
    let callees = rules.bodies.map { body in
      var callees: Set<Int> = []
      body.forEachRule { callees.insert($0) }
      return callees.sorted()
    }
    for component in Components.find(callees, from: [rules.root]) {
      for rule in component {
        compiler.automata[rule] = try compiler.automaton(of: rule)
        compiler.stateCount += compiler.automata[rule]?.states.count ?? 0
        guard compiler.stateCount <= mostStates else {
          throw ConstraintError.tooLarge("the grammar has more than \(mostStates) states")
        }
      }
    }
    return compiler.automata
  }

  private func automaton(of rule: Int) throws -> Automaton {
    var nfa = NFA()
    let start = try nfa.addState()
    let final = try append(rules.bodies[rule], from: start, to: &nfa)
    nfa.unrollRecursion(of: Int32(rule), start: start, final: final)
    return try Determinizer.automaton(nfa, start: start, final: final)
  }

  // MARK: Building

  /// Appends the states of `body` after `source`, into which no edge goes; returns the end.
  private func append(
    _ body: RuleExpression, from source: Int32, to nfa: inout NFA, inlinesAll: Bool = false
  ) throws -> Int32 {
    switch body {
    case .bytes(let bytes):
      var at = source
      for byte in bytes {
        let next = try nfa.addState()
        nfa.addBytes(at, byte, byte, next)
        at = next
      }
      return at
    case .scalars(let set): return try nfa.append(set, from: source)
    case .sequence(let parts):
      return try parts.reduce(source) {
        try append($1, from: $0, to: &nfa, inlinesAll: inlinesAll)
      }
    case .choice(let parts):
      let end = try nfa.addState()
      for part in parts {
        let begin = try nfa.addState()
        nfa.addEdge(source, NFA.emptyMove, begin)
        let partEnd = try append(part, from: begin, to: &nfa, inlinesAll: inlinesAll)
        nfa.addEdge(partEnd, NFA.emptyMove, end)
      }
      return end
    case .repetition(let part, let least, let most):
      return try appendRepetition(
        part, least: least, most: most, from: source, to: &nfa, inlinesAll: inlinesAll)
    case .rule(let rule): return try appendRule(rule, from: source, to: &nfa, inlinesAll)
    case .automaton(let automaton): return try nfa.append(automaton, from: source)
    case .intersection(let left, let right):
      return try nfa.append(
        regular(left).combined(
          with: regular(right), excluding: false, limit: Self.mostProductStates), from: source)
    case .difference(let left, let right):
      return try nfa.append(
        regular(left).combined(
          with: regular(right), excluding: true, limit: Self.mostProductStates), from: source)
    }
  }

  private func appendRepetition(
    _ part: RuleExpression, least: Int, most: Int?, from source: Int32, to nfa: inout NFA,
    inlinesAll: Bool
  ) throws -> Int32 {
    var at = source
    for _ in 0..<least {
      // A state of its own, so that the part's own loops do not lead back into the one before.
      let begin = try nfa.addState()
      nfa.addEdge(at, NFA.emptyMove, begin)
      at = try append(part, from: begin, to: &nfa, inlinesAll: inlinesAll)
    }
    let end = try nfa.addState()
    nfa.addEdge(at, NFA.emptyMove, end)
    if let most {
      for _ in least..<max(most, least) {
        let begin = try nfa.addState()
        nfa.addEdge(at, NFA.emptyMove, begin)
        at = try append(part, from: begin, to: &nfa, inlinesAll: inlinesAll)
        nfa.addEdge(at, NFA.emptyMove, end)
      }
    } else {
      let loop = try nfa.addState()
      nfa.addEdge(at, NFA.emptyMove, loop)
      let begin = try nfa.addState()
      nfa.addEdge(loop, NFA.emptyMove, begin)
      let partEnd = try append(part, from: begin, to: &nfa, inlinesAll: inlinesAll)
      nfa.addEdge(partEnd, NFA.emptyMove, loop)
      nfa.addEdge(loop, NFA.emptyMove, end)
    }
    return end
  }

  private func appendRule(
    _ rule: Int, from source: Int32, to nfa: inout NFA, _ inlinesAll: Bool
  ) throws -> Int32 {
    if let automaton = automata[rule], inlinesAll || isInlined(rule, automaton) {
      return try nfa.append(automaton, from: source)
    }
    let end = try nfa.addState()
    nfa.addEdge(source, NFA.firstRule + Int32(rule), end)
    return end
  }

  private func isInlined(_ rule: Int, _ automaton: Automaton) -> Bool {
    if uses[rule] == 1, automaton.states.count <= Self.mostMovedStates { return true }
    return automaton.states.count <= Self.mostInlinedStates && automaton.isRegular
      && !automaton.isWide
  }

  /// The deterministic automaton of an expression without recursion.
  private func regular(_ body: RuleExpression) throws -> Automaton {
    var nfa = NFA()
    let start = try nfa.addState()
    let final = try append(body, from: start, to: &nfa, inlinesAll: true)
    let automaton = try Determinizer.automaton(
      nfa, start: start, final: final, mustBeDeterministic: true)
    guard automaton.isRegular else {
      throw ConstraintError.tooLarge("patterns that are combined must not be recursive")
    }
    return automaton
  }
}

extension RuleExpression {
  /// Calls `body` with each mention of a rule.
  func forEachRule(_ body: (Int) -> Void) {
    switch self {
    case .bytes, .scalars, .automaton: break
    case .rule(let rule): body(rule)
    case .sequence(let parts), .choice(let parts): for part in parts { part.forEachRule(body) }
    case .repetition(let part, _, _): part.forEachRule(body)
    case .intersection(let left, let right), .difference(let left, let right):
      left.forEachRule(body)
      right.forEachRule(body)
    }
  }
}

extension NFA {
  /// Turns recursion at the very beginning and the very end of a rule into loops:
  /// `a ::= a x | y` is `y x*`, and `a ::= x a | y` is `x* y`.
  fileprivate mutating func unrollRecursion(of rule: Int32, start: Int32, final: Int32) {
    let label = Self.firstRule + rule
    guard edges.contains(where: { $0.label == label }) else { return }
    let first = firstCalls(label, start: start)
    // Looked for before the first calls become loops, which go on after the rule's end.
    let last = calls(label, of: 0..<Int32(count)).filter { call in
      isEnd(call.target, final: final) && !first.contains { $0.edge == call.edge }
    }
    for call in first {
      remove(edge: call.edge, of: call.state)
      addEdge(final, Self.emptyMove, call.target)
    }
    for call in last {
      remove(edge: call.edge, of: call.state)
      addEdge(call.state, Self.emptyMove, start)
    }
  }

  private typealias SelfCall = (state: Int32, edge: Int, target: Int32)

  private func calls(_ label: Int32, of states: some Sequence<Int32>) -> [SelfCall] {
    var found: [SelfCall] = []
    for state in states {
      forEachEdge(state) { if $1.label == label { found.append((state, $0, $1.target)) } }
    }
    return found
  }

  /// Calls at the very beginning of the rule. States that are also reached after something may not
  /// lose theirs.
  private func firstCalls(_ label: Int32, start: Int32) -> [SelfCall] {
    let later = reach(edges.filter { $0.label != Self.emptyMove }.map(\.target))
    return calls(label, of: reach([start]).subtracting(later).sorted())
  }

  /// True if nothing but the rule's end can follow.
  private func isEnd(_ state: Int32, final: Int32) -> Bool {
    let states = reach([state])
    guard states.contains(final) else { return false }
    return states.allSatisfy { state in
      var hasOther = false
      forEachEdge(state) { if $1.label != Self.emptyMove { hasOther = true } }
      return !hasOther
    }
  }

  /// What empty moves reach.
  private func reach(_ seeds: [Int32]) -> Set<Int32> {
    var reached = Set(seeds)
    var queue = Array(reached)
    while let state = queue.popLast() {
      forEachEdge(state) {
        if $1.label == Self.emptyMove, reached.insert($1.target).inserted {
          queue.append($1.target)
        }
      }
    }
    return reached
  }
}
