/// Filters on sequences, many of which take other filters, tests or attribute names.
enum TemplateSequenceFilters {
  private static let parameters: [String: [String]] = [
    "batch": ["linecount", "fill_with"], "dictsort": ["case_sensitive", "by", "reverse"],
    "groupby": ["attribute", "default"], "join": ["d", "attribute"], "last": [],
    "max": ["case_sensitive", "attribute"], "min": ["case_sensitive", "attribute"],
    "sort": ["reverse", "case_sensitive", "attribute"], "sum": ["attribute", "start"],
    "unique": ["case_sensitive", "attribute"],
  ]

  /// Filters whose arguments are those of another filter or test.
  private static let higherOrder: Set<String> = [
    "map", "select", "reject", "selectattr", "rejectattr",
  ]

  static func exists(_ name: String) -> Bool {
    parameters[name] != nil || higherOrder.contains(name)
  }

  static func apply(
    _ name: String, to value: TemplateValue, _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    // As in Jinja2, these take whatever is false, `none` and 0 too, for an empty sequence.
    if higherOrder.contains(name), !value.isTrue { return .list(try TemplateList([])) }
    let items = try interpreter.iterate(value)
    switch name {
    case "map": return .list(try TemplateList(map(items, arguments, interpreter)))
    case "select", "reject", "selectattr", "rejectattr":
      return .list(try TemplateList(select(name, items, arguments, interpreter)))
    default: break
    }
    let values = try arguments.bound(to: parameters[name] ?? [], of: name)
    switch name {
    case "join": return .string(try join(items, values, interpreter))
    case "last": return items.last ?? .undefined("there is no last item")
    case "sum":
      return try items.reduce(values[1] ?? .integer(0)) {
        try interpreter.apply(.add, $0, part(values[0], of: $1, interpreter))
      }
    case "batch": return .list(try batch(items, values))
    case "dictsort": return .list(try sortedPairs(value, values, interpreter))
    case "groupby": return .list(try group(items, values, interpreter))
    case "sort":
      let key = try sortKeys(items, values[2], values[1], interpreter)
      let order = try sorted(key, isDescending: values[0]?.isTrue ?? false, interpreter)
      return .list(try TemplateList(order.map { items[$0] }))
    case "unique": return .list(try unique(items, values, interpreter))
    default: return try extreme(name, items, values, interpreter)
    }
  }

  // MARK: Filters over filters

  private static func map(
    _ items: [TemplateValue], _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> [TemplateValue] {
    var arguments = arguments
    if arguments.positional.isEmpty {
      let values = try arguments.bound(to: ["attribute", "default"], of: "map")
      return try items.map { item in
        let found = try part(values[0], of: item, interpreter)
        return found.isUndefined ? values[1] ?? found : found
      }
    }
    let name = try interpreter.text(of: arguments.positional.removeFirst())
    guard TemplateFilters.exists(name) else {
      throw TemplateFailure(.evaluation, "the filter '\(name)' is unknown")
    }
    return try items.map { item in
      try interpreter.deeper {
        try TemplateFilters.apply(name, to: item, arguments, interpreter)
      }
    }
  }

  private static func select(
    _ name: String, _ items: [TemplateValue], _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> [TemplateValue] {
    var arguments = arguments
    let keeps = name.hasPrefix("select")
    var attribute: TemplateValue?
    if name.hasSuffix("attr") {
      guard !arguments.positional.isEmpty else {
        throw TemplateFailure(.evaluation, "'\(name)' needs the name of an attribute")
      }
      attribute = arguments.positional.removeFirst()
    }
    let test =
      try arguments.positional.isEmpty
      ? nil : interpreter.text(of: arguments.positional.removeFirst())
    return try items.filter { item in
      try interpreter.step()
      let value = try part(attribute, of: item, interpreter)
      guard let test else { return value.isTrue == keeps }
      return try TemplateTests.apply(test, to: value, arguments, interpreter) == keeps
    }
  }

  /// What a dotted path such as `function.name` or `0` leads to; the item itself without a path.
  private static func part(
    _ path: TemplateValue?, of item: TemplateValue, _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    switch path {
    case nil, .some(.none): return item
    case .integer?: return try interpreter.item(path ?? .none, of: item)
    case .some(let path):
      return try TemplateStrings.split(interpreter.text(of: path), by: ".").reduce(item) {
        if $0.isUndefined { return $0 }
        return try interpreter.item(Int($1).map { .integer($0) } ?? .string($1), of: $0)
      }
    }
  }

  // MARK: Joining and grouping

  private static func join(
    _ items: [TemplateValue], _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> String {
    let separator = try values[0].map(interpreter.text(of:)) ?? ""
    let texts = try items.map {
      try interpreter.text(of: part(values[1], of: $0, interpreter))
    }
    return try interpreter.concatenate(texts, separator: separator)
  }

  private static func batch(
    _ items: [TemplateValue], _ values: [TemplateValue?]
  ) throws -> TemplateList {
    guard let size = values[0]?.integer, size > 0 else {
      throw TemplateFailure(.evaluation, "'batch' needs a positive size")
    }
    var batches: [TemplateValue] = []
    for start in stride(from: 0, to: items.count, by: size) {
      var batch = Array(items[start..<min(items.count, start + min(size, items.count))])
      if let filler = values[1], batch.count < size {
        // Nobody lays out chat in rows of thousands; a filler beyond that is an attack.
        guard size <= 4096 else {
          throw TemplateFailure(.limit, "'batch' fills at most 4096 places")
        }
        batch += Array(repeating: filler, count: size - batch.count)
      }
      batches.append(.list(try TemplateList(batch)))
    }
    return try TemplateList(batches)
  }

  /// Tuples of a value and the items that have it, in the order of the values.
  private static func group(
    _ items: [TemplateValue], _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> TemplateList {
    let attribute = values[0]
    let parts = try items.map { item in
      let found = try part(attribute, of: item, interpreter)
      return found.isUndefined ? values[1] ?? found : found
    }
    let keys = try parts.map { try folded($0, nil, interpreter) }
    var groups: [(key: TemplateValue, name: TemplateValue, items: [TemplateValue])] = []
    for index in try sorted(keys, isDescending: false, interpreter) {
      if let last = groups.last, try interpreter.isEqual(last.key, keys[index]) {
        groups[groups.count - 1].items.append(items[index])
      } else {
        groups.append((keys[index], parts[index], [items[index]]))
      }
    }
    return try TemplateList(
      groups.map { .tuple(try TemplateList([$0.name, .list(try TemplateList($0.items))])) })
  }

  // MARK: Order

  /// Texts in lower case, unless the filter was told to tell cases apart.
  private static func folded(
    _ value: TemplateValue, _ isCaseSensitive: TemplateValue?, _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    guard case .string(let text) = value, !(isCaseSensitive?.isTrue ?? false) else { return value }
    try interpreter.charge(text: text.utf8.count)
    return .string(text.lowercased())
  }

  private static func sortKeys(
    _ items: [TemplateValue], _ attribute: TemplateValue?, _ isCaseSensitive: TemplateValue?,
    _ interpreter: TemplateInterpreter
  ) throws -> [TemplateValue] {
    try items.map { try folded(part(attribute, of: $0, interpreter), isCaseSensitive, interpreter) }
  }

  /// The positions of `keys` in ascending or descending order; equal keys keep their order.
  private static func sorted(
    _ keys: [TemplateValue], isDescending: Bool, _ interpreter: TemplateInterpreter
  ) throws -> [Int] {
    try keys.indices.sorted { left, right in
      switch try interpreter.order(keys[left], keys[right]) {
      case .less: !isDescending
      case .greater: isDescending
      case .equal, .unordered: left < right
      }
    }
  }

  private static func sortedPairs(
    _ value: TemplateValue, _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> TemplateList {
    guard case .dictionary(let dictionary) = value else {
      throw TemplateFailure(.evaluation, "'dictsort' needs a dictionary, not \(value.typeName)")
    }
    var sortsByValue = false
    if case .string("value")? = values[1] { sortsByValue = true }
    let keys = try dictionary.entries.map {
      try folded(sortsByValue ? $0.value : $0.key, values[0], interpreter)
    }
    let order = try sorted(keys, isDescending: values[2]?.isTrue ?? false, interpreter)
    return try TemplateList(
      order.map { index in
        let entry = dictionary.entries[index]
        return .tuple(try TemplateList([entry.key, entry.value]))
      })
  }

  private static func unique(
    _ items: [TemplateValue], _ values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) throws -> TemplateList {
    let seen = TemplateDictionary()
    var result: [TemplateValue] = []
    for item in items {
      let key = try folded(part(values[1], of: item, interpreter), values[0], interpreter)
      if seen.value(of: key) != nil { continue }
      try seen.set(.none, for: key)
      result.append(item)
    }
    return try TemplateList(result)
  }

  private static func extreme(
    _ name: String, _ items: [TemplateValue], _ values: [TemplateValue?],
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    let keys = try sortKeys(items, values[1], values[0], interpreter)
    guard var best = keys.indices.first else { return .undefined("there is no \(name)") }
    for index in keys.indices.dropFirst()
    where try interpreter.order(keys[index], keys[best]) == (name == "min" ? .less : .greater) {
      best = index
    }
    return items[best]
  }
}
