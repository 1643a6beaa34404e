/// A compiled constraint: immutable, and independent of any vocabulary.
///
/// All rules' automata in one numbering of states. Only states from which some text ends are left,
/// so that whatever the parser accepts as a beginning can be completed.
public final class Grammar: Sendable {
  struct ByteEdge: Sendable {
    var lowClass: UInt8
    var highClass: UInt8
    var target: Int32
  }

  struct Call: Sendable {
    var rule: Int32
    var target: Int32
  }

  /// Edges of state `s`: `byteStarts[s]..<byteStarts[s + 1]`; likewise the calls.
  let byteStarts: [Int32]
  let byteEdges: [ByteEdge]
  let callStarts: [Int32]
  let calls: [Call]
  let isAccepting: [Bool]
  /// True where a rule is over and cannot go on: a call that leads there needs no return.
  let isTail: [Bool]
  /// Start of each rule.
  let starts: [Int32]
  /// True for rules that take the empty text.
  let isNullable: [Bool]
  /// States of each rule that are reached without a byte: its start, and what follows calls of
  /// nullable rules.
  let firstStates: [[Int32]]
  /// Rules that call each other at their beginnings; each rule's group, callers first.
  let groups: [[Int32]]
  let groupOf: [Int32]
  /// True for groups with left recursion.
  let isCyclic: [Bool]
  /// The rule of whole texts.
  let root: Int
  /// Bytes that no edge tells apart have one class.
  let classOf: [UInt8]
  let classCount: Int

  /// Number of states of all automata.
  public var stateCount: Int { isAccepting.count }
  /// Number of rules that are parsed with a stack; the others are part of those.
  public var ruleCount: Int { starts.count }

  /// Compiles rules.
  /// - Throws: `ConstraintError.tooLarge`, `ConstraintError.unsatisfiable`.
  convenience init(_ rules: GrammarRules) throws {
    try self.init(GrammarLinker.link(try RuleCompiler.compile(rules), root: rules.root))
  }

  init(_ linked: GrammarLinker) {
    var bytes: [ByteEdge] = []
    var byteStarts: [Int32] = [0]
    var calls: [Call] = []
    var callStarts: [Int32] = [0]
    let (classOf, classCount) = Self.classes(linked.states)
    for state in linked.states {
      for edge in state.bytes.sorted(by: { $0.low < $1.low }) {
        bytes.append(
          ByteEdge(
            lowClass: classOf[Int(edge.low)], highClass: classOf[Int(edge.high)],
            target: edge.target))
      }
      for call in state.calls { calls.append(Call(rule: call.rule, target: call.target)) }
      byteStarts.append(Int32(bytes.count))
      callStarts.append(Int32(calls.count))
    }
    byteEdges = bytes
    self.byteStarts = byteStarts
    self.calls = calls
    self.callStarts = callStarts
    self.classOf = classOf
    self.classCount = classCount
    isAccepting = linked.states.map(\.isAccepting)
    isTail = linked.states.map { $0.isAccepting && $0.bytes.isEmpty && $0.calls.isEmpty }
    starts = linked.starts
    isNullable = linked.isNullable
    firstStates = linked.firstStates
    root = linked.root
    (groups, groupOf, isCyclic) = linked.leftCallGroups()
  }

  func byteRange(_ state: Int32) -> Range<Int> {
    Int(byteStarts[Int(state)])..<Int(byteStarts[Int(state) + 1])
  }

  func callRange(_ state: Int32) -> Range<Int> {
    Int(callStarts[Int(state)])..<Int(callStarts[Int(state) + 1])
  }

  /// Runs of bytes between all cuts that edges make, numbered in order.
  private static func classes(_ states: [Automaton.State]) -> ([UInt8], Int) {
    var isCut = [Bool](repeating: false, count: 257)
    for state in states {
      for edge in state.bytes {
        isCut[Int(edge.low)] = true
        isCut[Int(edge.high) + 1] = true
      }
    }
    var classOf: [UInt8] = []
    var current = 0
    for byte in 0..<256 {
      if byte > 0, isCut[byte] { current += 1 }
      classOf.append(UInt8(current))
    }
    return (classOf, current + 1)
  }
}
