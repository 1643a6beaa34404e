/// Reads text byte by byte and knows after each byte what may follow.
///
/// A state of the parser is the set of places in the rules where the text may be, each with its
/// continuation: an Earley parser whose back references are replaced by what follows, so that equal
/// situations are one state, however long the text before them is. States are numbered and keep
/// where each byte leads: a deterministic automaton that is built as it is used. Ambiguity costs
/// items of one state, never copies of the parse; left recursion is a loop of continuations.
///
/// Not thread safe. Numbers are valid until `removeAll`.
struct Parser {
  typealias Frame = Continuations.Frame

  /// The state after a text that cannot be continued to a valid one.
  static let dead: Int32 = 0

  /// Most items of one state.
  static let mostItems = 2_000

  let grammar: Grammar
  private var continuations = Continuations()
  /// Items of all states: where rules are. `itemBounds[s]..<itemBounds[s + 1]`.
  private var items: [Frame] = []
  private var itemBounds: [Int32] = [0]
  /// Items that go on with a byte, those of the called rules included.
  private var scans: [Frame] = []
  private var scanBounds: [Int32] = [0]
  /// What is known of each state: `Flag`s.
  private(set) var flags: [UInt8] = []
  private var index: [[Frame]: Int32] = [:]
  /// States of one item that neither calls nor ends a rule: most states of most texts.
  private var simpleIndex: [Frame: Int32] = [:]
  /// Where each class of bytes leads from each state: [state][class], -1 if not known yet.
  private(set) var rows: [Int32] = []
  /// Items and frames that were handled: what time is bounded by.
  private(set) var work = 0
  /// Above this much work every step leads nowhere, and the parser is overwhelmed.
  var workLimit = Int.max
  /// Set where a state would have too many items, or the work is too much. What the parser says
  /// from then on is void.
  private(set) var isOverwhelmed = false

  /// Bits of `flags`.
  enum Flag {
    /// The text up to here is a valid one.
    static let complete: UInt8 = 1
    /// The text up to here is one of the rule that began with an unknown continuation.
    static let open: UInt8 = 2
    /// Some byte may follow.
    static let goesOn: UInt8 = 4
  }

  init(_ grammar: Grammar) {
    self.grammar = grammar
    add(state: [], flags: 0, scans: [])
    // Nothing follows the dead state.
    for place in rows.indices { rows[place] = Self.dead }
  }

  /// Bytes of memory, roughly.
  var byteCount: Int {
    rows.count * 4 + (items.count + scans.count) * 16 + flags.count * 120
      + continuations.byteCount
  }

  /// Whether some byte may follow.
  func goesOn(_ state: Int32) -> Bool { flags[Int(state)] & Flag.goesOn != 0 }

  /// Whether the text up to here is a valid one.
  func isComplete(_ state: Int32) -> Bool { flags[Int(state)] & Flag.complete != 0 }

  /// Whether the text up to here is one of the rule that began with an unknown continuation.
  func isOpen(_ state: Int32) -> Bool { flags[Int(state)] & Flag.open != 0 }

  /// The grammar states of a parser state, each once.
  func grammarStates(_ state: Int32) -> [Int32] {
    var states: [Int32] = []
    for item in items[Int(itemBounds[Int(state)])..<Int(itemBounds[Int(state) + 1])] {
      // Items are sorted by state.
      if states.last != Continuations.state(item) { states.append(Continuations.state(item)) }
    }
    return states
  }

  /// The state before the first byte.
  mutating func start() -> Int32 {
    let root = grammar.starts[grammar.root]
    return state(of: [Continuations.frame(root, Continuations.end)])
  }

  /// The state in which only `grammarStates` are known, and nothing of what follows their rules.
  mutating func start(in grammarStates: [Int32]) -> Int32 {
    state(of: grammarStates.map { Continuations.frame($0, Continuations.unknown) })
  }

  /// The state after one more byte.
  mutating func step(_ state: Int32, _ byte: UInt8) -> Int32 {
    step(state, class: Int(grammar.classOf[Int(byte)]))
  }

  /// The state after one more byte of this class.
  mutating func step(_ state: Int32, class byteClass: Int) -> Int32 {
    let place = Int(state) * grammar.classCount + byteClass
    if rows[place] >= 0 { return rows[place] }
    var seeds: [Frame] = []
    for scan in Int(scanBounds[Int(state)])..<Int(scanBounds[Int(state) + 1]) {
      let item = scans[scan]
      for edge in grammar.byteEdges[grammar.byteRange(Continuations.state(item))]
      where edge.lowClass <= byteClass && byteClass <= edge.highClass {
        seeds.append(Continuations.frame(edge.target, Continuations.continuation(item)))
      }
    }
    work += Int(scanBounds[Int(state) + 1] - scanBounds[Int(state)]) + 1
    let next = self.state(of: seeds)
    rows[place] = next
    return next
  }

  // MARK: Making states

  /// The number of the state with these items and all that follows from them without a byte.
  private mutating func state(of seeds: [Frame]) -> Int32 {
    if seeds.isEmpty { return Self.dead }
    if work > workLimit { isOverwhelmed = true }
    if isOverwhelmed { return Self.dead }
    if seeds.count == 1, isSimple(seeds[0]) { return simpleState(of: seeds[0]) }
    let (closed, newFlags) = closure(seeds)
    var key = continuations.withoutRedundant(closed)
    guard key.count <= Self.mostItems else {
      isOverwhelmed = true
      return Self.dead
    }
    let kept = key
    key.append(Continuations.frame(-1, Int32(newFlags)))
    if let known = index[key] { return known }
    let state = Int32(flags.count)
    index[key] = state
    add(state: kept, flags: newFlags, scans: scans(of: kept))
    return state
  }

  private func isSimple(_ item: Frame) -> Bool {
    let state = Continuations.state(item)
    return !grammar.isAccepting[Int(state)] && grammar.callRange(state).isEmpty
  }

  private mutating func simpleState(of item: Frame) -> Int32 {
    if let known = simpleIndex[item] { return known }
    let state = Int32(flags.count)
    simpleIndex[item] = state
    add(state: [item], flags: 0, scans: [item])
    return state
  }

  private mutating func add(state: [Frame], flags newFlags: UInt8, scans newScans: [Frame]) {
    items.append(contentsOf: state)
    itemBounds.append(Int32(items.count))
    scans.append(contentsOf: newScans)
    scanBounds.append(Int32(scans.count))
    flags.append(newFlags | (state.isEmpty ? 0 : Flag.goesOn))
    rows.append(contentsOf: repeatElement(-1, count: grammar.classCount))
  }

  /// Completes rules that may be over, and steps over calls of rules that may be empty. Returns the
  /// items that go on, and what ends here.
  private mutating func closure(_ seeds: [Frame]) -> ([Frame], UInt8) {
    var found = Set<Frame>()
    var queue: [Frame] = []
    var goingOn: [Frame] = []
    var newFlags: UInt8 = 0
    func take(_ item: Frame) { if found.insert(item).inserted { queue.append(item) } }
    for seed in seeds { take(seed) }
    while let item = queue.popLast() {
      work += 1
      if found.count > 4 * Self.mostItems {
        isOverwhelmed = true
        return ([], 0)
      }
      let state = Continuations.state(item)
      if state == Continuations.endState {
        newFlags |= Flag.complete
        continue
      }
      if state == Continuations.unknownState {
        newFlags |= Flag.open
        continue
      }
      let continuation = Continuations.continuation(item)
      if grammar.isAccepting[Int(state)] {
        for frame in continuations.frames(of: continuation) { take(frame) }
      }
      let calls = grammar.callRange(state)
      for call in grammar.calls[calls] where grammar.isNullable[Int(call.rule)] {
        take(Continuations.frame(call.target, continuation))
      }
      if !calls.isEmpty || !grammar.byteRange(state).isEmpty { goingOn.append(item) }
    }
    return (goingOn, newFlags)
  }

  // MARK: Calls

  /// The items that go on with a byte: those given, and the beginnings of the rules they call.
  private mutating func scans(of items: [Frame]) -> [Frame] {
    var scans = items.filter { !grammar.byteRange(Continuations.state($0)).isEmpty }
    var pending = PendingCalls()
    for item in items {
      for call in grammar.calls[grammar.callRange(Continuations.state(item))] {
        pending.add(call, continuation: Continuations.continuation(item), self)
      }
    }
    while let group = pending.nextGroup() {
      let rules = grammar.groups[Int(group)]
      let begun =
        grammar.isCyclic[Int(group)]
        ? begin(cyclic: rules, &pending) : begin(rules[0], &pending)
      for (rule, continuation) in begun {
        for state in grammar.firstStates[Int(rule)] where !grammar.byteRange(state).isEmpty {
          scans.append(Continuations.frame(state, continuation))
        }
      }
    }
    work += scans.count
    return scans
  }

  /// Frames by rule, for rules that are called but not begun yet. Groups are begun in the order of
  /// the grammar: callers before what they call.
  private struct PendingCalls {
    private var frames: [Int32: [Frame]] = [:]
    private var groups: Set<Int32> = []

    mutating func add(_ call: Grammar.Call, continuation: Int32, _ parser: Parser) {
      // A rule that is over after the call needs no return: what follows it follows the called one.
      if parser.grammar.isTail[Int(call.target)] {
        frames[call.rule, default: []].append(
          contentsOf: parser.continuations.frames(of: continuation))
      } else {
        frames[call.rule, default: []].append(Continuations.frame(call.target, continuation))
      }
      groups.insert(parser.grammar.groupOf[Int(call.rule)])
    }

    mutating func nextGroup() -> Int32? {
      guard let group = groups.min() else { return nil }
      groups.remove(group)
      return group
    }

    mutating func take(_ rule: Int32) -> [Frame] { frames.removeValue(forKey: rule) ?? [] }
  }

  private mutating func begin(
    _ rule: Int32, _ pending: inout PendingCalls
  ) -> [(rule: Int32, continuation: Int32)] {
    let frames = pending.take(rule)
    work += frames.count
    let continuation = continuations.intern(frames)
    addCalls(of: rule, continuation, outside: nil, &pending)
    return [(rule, continuation)]
  }

  /// Begins rules that call each other at their beginnings.
  private mutating func begin(
    cyclic rules: [Int32], _ pending: inout PendingCalls
  ) -> [(rule: Int32, continuation: Int32)] {
    var members = rules.map { Continuations.Member(outer: Set(pending.take($0))) }
    /// Members that have all frames of another: after calls at the end of rules.
    var inherits: [(heir: Int, from: Int)] = []
    for (place, rule) in rules.enumerated() {
      for state in grammar.firstStates[Int(rule)] {
        for call in grammar.calls[grammar.callRange(state)] {
          guard let callee = rules.firstIndex(of: call.rule) else { continue }
          if grammar.isTail[Int(call.target)] {
            inherits.append((callee, place))
          } else {
            members[callee].inner.insert(Continuations.frame(call.target, Int32(place)))
          }
        }
      }
    }
    var isChanged = true
    while isChanged {
      isChanged = false
      for (heir, from) in inherits {
        let count = members[heir].outer.count + members[heir].inner.count
        members[heir].outer.formUnion(members[from].outer)
        members[heir].inner.formUnion(members[from].inner)
        work += count
        if members[heir].outer.count + members[heir].inner.count > count { isChanged = true }
      }
    }
    let base = continuations.intern(group: members)
    let begun = rules.enumerated().map { ($1, base + Int32($0)) }
    for (rule, continuation) in begun {
      addCalls(of: rule, continuation, outside: rules, &pending)
    }
    return begun
  }

  private func addCalls(
    of rule: Int32, _ continuation: Int32, outside group: [Int32]?, _ pending: inout PendingCalls
  ) {
    for state in grammar.firstStates[Int(rule)] {
      for call in grammar.calls[grammar.callRange(state)]
      where group?.contains(call.rule) != true {
        pending.add(call, continuation: continuation, self)
      }
    }
  }
}
