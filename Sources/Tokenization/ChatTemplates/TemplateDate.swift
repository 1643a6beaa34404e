import Foundation

/// A moment on the calendar, as `strftime_now` tells it.
///
/// Given to a rendering from outside, so that what a template writes depends on its input alone.
public struct TemplateDate: Sendable, Equatable {
  private let daysSince1970: Int
  private let secondOfDay: Int

  /// The moment `seconds` after the start of 1970 in UTC, on clocks that are `utcOffset` seconds
  /// ahead of UTC. Moments more than 100,000 years away are moved to that distance.
  public init(secondsSince1970 seconds: Int, utcOffset: Int = 0) {
    let bound = 3_155_760_000_000
    let clamped = min(max(seconds, -bound), bound) + min(max(utcOffset, -86_400), 86_400)
    daysSince1970 = Int((Double(clamped) / 86_400).rounded(.down))
    secondOfDay = clamped - daysSince1970 * 86_400
  }

  /// Now, on local clocks.
  public static var now: TemplateDate {
    let date = Date()
    return TemplateDate(
      secondsSince1970: Int(date.timeIntervalSince1970),
      utcOffset: TimeZone.current.secondsFromGMT(for: date))
  }

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
  ]
  private static let weekdays = [
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
  ]

  /// The civil date, by counting in eras of 400 years that start in March.
  private var civil: (year: Int, month: Int, day: Int) {
    let shifted = daysSince1970 + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
      dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    )
  }

  private var weekday: Int { ((daysSince1970 + 4) % 7 + 7) % 7 }

  private var dayOfYear: Int {
    let (year, month, day) = civil
    let isLeap = year.isMultiple(of: 4) && !year.isMultiple(of: 100) || year.isMultiple(of: 400)
    let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return lengths[..<(month - 1)].reduce(day, +)
  }

  /// This moment in a format of C's `strftime`, English names; unknown directives are kept.
  func formatted(_ format: String) -> String {
    var result = ""
    var scalars = format.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      guard scalar == "%", var directive = scalars.popFirst() else {
        result.unicodeScalars.append(scalar)
        continue
      }
      var isPadded = true
      if directive == "-", let next = scalars.popFirst() {
        isPadded = false
        directive = next
      }
      if let text = field(directive, isPadded: isPadded) {
        result += text
      } else {
        result += "%" + (isPadded ? "" : "-") + String(directive)
      }
    }
    return result
  }

  private func field(_ directive: Unicode.Scalar, isPadded: Bool) -> String? {
    let (year, month, day) = civil
    let hour = secondOfDay / 3600
    func digits(_ value: Int, _ width: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: isPadded ? max(0, width - text.count) : 0) + text
    }
    switch directive {
    case "Y": return String(year)
    case "y": return digits(((year % 100) + 100) % 100, 2)
    case "m": return digits(month, 2)
    case "d": return digits(day, 2)
    case "e": return (isPadded && day < 10 ? " " : "") + String(day)
    case "j": return digits(dayOfYear, 3)
    case "H": return digits(hour, 2)
    case "I": return digits((hour + 11) % 12 + 1, 2)
    case "M": return digits(secondOfDay / 60 % 60, 2)
    case "S": return digits(secondOfDay % 60, 2)
    case "p": return hour < 12 ? "AM" : "PM"
    case "B": return Self.months[month - 1]
    case "b", "h": return String(Self.months[month - 1].prefix(3))
    case "A": return Self.weekdays[weekday]
    case "a": return String(Self.weekdays[weekday].prefix(3))
    case "w": return String(weekday)
    case "u": return String(weekday == 0 ? 7 : weekday)
    case "F": return formatted("%Y-%m-%d")
    case "T": return formatted("%H:%M:%S")
    case "R": return formatted("%H:%M")
    case "D": return formatted("%m/%d/%y")
    case "n": return "\n"
    case "t": return "\t"
    case "%": return "%"
    default: return nil
    }
  }
}
