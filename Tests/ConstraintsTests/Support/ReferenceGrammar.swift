/// A second reading of GBNF, for tests: productions over characters, nothing shared with the module.
struct ReferenceGrammar {
  enum Symbol: Hashable {
    case rule(Int)
    case character([ClosedRange<UInt32>], inverted: Bool)

    func matches(_ scalar: UInt32) -> Bool {
      guard case .character(let ranges, let inverted) = self else { return false }
      return ranges.contains { $0.contains(scalar) } != inverted
    }
  }

  private(set) var productions: [[[Symbol]]] = []
  private var names: [String: Int] = [:]
  private var input: [UInt32]
  private var at = 0

  var root: Int { names["root"] ?? 0 }

  /// Reads a grammar that is known to be right.
  init(_ text: String) {
    input = text.unicodeScalars.map(\.value)
    skip(lines: true)
    while at < input.count {
      let rule = self.rule(named: word())
      skip(lines: false)
      at += 3
      skip(lines: true)
      productions[rule] = alternatives(nested: false)
      skip(lines: true)
    }
  }

  private mutating func rule(named name: String) -> Int {
    if let known = names[name] { return known }
    names[name] = add([])
    return productions.count - 1
  }

  private mutating func add(_ alternatives: [[Symbol]]) -> Int {
    productions.append(alternatives)
    return productions.count - 1
  }

  private func isNext(_ character: Unicode.Scalar) -> Bool {
    at < input.count && input[at] == character.value
  }

  private mutating func word() -> String {
    var word = ""
    while at < input.count, let scalar = Unicode.Scalar(input[at]),
      Character(scalar).isLetter || Character(scalar).isNumber || scalar == "-" || scalar == "_"
    {
      word.unicodeScalars.append(scalar)
      at += 1
    }
    return word
  }

  private mutating func skip(lines: Bool) {
    while at < input.count {
      if isNext("#") {
        while at < input.count, !isNext("\n") { at += 1 }
      } else if isNext(" ") || isNext("\t") || (lines && (isNext("\n") || isNext("\r"))) {
        at += 1
      } else {
        return
      }
    }
  }

  private mutating func alternatives(nested: Bool) -> [[Symbol]] {
    var all = [sequence(nested: nested)]
    while true {
      let before = at
      skip(lines: true)
      guard isNext("|") else {
        at = before
        return all
      }
      at += 1
      skip(lines: true)
      all.append(sequence(nested: nested))
    }
  }

  private mutating func sequence(nested: Bool) -> [Symbol] {
    var symbols: [Symbol] = []
    while true {
      skip(lines: nested)
      var item: [Symbol]
      if isNext("\"") {
        at += 1
        item = []
        while !isNext("\"") {
          let scalar = character()
          item.append(.character([scalar...scalar], inverted: false))
        }
        at += 1
      } else if isNext("[") {
        item = [characterClass()]
      } else if isNext(".") {
        at += 1
        item = [.character([], inverted: true)]
      } else if isNext("(") {
        at += 1
        let group = alternatives(nested: true)
        skip(lines: true)
        at += 1
        item = [.rule(add(group))]
      } else {
        let name = word()
        if name.isEmpty { return symbols }
        item = [.rule(rule(named: name))]
      }
      while let repeated = quantified(item) { item = repeated }
      symbols += item
    }
  }

  private mutating func quantified(_ item: [Symbol]) -> [Symbol]? {
    let before = at
    skip(lines: false)
    var (least, most): (Int, Int?) = (0, nil)
    if isNext("*") {
      at += 1
    } else if isNext("+") {
      (least, at) = (1, at + 1)
    } else if isNext("?") {
      (most, at) = (1, at + 1)
    } else if isNext("{") {
      at += 1
      least = Int(word()) ?? 0
      most = least
      if isNext(",") {
        at += 1
        most = Int(word())
      }
      at += 1
    } else {
      at = before
      return nil
    }
    var symbols = Array(repeating: item, count: least).flatMap(\.self)
    if let most {
      var rest: [Symbol] = []
      for _ in least..<max(most, least) { rest = [.rule(add([[], item + rest]))] }
      symbols += rest
    } else {
      let loop = add([])
      productions[loop] = [[], item + [.rule(loop)]]
      symbols.append(.rule(loop))
    }
    return symbols
  }

  private mutating func characterClass() -> Symbol {
    at += 1
    let inverted = isNext("^")
    if inverted { at += 1 }
    var ranges: [ClosedRange<UInt32>] = []
    while !isNext("]") {
      let first = character()
      var last = first
      if isNext("-"), at + 1 < input.count, input[at + 1] != 0x5D {
        at += 1
        last = character()
      }
      ranges.append(first...last)
    }
    at += 1
    return .character(ranges, inverted: inverted)
  }

  private mutating func character() -> UInt32 {
    let scalar = input[at]
    at += 1
    guard scalar == 0x5C else { return scalar }
    let escape = Unicode.Scalar(input[at]) ?? "?"
    at += 1
    switch escape {
    case "n": return 0x0A
    case "r": return 0x0D
    case "t": return 0x09
    case "x", "u", "U":
      let count = escape == "x" ? 2 : escape == "u" ? 4 : 8
      let digits = String(
        String.UnicodeScalarView(input[at..<at + count].compactMap(Unicode.Scalar.init)))
      at += count
      return UInt32(digits, radix: 16) ?? 0
    default: return escape.value
    }
  }
}

/// Earley's recogniser (1970), with the treatment of empty rules of Aycock and Horspool (2002).
struct EarleyRecognizer {
  private struct Item: Hashable {
    var rule: Int
    var alternative: Int
    var dot: Int
    var origin: Int
  }

  private let grammar: ReferenceGrammar
  private let isNullable: [Bool]

  init(_ text: String) {
    grammar = ReferenceGrammar(text)
    var isNullable = Array(repeating: false, count: grammar.productions.count)
    var isChanged = true
    while isChanged {
      isChanged = false
      for rule in isNullable.indices where !isNullable[rule] {
        isNullable[rule] = grammar.productions[rule].contains { symbols in
          symbols.allSatisfy { if case .rule(let next) = $0 { isNullable[next] } else { false } }
        }
        isChanged = isChanged || isNullable[rule]
      }
    }
    self.isNullable = isNullable
  }

  /// Whether the text is one of the grammar's, and whether one begins with it.
  func recognize(_ text: String) -> (isComplete: Bool, isPrefix: Bool) {
    var sets: [[Item]] = []
    var scanned = grammar.productions[grammar.root].indices.map {
      Item(rule: grammar.root, alternative: $0, dot: 0, origin: 0)
    }
    for (position, scalar) in (text.unicodeScalars.map { Optional($0.value) } + [nil]).enumerated()
    {
      var set: [Item] = []
      var found = Set<Item>()
      func add(_ item: Item) { if found.insert(item).inserted { set.append(item) } }
      for item in scanned { add(item) }
      sets.append([])
      var next = 0
      scanned = []
      while next < set.count {
        let item = set[next]
        next += 1
        let symbols = grammar.productions[item.rule][item.alternative]
        guard item.dot < symbols.count else {
          let waiting = item.origin == position ? set : sets[item.origin]
          for caller in waiting where symbol(after: caller) == .rule(item.rule) {
            add(
              Item(
                rule: caller.rule, alternative: caller.alternative, dot: caller.dot + 1,
                origin: caller.origin))
          }
          continue
        }
        var moved = item
        moved.dot += 1
        if case .rule(let rule) = symbols[item.dot] {
          for alternative in grammar.productions[rule].indices {
            add(Item(rule: rule, alternative: alternative, dot: 0, origin: position))
          }
          if isNullable[rule] { add(moved) }
        } else if let scalar, symbols[item.dot].matches(scalar) {
          scanned.append(moved)
        }
      }
      sets[position] = set
      if scalar != nil, scanned.isEmpty { return (false, false) }
    }
    let isComplete = sets[sets.count - 1].contains { item in
      item.rule == grammar.root && item.origin == 0
        && item.dot == grammar.productions[item.rule][item.alternative].count
    }
    return (isComplete, true)
  }

  private func symbol(after item: Item) -> ReferenceGrammar.Symbol? {
    let symbols = grammar.productions[item.rule][item.alternative]
    return item.dot < symbols.count ? symbols[item.dot] : nil
  }
}
