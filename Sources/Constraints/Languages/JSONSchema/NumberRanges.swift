/// Numbers within bounds as exact automata over their digits.
enum NumberRanges {
  /// Whole numbers of up to this many digits are written where there are no bounds.
  static let digits = 15
  private static let largest = 999_999_999_999_999

  /// Whole numbers of `least...most`, without leading zeros and without `-0`.
  static func integers(from least: Int?, to most: Int?) -> RuleExpression {
    let least = least ?? min(-largest, most ?? 0)
    let most = most ?? max(largest, least)
    guard least <= most else { return .never }
    var parts: [RuleExpression] = []
    if least < 0 {
      let smallest = most < 0 ? most.magnitude : 1
      parts.append(.sequence([.text("-"), naturals(smallest, least.magnitude)]))
    }
    if most >= 0 { parts.append(naturals(UInt(max(least, 0)), UInt(most))) }
    return .choice(parts)
  }

  /// Whole numbers that `divisor` divides, by their remainder digit by digit.
  ///
  /// - Parameter divisor: 1 to `mostRemainders`.
  static func multiples(of divisor: Int) -> RuleExpression {
    var automaton = Automaton()
    for remainder in 0..<divisor {
      var state = Automaton.State(isAccepting: remainder == 0)
      for digit in 0..<10 {
        let byte = 0x30 + UInt8(digit)
        let target = Int32((remainder * 10 + digit) % divisor)
        state.bytes.append(.init(low: byte, high: byte, target: target))
      }
      automaton.states.append(state)
    }
    return .automaton(automaton)
  }

  // MARK: Digits

  private static func naturals(_ least: UInt, _ most: UInt) -> RuleExpression {
    var parts: [RuleExpression] = []
    let (first, last) = (decimal(least), decimal(most))
    for length in first.count...max(first.count, last.count) {
      let low = length == first.count ? first : [1] + Array(repeating: 0, count: length - 1)
      let high = length == last.count ? last : Array(repeating: 9, count: length)
      parts.append(sameLength(low[...], high[...]))
    }
    return .choice(parts)
  }

  private static func decimal(_ number: UInt) -> [UInt8] { "\(number)".utf8.map { $0 - 0x30 } }

  private static func sameLength(
    _ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>
  ) -> RuleExpression {
    guard let first = low.first, let last = high.first else { return .empty }
    let (lowRest, highRest) = (low.dropFirst(), high.dropFirst())
    if lowRest.allSatisfy({ $0 == 0 }), highRest.allSatisfy({ $0 == 9 }) {
      let count = lowRest.count
      return .sequence([digits(first, last), .repetition(.digit, least: count, most: count)])
    }
    if first == last { return .sequence([digits(first, first), sameLength(lowRest, highRest)]) }
    let nines = Array(repeating: UInt8(9), count: lowRest.count)[...]
    let zeros = Array(repeating: UInt8(0), count: lowRest.count)[...]
    var parts: [RuleExpression] = [
      .sequence([digits(first, first), sameLength(lowRest, nines)]),
      .sequence([digits(last, last), sameLength(zeros, highRest)]),
    ]
    if last - first > 1 {
      parts.append(
        .sequence([
          digits(first + 1, last - 1),
          .repetition(.digit, least: lowRest.count, most: lowRest.count),
        ]))
    }
    return .choice(parts)
  }

  static func digits(_ first: UInt8, _ last: UInt8) -> RuleExpression {
    first > last ? .never : .scalars(ScalarSet([0x30 + UInt32(first)...0x30 + UInt32(last)]))
  }
}

/// A bound of a number: its digits, so that comparisons are exact.
struct DecimalBound: Equatable {
  var isNegative = false
  /// Digits before the point, below 10^15.
  var whole = 0
  /// Digits after the point, without zeros at the end.
  var fraction: [UInt8] = []
  /// True if the bound itself is not allowed.
  var isExclusive: Bool

  /// The bound with the digits of the shortest text that reads as `value`.
  /// - Returns: nil if it has more than 15 digits before the point.
  init?(_ value: Double, isExclusive: Bool) {
    guard value.magnitude < 1e15 else { return nil }
    self.isExclusive = isExclusive
    isNegative = value < 0
    // Small numbers are written with an exponent: "1.5e-07".
    let text = "\(value.magnitude)"
    let parts = text.split(separator: "e")
    let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    var digits = mantissa.joined().utf8.map { $0 - 0x30 }
    var point = mantissa[0].count + exponent
    if point <= 0 {
      digits = Array(repeating: 0, count: 1 - point) + digits
      point = 1
    }
    while digits.count < point { digits.append(0) }
    whole = digits[..<point].reduce(0) { $0 * 10 + Int($1) }
    fraction = Array(digits[point...])
    while fraction.last == 0 { fraction.removeLast() }
  }

  init(zeroExclusive isExclusive: Bool) { self.isExclusive = isExclusive }
}

extension NumberRanges {
  /// Numbers with or without fraction, without exponent, within bounds; nil for none.
  static func decimals(from least: DecimalBound?, to most: DecimalBound?) -> RuleExpression {
    var parts: [RuleExpression] = []
    if least?.isNegative ?? true {
      // Below zero the larger magnitude is the lower bound; -0 is left out.
      let near = most?.isNegative == true ? most : DecimalBound(zeroExclusive: true)
      parts.append(.sequence([.text("-"), magnitudes(from: near, to: least)]))
    }
    if most?.isNegative != true {
      let low = least?.isNegative == true ? nil : least
      parts.append(magnitudes(from: low ?? DecimalBound(zeroExclusive: false), to: most))
    }
    return .choice(parts)
  }

  private static func magnitudes(from low: DecimalBound?, to high: DecimalBound?) -> RuleExpression
  {
    let low = low ?? DecimalBound(zeroExclusive: false)
    let highWhole = high?.whole ?? largest + 1
    guard low.whole <= highWhole else { return .never }
    if let high, low.whole == highWhole {
      return .sequence([
        naturals(UInt(low.whole), UInt(low.whole)),
        .intersection(fraction(atLeast: low), fraction(atMost: high)),
      ])
    }
    var parts: [RuleExpression] = [
      .sequence([naturals(UInt(low.whole), UInt(low.whole)), fraction(atLeast: low)])
    ]
    if highWhole - low.whole > 1 {
      parts.append(
        .sequence([naturals(UInt(low.whole + 1), UInt(highWhole - 1)), anyFraction]))
    }
    if let high {
      parts.append(.sequence([naturals(UInt(highWhole), UInt(highWhole)), fraction(atMost: high)]))
    }
    return .choice(parts)
  }

  /// Digits that do not matter any more.
  private static let anyDigits = RuleExpression.repetition(.digit, least: 0, most: 16)
  private static let anyFraction = RuleExpression.optional(
    .sequence([.text("."), .repetition(.digit, least: 1, most: 16)]))

  private static func fraction(atLeast bound: DecimalBound) -> RuleExpression {
    var rest: RuleExpression =
      bound.isExclusive
      ? .sequence([.repetition(.text("0"), least: 0, most: 16), digits(1, 9), anyDigits])
      : anyDigits
    if bound.fraction.isEmpty {
      return bound.isExclusive ? .sequence([.text("."), rest]) : anyFraction
    }
    for digit in bound.fraction.reversed() {
      rest = .choice([
        .sequence([digits(digit + 1, 9), anyDigits]), .sequence([digits(digit, digit), rest]),
      ])
    }
    return .sequence([.text("."), rest])
  }

  private static func fraction(atMost bound: DecimalBound) -> RuleExpression {
    let zeros = RuleExpression.repetition(.text("0"), least: 0, most: 16)
    guard let first = bound.fraction.first else {
      return bound.isExclusive
        ? .never
        : .optional(.sequence([.text("."), .repetition(.text("0"), least: 1, most: 16)]))
    }
    var rest: RuleExpression = bound.isExclusive ? .never : zeros
    for digit in bound.fraction.dropFirst().reversed() {
      rest = .choice([
        .empty, .sequence([below(digit), anyDigits]), .sequence([digits(digit, digit), rest]),
      ])
    }
    return .optional(
      .sequence([
        .text("."),
        .choice([
          .sequence([below(first), anyDigits]), .sequence([digits(first, first), rest]),
        ]),
      ]))
  }

  private static func below(_ digit: UInt8) -> RuleExpression {
    digit == 0 ? .never : digits(0, digit - 1)
  }
}
