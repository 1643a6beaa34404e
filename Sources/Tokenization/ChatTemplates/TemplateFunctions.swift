/// The functions every template can call.
enum TemplateFunctions {
  static let names = [
    "range", "dict", "namespace", "joiner", "cycler", "raise_exception", "strftime_now",
  ]

  static func call(
    _ name: String, _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    switch name {
    case "range": return try range(arguments, interpreter)
    case "dict": return .dictionary(try dictionary(arguments, interpreter))
    case "namespace": return .namespace(try dictionary(arguments, interpreter))
    case "joiner":
      let separator = try arguments.bound(to: ["sep"], of: name)[0]
      return .callable(
        .joiner(TemplateJoiner(separator: try separator.map(interpreter.text(of:)) ?? ", ")))
    case "cycler":
      guard !arguments.positional.isEmpty else {
        throw TemplateFailure(.evaluation, "'cycler' needs items")
      }
      return .callable(.cycler(TemplateCycler(try TemplateList(arguments.positional))))
    case "raise_exception":
      let message = try arguments.bound(to: ["message"], of: name)[0]
      throw TemplateFailure(.raised, try message.map(interpreter.text(of:)) ?? "no reason given")
    case "strftime_now":
      guard case .string(let format)? = try arguments.bound(to: ["format"], of: name)[0] else {
        throw TemplateFailure(.evaluation, "'strftime_now' needs a format")
      }
      let text = interpreter.now.formatted(format)
      try interpreter.charge(text: text.utf8.count)
      return .string(text)
    default:
      throw TemplateFailure(.evaluation, "'\(name)' is undefined")
    }
  }

  private static func range(
    _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws -> TemplateValue {
    let bounds = arguments.positional.compactMap(\.integer)
    guard bounds.count == arguments.positional.count, arguments.named.isEmpty,
      (1...3).contains(bounds.count)
    else { throw TemplateFailure(.evaluation, "'range' takes one to three integers") }
    let start = bounds.count > 1 ? bounds[0] : 0
    let end = bounds.count > 1 ? bounds[1] : bounds[0]
    let stride = bounds.count > 2 ? bounds[2] : 1
    guard stride != 0 else { throw TemplateFailure(.evaluation, "'range' cannot step by 0") }
    guard (stride > 0) == (start < end) else { return .list(try TemplateList([])) }
    // How many numbers that is, without overflow and before they are made.
    let span =
      start < end
      ? end.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(end)
    try interpreter.step(
      span.overflow ? .max : span.partialValue / Int(clamping: stride.magnitude), times: 1)
    return .list(
      try TemplateList(Swift.stride(from: start, to: end, by: stride).map { .integer($0) }))
  }

  /// A dictionary from pairs or another dictionary, and from named arguments.
  private static func dictionary(
    _ arguments: TemplateCallArguments, _ interpreter: TemplateInterpreter
  ) throws -> TemplateDictionary {
    let result = TemplateDictionary()
    for value in arguments.positional {
      if case .dictionary(let other) = value {
        for (key, value) in other.entries { try result.set(value, for: key) }
      } else {
        for pair in try interpreter.iterate(value) {
          guard let items = pair.sequence, items.count == 2 else {
            throw TemplateFailure(.evaluation, "a dictionary is made of pairs")
          }
          try result.set(items[1], for: items[0])
        }
      }
    }
    for (name, value) in arguments.named { try result.set(value, for: .string(name)) }
    return result
  }
}
