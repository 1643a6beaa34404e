/// The values of `format` that are kept. Days are those of their months, but February has 28.
enum StringFormats {
  static let names = ["date", "time", "date-time", "uuid", "ipv4", "hostname", "email"]

  /// The characters within quotes; nil for formats that are not supported.
  static func body(_ format: String) -> RuleExpression? {
    switch format {
    case "date": date
    case "time": time
    case "date-time": .sequence([date, .text("T"), time])
    case "uuid": uuid
    case "ipv4": .sequence([octet, dot, octet, dot, octet, dot, octet])
    case "hostname": hostname
    case "email": .sequence([local, .text("@"), hostname])
    default: nil
    }
  }

  private static let dot = RuleExpression.text(".")
  private static let twoDigits = RuleExpression.sequence([.range("0", "5"), .digit])

  private static let date: RuleExpression = {
    func days(_ months: [String], _ thirties: RuleExpression) -> RuleExpression {
      .sequence([
        .choice(months.map { .text($0) }), .text("-"),
        .choice([
          .sequence([.text("0"), .range("1", "9")]), .sequence([.text("1"), .digit]),
          .sequence([.text("2"), .range("0", "8")]), thirties,
        ]),
      ])
    }
    let year = RuleExpression.repetition(.digit, least: 4, most: 4)
    return .sequence([
      year, .text("-"),
      .choice([
        days(
          ["01", "03", "05", "07", "08", "10", "12"],
          .choice([.text("29"), .text("30"), .text("31")])),
        days(["04", "06", "09", "11"], .choice([.text("29"), .text("30")])),
        days(["02"], .never),
      ]),
    ])
  }()

  private static let hour = RuleExpression.choice([
    .sequence([.range("0", "1"), .digit]), .sequence([.text("2"), .range("0", "3")]),
  ])

  private static let time = RuleExpression.sequence([
    hour, .text(":"), twoDigits, .text(":"), twoDigits,
    .optional(.sequence([dot, .repetition(.digit, least: 1, most: 6)])),
    .choice([
      .text("Z"),
      .sequence([.choice([.text("+"), .text("-")]), hour, .text(":"), twoDigits]),
    ]),
  ])

  private static let hex = RuleExpression.scalars(ScalarSet([0x30...0x39, 0x61...0x66]))

  private static let uuid: RuleExpression = {
    let lengths = [8, 4, 4, 4, 12].map { RuleExpression.repetition(hex, least: $0, most: $0) }
    return .sequence(Array(lengths.map { [$0] }.joined(separator: [.text("-")])))
  }()

  private static let octet = RuleExpression.choice([
    .digit, .sequence([.range("1", "9"), .digit]), .sequence([.text("1"), .digit, .digit]),
    .sequence([.text("2"), .range("0", "4"), .digit]), .sequence([.text("25"), .range("0", "5")]),
  ])

  private static let letter = RuleExpression.scalars(
    ScalarSet([0x30...0x39, 0x41...0x5A, 0x61...0x7A]))

  private static let label = RuleExpression.sequence([
    letter,
    .optional(
      .sequence([
        .repetition(.choice([letter, .text("-")]), least: 0, most: 30), letter,
      ])),
  ])

  private static let hostname = RuleExpression.sequence([
    label, .repetition(.sequence([dot, label]), least: 0, most: 6),
  ])

  private static let local: RuleExpression = {
    let atom = RuleExpression.repetition(
      .choice([letter, .text("_"), .text("+"), .text("-")]), least: 1, most: 30)
    return .sequence([atom, .optional(.sequence([dot, atom]))])
  }()
}
