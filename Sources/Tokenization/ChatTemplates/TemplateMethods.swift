/// The methods of strings, lists and dictionaries.
enum TemplateMethods {
  private static let ofStrings: [String: [String]] = [
    "strip": ["chars"], "lstrip": ["chars"], "rstrip": ["chars"], "split": ["sep", "maxsplit"],
    "rsplit": ["sep", "maxsplit"], "splitlines": [], "startswith": ["prefix"],
    "endswith": ["suffix"], "replace": ["old", "new", "count"], "upper": [], "lower": [],
    "title": [], "capitalize": [], "swapcase": [], "find": ["sub"], "rfind": ["sub"],
    "index": ["sub"], "count": ["sub"], "join": ["iterable"], "isdigit": [], "isalpha": [],
    "isalnum": [], "isspace": [], "isupper": [], "islower": [], "removeprefix": ["prefix"],
    "removesuffix": ["suffix"], "zfill": ["width"], "partition": ["sep"],
  ]

  private static let ofLists: [String: [String]] = [
    "append": ["object"], "extend": ["iterable"], "insert": ["index", "object"],
    "pop": ["index"], "index": ["value"], "count": ["value"], "reverse": [], "copy": [],
    "clear": [],
  ]

  private static let ofDictionaries: [String: [String]] = [
    "items": [], "keys": [], "values": [], "get": ["key", "default"],
    "pop": ["key", "default"], "setdefault": ["key", "default"], "copy": [], "clear": [],
  ]

  static func exists(_ name: String, on value: TemplateValue) -> Bool {
    parameters(of: name, on: value) != nil || name == "update" && isDictionary(value)
  }

  private static func isDictionary(_ value: TemplateValue) -> Bool {
    if case .dictionary = value { true } else { false }
  }

  private static func parameters(of name: String, on value: TemplateValue) -> [String]? {
    switch value {
    case .string: ofStrings[name]
    case .list: ofLists[name]
    case .tuple: ["index", "count"].contains(name) ? ofLists[name] : nil
    case .dictionary: ofDictionaries[name]
    default: nil
    }
  }

  static func call(
    _ name: String, on receiver: TemplateValue, _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    if case .dictionary(let dictionary) = receiver, name == "update" {
      return try update(dictionary, arguments, interpreter)
    }
    guard let parameters = parameters(of: name, on: receiver) else {
      throw TemplateFailure(
        .evaluation, "a value of type \(receiver.typeName) has no method '\(name)'")
    }
    let values = try arguments.bound(to: parameters, of: name)
    switch receiver {
    case .string(let text):
      try interpreter.charge(text: text.utf8.count)
      return try TemplateStringMethods(text: text, name: name, values: values, interpreter).call()
    case .list(let list), .tuple(let list):
      return try call(name, on: list, values, interpreter)
    case .dictionary(let dictionary):
      return try call(name, on: dictionary, values, interpreter)
    default:
      throw TemplateFailure(
        .evaluation, "a value of type \(receiver.typeName) has no method '\(name)'")
    }
  }

  // MARK: Lists

  private static func call(
    _ name: String, on list: TemplateList, _ values: [TemplateValue?],
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    let first = values.first ?? nil
    switch name {
    case "append": try change(list, interpreter) { try $0.append(required(first, name)) }
    case "extend":
      let items = try interpreter.iterate(required(first, name))
      try change(list, interpreter) { for item in items { try $0.append(item) } }
    case "insert":
      guard let index = first?.integer else { break }
      try interpreter.step(list.items.count)
      try change(list, interpreter) {
        let position = index < 0 ? max(0, index + $0.items.count) : min(index, $0.items.count)
        try $0.insert(required(values[1], name), at: position)
      }
    case "pop":
      let index = first?.integer ?? -1
      let position = index < 0 ? index + list.items.count : index
      guard list.items.indices.contains(position) else {
        throw TemplateFailure(.evaluation, "'pop' from a place where the list has nothing")
      }
      interpreter.track(list)
      return list.remove(at: position)
    case "index":
      let wanted = try required(first, name)
      guard let index = try list.items.firstIndex(where: { try interpreter.isEqual($0, wanted) })
      else { throw TemplateFailure(.evaluation, "the value is not in the list") }
      return .integer(index)
    case "count":
      let wanted = try required(first, name)
      return .integer(try list.items.filter { try interpreter.isEqual($0, wanted) }.count)
    case "reverse":
      let items = list.items
      try interpreter.step(items.count)
      try change(list, interpreter) { list in
        list.removeAll()
        for item in items.reversed() { try list.append(item) }
      }
    case "clear": try change(list, interpreter) { $0.removeAll() }
    default:
      try interpreter.step(list.items.count)
      return .list(try TemplateList(list.items))
    }
    return .none
  }

  private static func change(
    _ list: TemplateList, _ interpreter: TemplateInterpreter, _ body: (TemplateList) throws -> Void
  ) throws {
    interpreter.track(list)
    try body(list)
  }

  private static func required(_ value: TemplateValue?, _ name: String) throws -> TemplateValue {
    guard let value else {
      throw TemplateFailure(.evaluation, "'\(name)' needs an argument")
    }
    return value
  }

  // MARK: Dictionaries

  private static func call(
    _ name: String, on dictionary: TemplateDictionary, _ values: [TemplateValue?],
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    let fallback = values.count > 1 ? values[1] ?? .none : .none
    switch name {
    case "items":
      return .list(try pairs(of: dictionary, interpreter))
    case "keys":
      try interpreter.step(dictionary.entries.count)
      return .list(try TemplateList(dictionary.entries.map(\.key)))
    case "values":
      try interpreter.step(dictionary.entries.count)
      return .list(try TemplateList(dictionary.entries.map(\.value)))
    case "get":
      return dictionary.value(of: try required(values[0], name)) ?? fallback
    case "setdefault":
      let key = try required(values[0], name)
      if let value = dictionary.value(of: key) { return value }
      interpreter.track(dictionary)
      try dictionary.set(fallback, for: key)
      return fallback
    case "pop":
      interpreter.track(dictionary)
      try interpreter.step(dictionary.entries.count)
      let key = try required(values[0], name)
      guard let value = dictionary.remove(key) ?? values[1] else {
        throw TemplateFailure(.evaluation, "the dictionary has no such key")
      }
      return value
    case "clear":
      dictionary.removeAll()
      return .none
    default:
      let copy = TemplateDictionary()
      try interpreter.step(dictionary.entries.count)
      for (key, value) in dictionary.entries { try copy.set(value, for: key) }
      return .dictionary(copy)
    }
  }

  /// A list of `(key, value)` tuples.
  static func pairs(
    of dictionary: TemplateDictionary, _ interpreter: TemplateInterpreter
  ) throws -> TemplateList {
    try interpreter.step(dictionary.entries.count)
    return try TemplateList(
      dictionary.entries.map { .tuple(try TemplateList([$0.key, $0.value])) })
  }

  private static func update(
    _ dictionary: TemplateDictionary, _ arguments: TemplateCallArguments,
    _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    interpreter.track(dictionary)
    for case .dictionary(let other) in arguments.positional {
      try interpreter.step(other.entries.count)
      for (key, value) in other.entries { try dictionary.set(value, for: key) }
    }
    for (name, value) in arguments.named { try dictionary.set(value, for: .string(name)) }
    return .none
  }
}

/// One call of a string method.
private struct TemplateStringMethods {
  let text: String
  let name: String
  let values: [TemplateValue?]
  let interpreter: TemplateInterpreter

  init(
    text: String, name: String, values: [TemplateValue?], _ interpreter: TemplateInterpreter
  ) {
    self.text = text
    self.name = name
    self.values = values
    self.interpreter = interpreter
  }

  func call() throws -> TemplateValue {
    switch name {
    case "strip": .string(TemplateStrings.strip(text, try optionalText(0)))
    case "lstrip": .string(TemplateStrings.strip(text, try optionalText(0), trailing: false))
    case "rstrip": .string(TemplateStrings.strip(text, try optionalText(0), leading: false))
    case "split": try list(split())
    case "rsplit": try list(splitFromEnd())
    case "splitlines": try list(TemplateStrings.lines(text))
    case "partition": try partition()
    case "startswith": .boolean(try matchesAny { $0.starts(with: $1) })
    case "endswith": .boolean(try matchesAny { $0.reversed().starts(with: $1.reversed()) })
    case "replace": .string(try replaced())
    case "upper": .string(text.uppercased())
    case "lower": .string(text.lowercased())
    case "title": .string(TemplateStrings.titled(text))
    case "capitalize": .string(TemplateStrings.capitalized(text))
    case "swapcase": .string(swappedCase)
    case "removeprefix": .string(try withoutPrefix())
    case "removesuffix": .string(try withoutSuffix())
    case "zfill": .string(try zeroFilled())
    case "join":
      .string(
        try interpreter.concatenate(
          interpreter.iterate(required(0)).map { try joinable($0) }, separator: text))
    default: try query()
    }
  }

  /// Methods that tell something about the text.
  private func query() throws -> TemplateValue {
    let scalars = text.unicodeScalars
    switch name {
    case "find": return .integer(try place(isLast: false) ?? -1)
    case "rfind": return .integer(try place(isLast: true) ?? -1)
    case "index":
      guard let place = try place(isLast: false) else {
        throw TemplateFailure(.evaluation, "the text does not contain what 'index' looks for")
      }
      return .integer(place)
    case "count":
      let part = try requiredText(0)
      if part.isEmpty { return .integer(scalars.count + 1) }
      return .integer(TemplateStrings.occurrences(of: part, in: text).count)
    case "isdigit":
      return all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
    case "isalpha": return all { CharacterClass($0) == .letter }
    case "isalnum":
      return all { CharacterClass($0) == .letter || $0.properties.numericType != nil }
    case "isspace": return all(TemplateStrings.isSpace)
    case "isupper":
      return .boolean(
        scalars.contains { $0.properties.isUppercase }
          && !scalars.contains { $0.properties.isLowercase })
    default:
      return .boolean(
        scalars.contains { $0.properties.isLowercase }
          && !scalars.contains { $0.properties.isUppercase })
    }
  }

  private func all(_ holds: (Unicode.Scalar) -> Bool) -> TemplateValue {
    .boolean(!text.isEmpty && text.unicodeScalars.allSatisfy(holds))
  }

  /// The position of an argument in the text, in scalars.
  private func place(isLast: Bool) throws -> Int? {
    let part = try requiredText(0)
    let byte = isLast ? lastPlace(part) : TemplateStrings.find(part, in: text)
    let bytes = text.utf8
    return byte.map { String(decoding: bytes.prefix($0), as: UTF8.self).unicodeScalars.count }
  }

  /// The first place read backwards.
  private func lastPlace(_ part: String) -> Int? {
    let needle = Array(part.utf8.reversed())
    return TemplateStrings.find(needle, in: Array(text.utf8.reversed()), from: 0).map {
      text.utf8.count - needle.count - $0
    }
  }

  private func split() throws -> [String] {
    let limit = try limit(at: 1)
    guard let separator = try optionalText(0) else {
      return TemplateStrings.splitWords(text, limit: limit)
    }
    return TemplateStrings.split(text, by: try notEmpty(separator), limit: limit)
  }

  private func splitFromEnd() throws -> [String] {
    let limit = try limit(at: 1)
    let separator = try optionalText(0)
    let pieces =
      try separator.map { TemplateStrings.split(text, by: try notEmpty($0)) }
      ?? TemplateStrings.splitWords(text)
    guard pieces.count - 1 > limit else { return pieces }
    let kept = pieces.count - limit
    return [pieces[..<kept].joined(separator: separator ?? " ")] + pieces[kept...]
  }

  private func partition() throws -> TemplateValue {
    let separator = try notEmpty(requiredText(0))
    let pieces = TemplateStrings.split(text, by: separator, limit: 1)
    let parts = pieces.count == 2 ? [pieces[0], separator, pieces[1]] : [text, "", ""]
    return .tuple(try TemplateList(parts.map { .string($0) }))
  }

  private func limit(at index: Int) throws -> Int {
    guard let value = values[index] else { return .max }
    guard let limit = value.integer else {
      throw TemplateFailure(.evaluation, "'\(name)' needs an integer, not \(value.typeName)")
    }
    return limit < 0 ? .max : limit
  }

  private func replaced() throws -> String {
    try TemplateFilters.replace(
      text, requiredText(0), with: requiredText(1), limit: limit(at: 2), interpreter)
  }

  /// Whether the text fits the argument, or one of the arguments of a tuple.
  private func matchesAny(
    _ fits: (String.UTF8View, String.UTF8View) -> Bool
  ) throws -> Bool {
    let candidates = try required(0).sequence ?? [required(0)]
    return try candidates.contains { candidate in
      guard case .string(let part) = candidate else {
        throw TemplateFailure(.evaluation, "'\(name)' needs text, not \(candidate.typeName)")
      }
      return fits(text.utf8, part.utf8)
    }
  }

  private func withoutPrefix() throws -> String {
    let prefix = try requiredText(0)
    guard text.utf8.starts(with: prefix.utf8) else { return text }
    return String(decoding: text.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  private func withoutSuffix() throws -> String {
    let suffix = try requiredText(0)
    guard text.utf8.reversed().starts(with: suffix.utf8.reversed()) else { return text }
    return String(decoding: text.utf8.dropLast(suffix.utf8.count), as: UTF8.self)
  }

  private var swappedCase: String {
    var result = ""
    for scalar in text.unicodeScalars {
      let properties = scalar.properties
      result += properties.isUppercase ? properties.lowercaseMapping : properties.uppercaseMapping
    }
    return result
  }

  private func zeroFilled() throws -> String {
    let missing = try limit(at: 0).subtractingReportingOverflow(text.unicodeScalars.count)
    guard !missing.overflow, missing.partialValue > 0 else { return text }
    try interpreter.charge(text: missing.partialValue)
    let zeros = String(repeating: "0", count: missing.partialValue)
    guard let sign = text.unicodeScalars.first, sign == "-" || sign == "+" else {
      return zeros + text
    }
    return String(sign) + zeros + String(text.unicodeScalars.dropFirst())
  }

  private func joinable(_ value: TemplateValue) throws -> String {
    guard case .string(let text) = value else {
      throw TemplateFailure(.evaluation, "'join' needs text, not \(value.typeName)")
    }
    return text
  }

  private func list(_ texts: [String]) throws -> TemplateValue {
    try interpreter.step(texts.count)
    return .list(try TemplateList(texts.map { .string($0) }))
  }

  private func notEmpty(_ separator: String) throws -> String {
    if separator.isEmpty { throw TemplateFailure(.evaluation, "an empty separator") }
    return separator
  }

  private func required(_ index: Int) throws -> TemplateValue {
    guard let value = values[index] else {
      throw TemplateFailure(.evaluation, "'\(name)' needs \(index + 1) arguments")
    }
    return value
  }

  private func requiredText(_ index: Int) throws -> String {
    guard let text = try optionalText(index) else {
      throw TemplateFailure(.evaluation, "'\(name)' needs text")
    }
    return text
  }

  private func optionalText(_ index: Int) throws -> String? {
    switch values[index] {
    case .string(let text)?: return text
    case nil, .some(.none): return nil
    case .some(let other):
      throw TemplateFailure(.evaluation, "'\(name)' needs text, not \(other.typeName)")
    }
  }
}
