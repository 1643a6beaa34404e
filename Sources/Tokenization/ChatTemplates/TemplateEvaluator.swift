/// The arguments of a call, evaluated.
struct TemplateCallArguments {
  var positional: [TemplateValue] = []
  var named: [(name: String, value: TemplateValue)] = []

  /// The values of `parameters` in order, `nil` where none was given.
  func bound(to parameters: [String], of callee: String) throws -> [TemplateValue?] {
    guard positional.count <= parameters.count else {
      throw TemplateFailure(
        .evaluation, "'\(callee)' takes \(parameters.count) arguments, not \(positional.count)")
    }
    var values = positional.map { Optional($0) }
    values += [TemplateValue?](repeating: nil, count: parameters.count - positional.count)
    for (name, value) in named {
      guard let index = parameters.firstIndex(of: name) else {
        throw TemplateFailure(.evaluation, "'\(callee)' has no argument '\(name)'")
      }
      guard index >= positional.count else {
        throw TemplateFailure(.evaluation, "'\(callee)' got the argument '\(name)' twice")
      }
      values[index] = value
    }
    return values
  }
}

/// Evaluates expressions.
extension TemplateInterpreter {
  func evaluate(_ expression: TemplateExpression) throws -> TemplateValue {
    try step()
    do {
      return try deeper { try evaluateKind(expression) }
    } catch let failure as TemplateFailure {
      throw failure.placed(at: expression.offset)
    }
  }

  private func evaluateKind(_ expression: TemplateExpression) throws -> TemplateValue {
    switch expression.kind {
    case .none: return .none
    case .boolean(let value): return .boolean(value)
    case .integer(let value): return .integer(value)
    case .float(let value): return .float(value)
    case .string(let text): return .string(text)
    case .name(let name): return scope.lookUp(name) ?? .undefined("'\(name)' is undefined")
    case .tuple(let items): return .tuple(try TemplateList(items.map { try evaluate($0) }))
    case .list(let items): return .list(try TemplateList(items.map { try evaluate($0) }))
    case .dictionary(let pairs): return try evaluateDictionary(pairs)
    case .unary(let operation, let operand): return try evaluateUnary(operation, operand)
    case .arithmetic(let first, let rest):
      return try rest.reduce(evaluate(first)) { try apply($1.0, $0, evaluate($1.1)) }
    case .concatenation(let items):
      return .string(try concatenate(items.map { try text(of: evaluate($0)) }))
    case .comparison(let first, let rest): return try evaluateComparison(first, rest)
    case .and(let items): return try evaluateShortCircuit(items, stopsAt: false)
    case .or(let items): return try evaluateShortCircuit(items, stopsAt: true)
    case .conditional(let then, let condition, let otherwise):
      if try evaluate(condition).isTrue { return try evaluate(then) }
      if let otherwise { return try evaluate(otherwise) }
      return .undefined("the condition does not hold and there is no 'else'")
    case .postfix(let base, let postfixes): return try apply(postfixes, to: evaluate(base))
    }
  }

  private func evaluateDictionary(
    _ pairs: [(key: TemplateExpression, value: TemplateExpression)]
  ) throws -> TemplateValue {
    let dictionary = TemplateDictionary()
    for (key, value) in pairs { try dictionary.set(evaluate(value), for: evaluate(key)) }
    return .dictionary(dictionary)
  }

  private func evaluateUnary(
    _ operation: TemplateExpression.UnaryOperator, _ operand: TemplateExpression
  ) throws -> TemplateValue {
    let value = try evaluate(operand)
    switch operation {
    case .not: return .boolean(!value.isTrue)
    case .negate:
      try checkDefined(value)
      return try negate(value)
    case .plus:
      guard value.number != nil else {
        throw TemplateFailure(.evaluation, "a value of type \(value.typeName) is not a number")
      }
      return value.integer.map { .integer($0) } ?? value
    }
  }

  private func evaluateComparison(
    _ first: TemplateExpression,
    _ rest: [(TemplateExpression.ComparisonOperator, TemplateExpression)]
  ) throws -> TemplateValue {
    var left = try evaluate(first)
    for (operation, operand) in rest {
      let right = try evaluate(operand)
      if !(try compare(operation, left, right)) { return .boolean(false) }
      left = right
    }
    return .boolean(true)
  }

  /// `and` and `or` give the value that decides.
  private func evaluateShortCircuit(
    _ items: [TemplateExpression], stopsAt truth: Bool
  ) throws -> TemplateValue {
    var value = TemplateValue.none
    for item in items {
      value = try evaluate(item)
      if value.isTrue == truth { break }
    }
    return value
  }

  // MARK: Postfixes

  func apply(_ postfixes: [TemplatePostfix], to base: TemplateValue) throws -> TemplateValue {
    var value = base
    for postfix in postfixes {
      try step()
      do {
        value = try apply(postfix, to: value)
      } catch let failure as TemplateFailure {
        throw failure.placed(at: postfix.offset)
      }
    }
    return value
  }

  private func apply(_ postfix: TemplatePostfix, to value: TemplateValue) throws -> TemplateValue {
    switch postfix.kind {
    case .attribute(let name):
      return try attribute(name, of: value)
    case .item(let expression):
      return try item(evaluate(expression), of: value)
    case .slice(let start, let end, let step):
      return try slice(
        value, start: start.map { try evaluate($0) }, end: end.map { try evaluate($0) },
        step: step.map { try evaluate($0) })
    case .call(let arguments):
      guard case .callable(let callable) = value else {
        try checkDefined(value)
        throw TemplateFailure(.evaluation, "a value of type \(value.typeName) cannot be called")
      }
      return try call(callable, evaluate(arguments))
    case .filter(let name, let arguments):
      return try TemplateFilters.apply(name, to: value, evaluate(arguments), self)
    case .test(let name, let arguments, let isNegated):
      let holds = try TemplateTests.apply(name, to: value, evaluate(arguments), self)
      return .boolean(holds != isNegated)
    }
  }

  func evaluate(_ arguments: TemplateArguments) throws -> TemplateCallArguments {
    var result = TemplateCallArguments()
    result.positional = try arguments.positional.map { try evaluate($0) }
    result.named = try arguments.named.map { ($0.name, try evaluate($0.value)) }
    if let spread = arguments.spread { result.positional += try iterate(evaluate(spread)) }
    if let namedSpread = arguments.namedSpread {
      guard case .dictionary(let dictionary) = try evaluate(namedSpread) else {
        throw TemplateFailure(.evaluation, "'**' needs a dictionary")
      }
      for (key, value) in dictionary.entries { result.named.append((try text(of: key), value)) }
    }
    return result
  }

  /// `value.name`: a method or property before an entry, as in Jinja.
  func attribute(_ name: String, of value: TemplateValue) throws -> TemplateValue {
    try checkDefined(value)
    switch value {
    case .loop(let loop):
      if let property = loop.attribute(name) { return property }
    case .namespace(let namespace):
      if let property = namespace[name] { return property }
    case .callable(.cycler(let cycler)):
      if name == "current" { return cycler.list.items[cycler.index] }
      if name == "next" || name == "reset" { return .callable(.method(value, name)) }
    default:
      if TemplateMethods.exists(name, on: value) { return .callable(.method(value, name)) }
      if case .dictionary(let dictionary) = value, let entry = dictionary[name] { return entry }
    }
    return .undefined("the \(value.typeName) has no attribute '\(name)'")
  }

  /// `value[key]`: an entry or element before a method.
  func item(_ key: TemplateValue, of value: TemplateValue) throws -> TemplateValue {
    try checkDefined(value)
    if case .dictionary(let dictionary) = value, let entry = dictionary.value(of: key) {
      return entry
    }
    if let index = key.integer {
      if let items = value.sequence { return element(index, of: items) }
      if case .string(let text) = value {
        try scan(text: text.utf8.count)
        return element(index, of: text.unicodeScalars.map { .string(String($0)) })
      }
    }
    if case .string(let name) = key { return try attribute(name, of: value) }
    return .undefined("the \(value.typeName) has no such item")
  }

  private func element(_ index: Int, of items: [TemplateValue]) -> TemplateValue {
    let position = index < 0 ? index + items.count : index
    guard items.indices.contains(position) else {
      return .undefined("there is no item \(index) among \(items.count)")
    }
    return items[position]
  }

  // MARK: Slices and iteration

  private func slice(
    _ value: TemplateValue, start: TemplateValue?, end: TemplateValue?, step: TemplateValue?
  ) throws -> TemplateValue {
    try checkDefined(value)
    switch value {
    case .string(let text):
      let scalars = Array(text.unicodeScalars)
      try charge(text: text.utf8.count)
      var result = String.UnicodeScalarView()
      for index in try sliceIndices(scalars.count, start, end, step) {
        result.append(scalars[index])
      }
      return .string(String(result))
    case .list(let list):
      let indices = try sliceIndices(list.items.count, start, end, step)
      return .list(try TemplateList(indices.map { list.items[$0] }))
    case .tuple(let list):
      let indices = try sliceIndices(list.items.count, start, end, step)
      return .tuple(try TemplateList(indices.map { list.items[$0] }))
    default:
      throw TemplateFailure(.evaluation, "a value of type \(value.typeName) cannot be sliced")
    }
  }

  /// The positions a Python slice takes from `count` items.
  private func sliceIndices(
    _ count: Int, _ start: TemplateValue?, _ end: TemplateValue?, _ step: TemplateValue?
  ) throws -> [Int] {
    let stride = try sliceBound(step) ?? 1
    guard stride != 0 else { throw TemplateFailure(.evaluation, "a slice cannot step by 0") }
    let lowest = stride > 0 ? 0 : -1
    let highest = stride > 0 ? count : count - 1
    func clamped(_ bound: Int?, _ missing: Int) -> Int {
      guard let bound else { return missing }
      return min(max(bound < 0 ? bound + count : bound, lowest), highest)
    }
    let first = clamped(try sliceBound(start), stride > 0 ? 0 : count - 1)
    let last = clamped(try sliceBound(end), stride > 0 ? count : -1)
    // A stride longer than the list takes one item, and its sum with a position cannot overflow.
    let safeStride = max(-count - 1, min(count + 1, stride))
    let indices = Array(Swift.stride(from: first, to: last, by: safeStride))
    try self.step(indices.count)
    return indices
  }

  private func sliceBound(_ value: TemplateValue?) throws -> Int? {
    switch value {
    case nil, .some(.none): return nil
    case .some(let value):
      guard let bound = value.integer else {
        throw TemplateFailure(.evaluation, "a slice needs integers, not \(value.typeName)")
      }
      return bound
    }
  }

  /// What a loop over `value` gives: items, keys, or the characters of a text.
  func iterate(_ value: TemplateValue) throws -> [TemplateValue] {
    switch value {
    case .undefined: return []
    case .list(let list), .tuple(let list):
      try step(list.items.count)
      return list.items
    case .dictionary(let dictionary):
      try step(dictionary.entries.count)
      return dictionary.entries.map(\.key)
    case .string(let text):
      try step(text.utf8.count)
      return text.unicodeScalars.map { .string(String($0)) }
    default:
      throw TemplateFailure(.evaluation, "a value of type \(value.typeName) cannot be looped over")
    }
  }

  // MARK: Calls

  func call(
    _ callable: TemplateCallable, _ arguments: TemplateCallArguments
  ) throws -> TemplateValue {
    switch callable {
    case .macro(let macro, let macroScope, let caller):
      return try call(macro, in: macroScope, caller: caller, arguments)
    case .function(let name):
      return try TemplateFunctions.call(name, arguments, self)
    case .method(.callable(.cycler(let cycler)), let name):
      return turn(cycler, isReset: name == "reset")
    case .method(let receiver, let name):
      return try TemplateMethods.call(name, on: receiver, arguments, self)
    case .loopMethod(let loop, let name):
      return try callLoop(loop, name, arguments)
    case .cycler:
      throw TemplateFailure(.evaluation, "a cycler is turned by its method 'next'")
    case .joiner(let joiner):
      defer { joiner.isUsed = true }
      return .string(joiner.isUsed ? joiner.separator : "")
    }
  }

  private func turn(_ cycler: TemplateCycler, isReset: Bool) -> TemplateValue {
    let current = cycler.list.items[cycler.index]
    cycler.index = isReset ? 0 : (cycler.index + 1) % cycler.list.items.count
    return isReset ? .none : current
  }

  private func callLoop(
    _ loop: TemplateLoop, _ name: String, _ arguments: TemplateCallArguments
  ) throws -> TemplateValue {
    if name == "cycle" {
      guard !arguments.positional.isEmpty else {
        throw TemplateFailure(.evaluation, "'loop.cycle' needs items")
      }
      return arguments.positional[loop.index % arguments.positional.count]
    }
    let now = try TemplateList(arguments.positional)
    defer { loop.lastChanged = now }
    guard let before = loop.lastChanged else { return .boolean(true) }
    return .boolean(!(try isEqual(.list(before), .list(now))))
  }
}
