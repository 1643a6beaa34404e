/// A value while a template renders. Lists and dictionaries are shared, as in Python.
enum TemplateValue {
  /// Something that does not exist; the text says what, for messages.
  case undefined(String)
  case none
  case boolean(Bool)
  case integer(Int)
  case float(Double)
  case string(String)
  case list(TemplateList)
  case tuple(TemplateList)
  case dictionary(TemplateDictionary)
  /// What `namespace()` makes: the only thing whose attributes can be set.
  case namespace(TemplateDictionary)
  case loop(TemplateLoop)
  case callable(TemplateCallable)
}

/// Something that holds values, and may hold itself once a template has changed it.
class TemplateContainer {
  /// How deep values may nest: releasing, writing and comparing them all recurse.
  static let maximumDepth = 256

  /// Whether the interpreter keeps it to the end of rendering and then empties it, so that neither
  /// a cycle is left nor a chain that grew from the inside is released recursively.
  final var isTracked = false
  /// The depth of what was put in, as it was at that time.
  final private(set) var depth = 1

  final func makeRoom(for value: TemplateValue) throws {
    depth = max(depth, value.depth + 1)
    if depth > Self.maximumDepth {
      throw TemplateFailure(.limit, "a value nests deeper than \(Self.maximumDepth)")
    }
  }

  func removeAll() {}
}

/// A Python list, or the items of a tuple.
final class TemplateList: TemplateContainer {
  private(set) var items: [TemplateValue]

  init(_ items: [TemplateValue]) throws {
    self.items = items
    super.init()
    for item in items { try makeRoom(for: item) }
  }

  func append(_ value: TemplateValue) throws {
    try insert(value, at: items.count)
  }

  func insert(_ value: TemplateValue, at index: Int) throws {
    try makeRoom(for: value)
    items.insert(value, at: index)
  }

  func remove(at index: Int) -> TemplateValue { items.remove(at: index) }

  override func removeAll() { items = [] }
}

/// A Python dictionary: keys in the order they were first set.
final class TemplateDictionary: TemplateContainer {
  /// What keys are compared by: as in Python, `1`, `1.0` and `true` are the same key.
  private enum Key: Hashable {
    case none
    case number(Double)
    case string(UTF8Key)
  }

  private(set) var entries: [(key: TemplateValue, value: TemplateValue)] = []
  private var positions: [Key: Int] = [:]

  override init() {}

  init(_ entries: some Sequence<(String, TemplateValue)>) throws {
    super.init()
    for (key, value) in entries { try set(value, for: .string(key)) }
  }

  subscript(name: String) -> TemplateValue? {
    positions[.string(UTF8Key(name))].map { entries[$0].value }
  }

  /// The value of `key`; `nil` also for a key of a kind that no dictionary can have.
  func value(of key: TemplateValue) -> TemplateValue? {
    Self.key(key).flatMap { positions[$0] }.map { entries[$0].value }
  }

  /// Sets the value of `key`, which must be none, a truth value, a number or a string.
  func set(_ value: TemplateValue, for key: TemplateValue) throws {
    guard let hashed = Self.key(key) else {
      throw TemplateFailure(.evaluation, "a value of type \(key.typeName) cannot be a key")
    }
    try makeRoom(for: value)
    if let position = positions[hashed] {
      entries[position].value = value
    } else {
      positions[hashed] = entries.count
      entries.append((key, value))
    }
  }

  /// Takes `key` out, in time linear in the number of entries.
  func remove(_ key: TemplateValue) -> TemplateValue? {
    guard let hashed = Self.key(key), let position = positions.removeValue(forKey: hashed) else {
      return nil
    }
    let value = entries.remove(at: position).value
    for (key, index) in positions where index > position { positions[key] = index - 1 }
    return value
  }

  override func removeAll() {
    entries = []
    positions = [:]
  }

  private static func key(_ value: TemplateValue) -> Key? {
    switch value {
    case .none: Key.none
    case .boolean(let value): .number(value ? 1 : 0)
    case .integer(let value): .number(Double(value))
    case .float(let value): .number(value)
    case .string(let text): .string(UTF8Key(text))
    default: nil
    }
  }
}

/// The variable `loop` of a `{% for %}`.
final class TemplateLoop {
  let list: TemplateList
  var index = 0
  /// What `loop.changed` was last called with.
  var lastChanged: TemplateList?

  init(_ list: TemplateList) { self.list = list }

  private var items: [TemplateValue] { list.items }

  func attribute(_ name: String) -> TemplateValue? {
    switch name {
    case "index": .integer(index + 1)
    case "index0": .integer(index)
    case "revindex": .integer(items.count - index)
    case "revindex0": .integer(items.count - index - 1)
    case "first": .boolean(index == 0)
    case "last": .boolean(index == items.count - 1)
    case "length": .integer(items.count)
    // Jinja counts recursive loops only, which are not supported.
    case "depth": .integer(1)
    case "depth0": .integer(0)
    case "previtem": index > 0 ? items[index - 1] : .undefined("there is no previous item")
    case "nextitem":
      index + 1 < items.count ? items[index + 1] : .undefined("there is no next item")
    case "cycle": .callable(.loopMethod(self, "cycle"))
    case "changed": .callable(.loopMethod(self, "changed"))
    default: nil
    }
  }
}

/// What can be called.
enum TemplateCallable {
  case macro(TemplateMacro, scope: TemplateScope, caller: TemplateCaller?)
  case function(String)
  indirect case method(TemplateValue, String)
  case loopMethod(TemplateLoop, String)
  case cycler(TemplateCycler)
  case joiner(TemplateJoiner)
}

/// The body of a `{% call %}`, as its macro sees it.
final class TemplateCaller {
  let macro: TemplateMacro
  let scope: TemplateScope

  init(macro: TemplateMacro, scope: TemplateScope) {
    self.macro = macro
    self.scope = scope
  }
}

/// What `cycler(…)` makes.
final class TemplateCycler {
  let list: TemplateList
  var index = 0

  init(_ list: TemplateList) { self.list = list }
}

/// What `joiner(…)` makes: nothing the first time, its separator afterwards.
final class TemplateJoiner {
  let separator: String
  var isUsed = false

  init(separator: String) { self.separator = separator }
}

/// The variables of a template, macro, loop or block, and those around it.
final class TemplateScope {
  let parent: TemplateScope?
  var variables: [String: TemplateValue] = [:]

  init(parent: TemplateScope?) { self.parent = parent }

  func lookUp(_ name: String) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      if let value = current.variables[name] { return value }
      scope = current.parent
    }
    return nil
  }
}

// MARK: - Properties of values

extension TemplateValue {
  /// - Throws: `TemplateFailure` if the document nests too deep.
  init(_ json: JSONValue, depth: Int = 0) throws {
    if depth > TemplateContainer.maximumDepth {
      throw TemplateFailure(.limit, "a value nests deeper than \(TemplateContainer.maximumDepth)")
    }
    switch json {
    case .null: self = .none
    case .bool(let value): self = .boolean(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .float(value)
    case .string(let text): self = .string(text)
    case .array(let items):
      self = .list(try TemplateList(items.map { try TemplateValue($0, depth: depth + 1) }))
    case .object(let object):
      self = .dictionary(
        try TemplateDictionary(
          object.entries.map { ($0.key, try TemplateValue($0.value, depth: depth + 1)) }))
    }
  }

  /// How deep the values in it nest.
  var depth: Int {
    switch self {
    case .list(let list), .tuple(let list): list.depth
    case .dictionary(let dictionary), .namespace(let dictionary): dictionary.depth
    case .loop(let loop), .callable(.loopMethod(let loop, _)): loop.list.depth
    case .callable(.method(let receiver, _)): receiver.depth
    case .callable(.cycler(let cycler)): cycler.list.depth
    default: 0
    }
  }

  /// What `if` makes of it.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .boolean(let value): value
    case .integer(let value): value != 0
    case .float(let value): value != 0
    case .string(let text): !text.isEmpty
    case .list(let list), .tuple(let list): !list.items.isEmpty
    case .dictionary(let dictionary): !dictionary.entries.isEmpty
    case .namespace, .loop, .callable: true
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }

  /// The items of a list or tuple.
  var sequence: [TemplateValue]? {
    switch self {
    case .list(let list), .tuple(let list): list.items
    default: nil
    }
  }

  /// The whole number of an integer or truth value.
  var integer: Int? {
    switch self {
    case .integer(let value): value
    case .boolean(let value): value ? 1 : 0
    default: nil
    }
  }

  /// The number of an integer, float or truth value.
  var number: Double? {
    if case .float(let value) = self { return value }
    return integer.map(Double.init)
  }

  /// The name of the type, as messages call it.
  var typeName: String {
    switch self {
    case .undefined: "undefined"
    case .none: "none"
    case .boolean: "boolean"
    case .integer: "integer"
    case .float: "float"
    case .string: "string"
    case .list: "list"
    case .tuple: "tuple"
    case .dictionary: "dictionary"
    case .namespace: "namespace"
    case .loop: "loop"
    case .callable: "callable"
    }
  }
}
