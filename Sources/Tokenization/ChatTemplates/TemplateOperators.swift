import Foundation

/// Arithmetic and comparison with the rules of Python; integers are 64 bits wide and checked.
extension TemplateInterpreter {
  func negate(_ value: TemplateValue) throws -> TemplateValue {
    if case .float(let number) = value { return .float(-number) }
    guard let integer = value.integer else {
      throw TemplateFailure(.evaluation, "a value of type \(value.typeName) has no negative")
    }
    return .integer(try checked(0.subtractingReportingOverflow(integer)))
  }

  func apply(
    _ operation: TemplateExpression.ArithmeticOperator, _ left: TemplateValue,
    _ right: TemplateValue
  ) throws -> TemplateValue {
    try checkDefined(left)
    try checkDefined(right)
    if let one = left.integer, let other = right.integer {
      return try applyToIntegers(operation, one, other)
    }
    if let one = left.number, let other = right.number {
      return .float(try applyToNumbers(operation, one, other))
    }
    switch (operation, left, right) {
    case (.add, .string(let one), .string(let other)):
      return .string(try concatenate([one, other]))
    case (.add, .list(let one), .list(let other)):
      return .list(try joined(one, other))
    case (.add, .tuple(let one), .tuple(let other)):
      return .tuple(try joined(one, other))
    case (.multiply, _, _):
      if let count = right.integer { return try repeated(left, count) }
      if let count = left.integer { return try repeated(right, count) }
    case (.remainder, .string(let format), _):
      return .string(try formatted(format, right.sequence ?? [right]))
    default:
      break
    }
    throw TemplateFailure(
      .evaluation,
      "'\(operation.rawValue)' is not defined for \(left.typeName) and \(right.typeName)")
  }

  private func applyToIntegers(
    _ operation: TemplateExpression.ArithmeticOperator, _ left: Int, _ right: Int
  ) throws -> TemplateValue {
    switch operation {
    case .add: return .integer(try checked(left.addingReportingOverflow(right)))
    case .subtract: return .integer(try checked(left.subtractingReportingOverflow(right)))
    case .multiply: return .integer(try checked(left.multipliedReportingOverflow(by: right)))
    case .divide: return .float(try applyToNumbers(.divide, Double(left), Double(right)))
    case .floorDivide, .remainder:
      guard right != 0 else { throw TemplateFailure(.evaluation, "division by zero") }
      let quotient = try checked(left.dividedReportingOverflow(by: right))
      let remainder = left - quotient * right
      let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
      if operation == .floorDivide { return .integer(isBelow ? quotient - 1 : quotient) }
      return .integer(isBelow ? remainder + right : remainder)
    case .power:
      if right < 0 { return .float(try applyToNumbers(.power, Double(left), Double(right))) }
      return .integer(try power(left, right))
    }
  }

  private func power(_ base: Int, _ exponent: Int) throws -> Int {
    if base == 0 || base == 1 { return exponent == 0 ? 1 : base }
    if base == -1 { return exponent.isMultiple(of: 2) ? 1 : -1 }
    // Any other base overflows before its 64th power.
    var result = 1
    for _ in 0..<min(exponent, 64) {
      result = try checked(result.multipliedReportingOverflow(by: base))
    }
    return result
  }

  private func applyToNumbers(
    _ operation: TemplateExpression.ArithmeticOperator, _ left: Double, _ right: Double
  ) throws -> Double {
    switch operation {
    case .add: return left + right
    case .subtract: return left - right
    case .multiply: return left * right
    case .power: return pow(left, right)
    case .divide, .floorDivide, .remainder:
      guard right != 0 else { throw TemplateFailure(.evaluation, "division by zero") }
      if operation == .divide { return left / right }
      if operation == .floorDivide { return (left / right).rounded(.down) }
      let remainder = left.truncatingRemainder(dividingBy: right)
      return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder
    }
  }

  private func checked(_ result: (partialValue: Int, overflow: Bool)) throws -> Int {
    guard !result.overflow else {
      throw TemplateFailure(.evaluation, "the integer does not fit 64 bits")
    }
    return result.partialValue
  }

  private func repeated(_ value: TemplateValue, _ count: Int) throws -> TemplateValue {
    let count = max(0, count)
    switch value {
    case .string(let text):
      try charge(text: text.utf8.count, times: count)
      return .string(String(repeating: text, count: count))
    case .list(let list): return .list(try repeated(list, count))
    case .tuple(let list): return .tuple(try repeated(list, count))
    default:
      throw TemplateFailure(.evaluation, "a value of type \(value.typeName) cannot be repeated")
    }
  }

  private func repeated(_ list: TemplateList, _ count: Int) throws -> TemplateList {
    try step(list.items.count, times: count)
    return try TemplateList(Array(repeatElement(list.items, count: count).joined()))
  }

  private func joined(_ left: TemplateList, _ right: TemplateList) throws -> TemplateList {
    try step(left.items.count + right.items.count)
    return try TemplateList(left.items + right.items)
  }

  /// Joins texts after making sure there is room for the result.
  func concatenate(_ parts: [String], separator: String = "") throws -> String {
    try charge(text: parts.reduce(0) { $0 + $1.utf8.count })
    try charge(text: separator.utf8.count, times: max(0, parts.count - 1))
    return parts.joined(separator: separator)
  }

  func checkDefined(_ value: TemplateValue) throws {
    if case .undefined(let what) = value { throw TemplateFailure(.evaluation, what) }
  }

  // MARK: Comparison

  func compare(
    _ operation: TemplateExpression.ComparisonOperator, _ left: TemplateValue,
    _ right: TemplateValue
  ) throws -> Bool {
    switch operation {
    case .equal: try isEqual(left, right)
    case .notEqual: !(try isEqual(left, right))
    case .less: try order(left, right) == .less
    case .lessOrEqual: try [.less, .equal].contains(order(left, right))
    case .greater: try order(left, right) == .greater
    case .greaterOrEqual: try [.greater, .equal].contains(order(left, right))
    case .isIn: try contains(right, left)
    case .isNotIn: !(try contains(right, left))
    }
  }

  func isEqual(_ left: TemplateValue, _ right: TemplateValue, depth: Int = 0) throws -> Bool {
    try step()
    guard depth <= limits.depth else {
      throw TemplateFailure(.limit, "a value nests deeper than \(limits.depth)")
    }
    if let one = left.integer, let other = right.integer { return one == other }
    if let one = left.number, let other = right.number { return one == other }
    switch (left, right) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let one), .string(let other)):
      try scan(text: min(one.utf8.count, other.utf8.count))
      return one.hasSameUTF8(as: other)
    case (.list(let one), .list(let other)), (.tuple(let one), .tuple(let other)):
      return try areEqual(one.items, other.items, depth)
    case (.dictionary(let one), .dictionary(let other)):
      guard one.entries.count == other.entries.count else { return false }
      return try one.entries.allSatisfy { entry in
        guard let value = other.value(of: entry.key) else { return false }
        return try isEqual(entry.value, value, depth: depth + 1)
      }
    case (.namespace(let one), .namespace(let other)): return one === other
    case (.loop(let one), .loop(let other)): return one === other
    default: return false
    }
  }

  private func areEqual(
    _ left: [TemplateValue], _ right: [TemplateValue], _ depth: Int
  ) throws -> Bool {
    guard left.count == right.count else { return false }
    return try zip(left, right).allSatisfy { try isEqual($0, $1, depth: depth + 1) }
  }

  enum Order {
    case less, equal, greater
    /// One of the two is not a number.
    case unordered
  }

  func order(_ left: TemplateValue, _ right: TemplateValue, depth: Int = 0) throws -> Order {
    try step()
    if let one = left.integer, let other = right.integer {
      return one < other ? .less : one == other ? .equal : .greater
    }
    if let one = left.number, let other = right.number {
      return one < other ? .less : one == other ? .equal : one > other ? .greater : .unordered
    }
    if case .string(let one) = left, case .string(let other) = right {
      try scan(text: min(one.utf8.count, other.utf8.count))
      if one.hasSameUTF8(as: other) { return .equal }
      return one.utf8.lexicographicallyPrecedes(other.utf8) ? .less : .greater
    }
    if let one = left.sequence, let other = right.sequence, depth <= limits.depth {
      for (first, second) in zip(one, other) where !(try isEqual(first, second)) {
        return try order(first, second, depth: depth + 1)
      }
      return one.count < other.count ? .less : one.count == other.count ? .equal : .greater
    }
    try checkDefined(left)
    try checkDefined(right)
    throw TemplateFailure(
      .evaluation, "\(left.typeName) and \(right.typeName) have no order")
  }

  func contains(_ container: TemplateValue, _ value: TemplateValue) throws -> Bool {
    switch container {
    case .undefined: return false
    case .string(let text):
      guard case .string(let part) = value else {
        throw TemplateFailure(
          .evaluation, "a string cannot contain a value of type \(value.typeName)")
      }
      try scan(text: text.utf8.count)
      return TemplateStrings.find(part, in: text) != nil
    case .dictionary(let dictionary): return dictionary.value(of: value) != nil
    case .list, .tuple:
      return try (container.sequence ?? []).contains { try isEqual($0, value) }
    default:
      throw TemplateFailure(
        .evaluation, "'in' is not defined for a value of type \(container.typeName)")
    }
  }

  /// Python's `%` formatting with `%s`, `%r`, `%d`, `%i`, `%f`, `%.nf` and `%%`.
  func formatted(_ format: String, _ values: [TemplateValue]) throws -> String {
    var rest = values[...]
    var result = ""
    var scalars = format.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      guard scalar == "%" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      var precision: Int?
      if scalars.first == "." {
        scalars.removeFirst()
        let digits = scalars.prefix { ("0"..."9").contains($0) }
        scalars.removeFirst(digits.count)
        precision = min(Int(String(digits)) ?? 0, 60)
      }
      let conversion = scalars.popFirst()
      if conversion == "%" {
        result += "%"
        continue
      }
      guard let value = rest.popFirst() else {
        throw TemplateFailure(.evaluation, "the format '\(format)' needs more values")
      }
      switch (conversion, value.number) {
      case ("s", _): result += try text(of: value)
      case ("r", _): result += try text(of: .list(try TemplateList([value]))).dropFirst().dropLast()
      case ("d", let number?), ("i", let number?):
        result +=
          value.integer.map(String.init) ?? String(format: "%.0f", number.rounded(.towardZero))
      case ("f", let number?): result += String(format: "%.\(precision ?? 6)f", number)
      default:
        throw TemplateFailure(.evaluation, "the format '\(format)' does not fit its values")
      }
    }
    guard rest.isEmpty else {
      throw TemplateFailure(.evaluation, "the format '\(format)' has fewer places than values")
    }
    try charge(text: result.utf8.count)
    return result
  }
}
