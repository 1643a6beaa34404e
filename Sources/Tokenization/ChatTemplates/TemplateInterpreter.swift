/// Renders a template by walking its tree.
///
/// Lives for one rendering. Every step, every byte of text made and every level of recursion is
/// counted against `ChatTemplate.Limits`, so that no template runs away.
final class TemplateInterpreter {
  let limits: ChatTemplate.Limits
  /// The time `strftime_now` tells.
  let now: TemplateDate
  private(set) var output: [UInt8] = []
  var scope: TemplateScope

  private let globals: TemplateScope
  private var steps = 0
  private var textBytes = 0
  private var depth = 0
  private var tracked: [TemplateContainer] = []
  private var scopesWithMacros: [TemplateScope] = []

  /// How a statement ended.
  private enum Flow {
    case normal, breakLoop, continueLoop
  }

  init(variables: [(String, TemplateValue)], limits: ChatTemplate.Limits, now: TemplateDate) {
    self.limits = limits
    self.now = now
    globals = TemplateScope(parent: nil)
    scope = TemplateScope(parent: globals)
    for name in TemplateFunctions.names { globals.variables[name] = .callable(.function(name)) }
    for (name, value) in variables { globals.variables[name] = value }
  }

  /// The text the template writes.
  func render(_ body: [TemplateStatement]) throws -> String {
    defer { breakCycles() }
    _ = try execute(body)
    return String(decoding: output, as: UTF8.self)
  }

  /// Macros hold the scope that holds them, and a changed list can hold itself.
  private func breakCycles() {
    for container in tracked { container.removeAll() }
    for scope in scopesWithMacros { scope.variables = [:] }
  }

  /// Notes that a template has changed `container`.
  func track(_ container: TemplateContainer) {
    if container.isTracked { return }
    container.isTracked = true
    tracked.append(container)
  }

  // MARK: Limits

  /// Counts `count` steps.
  @inline(__always)
  func step(_ count: Int = 1) throws {
    steps += count
    if steps > limits.steps { throw stepFailure }
  }

  /// Counts `count` steps `times` over.
  func step(_ count: Int, times: Int) throws {
    let (product, overflow) = count.multipliedReportingOverflow(by: times)
    if overflow || product > limits.steps { throw stepFailure }
    try step(product)
  }

  private var stepFailure: TemplateFailure {
    TemplateFailure(.limit, "more than \(limits.steps) steps; does a loop not end?")
  }

  /// Counts `count` bytes of new text `times` over, before they are made.
  func charge(text count: Int, times: Int = 1) throws {
    let (product, overflow) = count.multipliedReportingOverflow(by: times)
    let (total, overflowsTotal) = textBytes.addingReportingOverflow(product)
    guard !overflow, !overflowsTotal, total <= limits.textBytes else {
      throw TemplateFailure(.limit, "more than \(limits.textBytes) bytes of text were made")
    }
    textBytes = total
  }

  /// Counts the reading of `count` bytes of text.
  func scan(text count: Int) throws { try step(count >> 8) }

  /// Runs `body` one level deeper.
  func deeper<Result>(_ body: () throws -> Result) throws -> Result {
    guard depth < limits.depth else {
      throw TemplateFailure(.limit, "recursion deeper than \(limits.depth) levels")
    }
    depth += 1
    defer { depth -= 1 }
    return try body()
  }

  /// What `body` writes, instead of writing it.
  func captured(_ body: () throws -> Void) throws -> String {
    let outer = output
    output = []
    defer { output = outer }
    try body()
    return String(decoding: output, as: UTF8.self)
  }

  private func write(_ text: String) throws {
    try charge(text: text.utf8.count)
    output.append(contentsOf: text.utf8)
  }

  // MARK: Statements

  private func execute(_ body: [TemplateStatement]) throws -> Flow {
    for statement in body {
      try step()
      do {
        let flow = try deeper { try execute(statement) }
        if flow != .normal { return flow }
      } catch let failure as TemplateFailure {
        throw failure.placed(at: statement.offset)
      }
    }
    return .normal
  }

  private func execute(_ statement: TemplateStatement) throws -> Flow {
    switch statement.kind {
    case .text(let text): try write(text)
    case .output(let expression): try write(text(of: evaluate(expression)))
    case .branches(let branches): return try executeBranches(branches)
    case .loop(let loop): return try executeLoop(loop)
    case .set(let target, let expression): try assign(evaluate(expression), to: target)
    case .capture(let target, let filters, let body):
      try assign(captureFiltered(filters, body), to: target)
    case .macro(let macro): define(macro)
    case .call(let expression, let caller): try executeCall(expression, caller)
    case .filtered(let filters, let body):
      try write(text(of: captureFiltered(filters, body)))
    case .with(let assignments, let body): return try executeWith(assignments, body)
    case .group(let body): return try execute(body)
    case .breakLoop: return .breakLoop
    case .continueLoop: return .continueLoop
    case .evaluate(let expression): _ = try evaluate(expression)
    }
    return .normal
  }

  private func executeBranches(
    _ branches: [(condition: TemplateExpression?, body: [TemplateStatement])]
  ) throws -> Flow {
    for (condition, body) in branches {
      if let condition, !(try evaluate(condition).isTrue) { continue }
      return try execute(body)
    }
    return .normal
  }

  private func executeLoop(_ loop: TemplateStatement.Loop) throws -> Flow {
    let items = try loopItems(loop)
    if items.isEmpty { return try inScope { try execute(loop.otherwise) } }
    let state = TemplateLoop(try TemplateList(items))
    for (index, item) in items.enumerated() {
      try step()
      state.index = index
      let flow = try inScope {
        scope.variables["loop"] = .loop(state)
        try assign(item, to: loop.target)
        return try execute(loop.body)
      }
      if flow == .breakLoop { break }
    }
    return .normal
  }

  /// What the loop runs over: the items for which its condition holds.
  private func loopItems(_ loop: TemplateStatement.Loop) throws -> [TemplateValue] {
    let items = try iterate(evaluate(loop.iterable))
    guard let condition = loop.condition else { return items }
    return try items.filter { item in
      try inScope {
        try assign(item, to: loop.target)
        return try evaluate(condition).isTrue
      }
    }
  }

  private func executeWith(
    _ assignments: [(TemplateTarget, TemplateExpression)], _ body: [TemplateStatement]
  ) throws -> Flow {
    let values = try assignments.map { try evaluate($0.1) }
    return try inScope {
      for ((target, _), value) in zip(assignments, values) { try assign(value, to: target) }
      return try execute(body)
    }
  }

  private func executeCall(_ expression: TemplateExpression, _ caller: TemplateMacro) throws {
    guard case .postfix(let base, var postfixes) = expression.kind,
      case .call(let arguments)? = postfixes.popLast()?.kind
    else { throw TemplateFailure(.evaluation, "{% call %} needs a call") }
    let callee = TemplateExpression(kind: .postfix(base, postfixes), offset: expression.offset)
    guard case .callable(.macro(let macro, let macroScope, _)) = try evaluate(callee) else {
      throw TemplateFailure(.evaluation, "{% call %} needs a macro")
    }
    let callable = TemplateCallable.macro(
      macro, scope: macroScope, caller: TemplateCaller(macro: caller, scope: scope))
    try write(text(of: call(callable, evaluate(arguments))))
  }

  private func captureFiltered(
    _ filters: [TemplatePostfix], _ body: [TemplateStatement]
  ) throws -> TemplateValue {
    let text = try captured { try inScope { _ = try execute(body) } }
    return try apply(filters, to: .string(text))
  }

  // MARK: Variables and macros

  private func inScope<Result>(_ body: () throws -> Result) throws -> Result {
    let outer = scope
    scope = TemplateScope(parent: outer)
    defer { scope = outer }
    return try body()
  }

  private func assign(_ value: TemplateValue, to target: TemplateTarget) throws {
    switch target {
    case .name(let name):
      scope.variables[name] = value
    case .attribute(let name, let attribute):
      guard case .namespace(let namespace)? = scope.lookUp(name) else {
        throw TemplateFailure(.evaluation, "only attributes of a namespace can be set")
      }
      track(namespace)
      try namespace.set(value, for: .string(attribute))
    case .tuple(let targets):
      let items = try iterate(value)
      guard items.count == targets.count else {
        throw TemplateFailure(
          .evaluation, "\(items.count) values cannot be assigned to \(targets.count) names")
      }
      for (target, item) in zip(targets, items) { try assign(item, to: target) }
    }
  }

  private func define(_ macro: TemplateMacro) {
    scope.variables[macro.name] = .callable(.macro(macro, scope: scope, caller: nil))
    scopesWithMacros.append(scope)
  }

  /// Runs a macro with `arguments` and gives what it writes.
  func call(
    _ macro: TemplateMacro, in macroScope: TemplateScope, caller: TemplateCaller?,
    _ arguments: TemplateCallArguments
  ) throws -> TemplateValue {
    let outer = scope
    scope = TemplateScope(parent: macroScope)
    defer { scope = outer }
    try bind(macro, arguments)
    if let caller {
      scope.variables["caller"] = .callable(
        .macro(caller.macro, scope: caller.scope, caller: nil))
    }
    return .string(try captured { _ = try execute(macro.body) })
  }

  private func bind(_ macro: TemplateMacro, _ arguments: TemplateCallArguments) throws {
    var named = arguments.named
    for (index, parameter) in macro.parameters.enumerated() {
      let given = named.firstIndex { $0.name == parameter.name }.map { named.remove(at: $0).value }
      if index < arguments.positional.count {
        scope.variables[parameter.name] = arguments.positional[index]
      } else if let given {
        scope.variables[parameter.name] = given
      } else if let defaultValue = parameter.defaultValue {
        scope.variables[parameter.name] = try evaluate(defaultValue)
      } else {
        scope.variables[parameter.name] = .undefined(
          "the parameter '\(parameter.name)' of '\(macro.name)' was not given")
      }
    }
    scope.variables["varargs"] = .tuple(
      try TemplateList(Array(arguments.positional.dropFirst(macro.parameters.count))))
    scope.variables["kwargs"] = .dictionary(
      try TemplateDictionary(named.map { ($0.name, $0.value) }))
  }
}
