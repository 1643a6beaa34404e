import Foundation

/// The calendar's time, for answers and the log.
enum UnixTime {
  /// Whole seconds since 1970.
  static var seconds: Int { Int(Date().timeIntervalSince1970) }

  /// As in `2026-01-31T12:00:00.000Z`.
  static var stamp: String {
    Date().ISO8601Format(.iso8601(timeZone: .gmt, includingFractionalSeconds: true)) + "Z"
  }
}

/// Names of answers and calls.
enum Identifier {
  /// `prefix` and 24 random characters.
  static func make(_ prefix: String) -> String {
    let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
    return prefix + String((0..<24).map { _ in letters[Int.random(in: letters.indices)] })
  }
}
