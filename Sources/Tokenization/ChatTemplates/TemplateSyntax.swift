/// The tree of a template. Every node carries its byte offset in the source.
///
/// Chains of operators are flat lists, so that the depth of the tree is bounded by the nesting the
/// parser admits and never by the length of an expression.
struct TemplateExpression: Sendable {
  indirect enum Kind: Sendable {
    case none
    case boolean(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
    case name(String)
    case tuple([TemplateExpression])
    case list([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)])
    case unary(UnaryOperator, TemplateExpression)
    /// Operators of one precedence, applied from left to right.
    case arithmetic(TemplateExpression, [(ArithmeticOperator, TemplateExpression)])
    case concatenation([TemplateExpression])
    case comparison(TemplateExpression, [(ComparisonOperator, TemplateExpression)])
    case and([TemplateExpression])
    case or([TemplateExpression])
    case conditional(
      then: TemplateExpression, condition: TemplateExpression, otherwise: TemplateExpression?)
    /// Attributes, subscripts, calls, filters and tests, applied from left to right.
    case postfix(TemplateExpression, [TemplatePostfix])
  }

  enum UnaryOperator: Sendable { case negate, plus, not }

  enum ArithmeticOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//",
      remainder = "%", power = "**"
  }

  enum ComparisonOperator: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">",
      greaterOrEqual = ">=", isIn = "in", isNotIn = "not in"
  }

  var kind: Kind
  var offset: Int
}

/// What is applied to a value behind it.
struct TemplatePostfix: Sendable {
  enum Kind: Sendable {
    case attribute(String)
    case item(TemplateExpression)
    case slice(start: TemplateExpression?, end: TemplateExpression?, step: TemplateExpression?)
    case call(TemplateArguments)
    case filter(String, TemplateArguments)
    case test(String, TemplateArguments, isNegated: Bool)
  }

  var kind: Kind
  var offset: Int
}

/// The arguments of a call, unevaluated.
struct TemplateArguments: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
  /// `*list`, spread behind the positional ones.
  var spread: TemplateExpression?
  /// `**dictionary`, spread behind the named ones.
  var namedSpread: TemplateExpression?
}

/// What a value is assigned to.
indirect enum TemplateTarget: Sendable {
  case name(String)
  /// An attribute of a namespace.
  case attribute(of: String, String)
  case tuple([TemplateTarget])
}

/// The parameters and body of `{% macro %}` or `{% call %}`.
final class TemplateMacro: Sendable {
  let name: String
  let parameters: [(name: String, defaultValue: TemplateExpression?)]
  let body: [TemplateStatement]

  init(
    name: String, parameters: [(name: String, defaultValue: TemplateExpression?)],
    body: [TemplateStatement]
  ) {
    self.name = name
    self.parameters = parameters
    self.body = body
  }
}

/// One text or tag of a template.
struct TemplateStatement: Sendable {
  struct Loop: Sendable {
    var target: TemplateTarget
    var iterable: TemplateExpression
    var condition: TemplateExpression?
    var body: [TemplateStatement]
    var otherwise: [TemplateStatement]
  }

  indirect enum Kind: Sendable {
    case text(String)
    case output(TemplateExpression)
    /// The first branch whose condition holds; `nil` for `else`.
    case branches([(condition: TemplateExpression?, body: [TemplateStatement])])
    case loop(Loop)
    case set(TemplateTarget, TemplateExpression)
    /// Assigns what the body writes, passed through filters.
    case capture(TemplateTarget, filters: [TemplatePostfix], [TemplateStatement])
    case macro(TemplateMacro)
    case call(TemplateExpression, caller: TemplateMacro)
    /// Writes what the body writes, passed through filters.
    case filtered([TemplatePostfix], [TemplateStatement])
    case with([(TemplateTarget, TemplateExpression)], [TemplateStatement])
    /// A body without effect of its own, as `{% generation %}`.
    case group([TemplateStatement])
    case breakLoop
    case continueLoop
    case evaluate(TemplateExpression)
  }

  var kind: Kind
  var offset: Int
}
