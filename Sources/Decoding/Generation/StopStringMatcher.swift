/// Finds the first of several strings in a stream of text pieces.
///
/// Text that could be the beginning of a stop string is held back, so what is returned is final.
/// The result does not depend on how the text is cut into pieces. Linear in the text for each stop
/// string (Knuth, Morris and Pratt, 1977), and works on bytes, since a stop string may begin in the
/// middle of a grapheme.
struct StopStringMatcher {
  /// Longest stop string, in bytes of UTF-8.
  static let maximumBytes = 1024
  /// Most stop strings.
  static let maximumCount = 64

  private struct Pattern {
    let text: String
    let bytes: [UInt8]
    /// borders[i]: length of the longest proper prefix of bytes[...i] that is also its suffix.
    let borders: [Int]
    var matched = 0

    init(_ text: String) {
      self.text = text
      bytes = Array(text.utf8)
      var borders = [Int](repeating: 0, count: bytes.count)
      var length = 0
      for index in bytes.indices.dropFirst() {
        while length > 0, bytes[index] != bytes[length] { length = borders[length - 1] }
        if bytes[index] == bytes[length] { length += 1 }
        borders[index] = length
      }
      self.borders = borders
    }

    /// Takes one more byte; true if the pattern ends with it.
    mutating func advance(_ byte: UInt8) -> Bool {
      while matched > 0, bytes[matched] != byte { matched = borders[matched - 1] }
      if bytes[matched] == byte { matched += 1 }
      return matched == bytes.count
    }
  }

  /// Text that became final, and the stop string that ended it, if one did.
  struct Match: Equatable {
    var text: String
    var stop: String?
  }

  private var patterns: [Pattern]
  private var held: [UInt8] = []

  /// - Parameter stops: checked by `GenerationOptions.validate`; empty strings are left out.
  init(_ stops: [String]) {
    patterns = stops.filter { !$0.isEmpty }.map(Pattern.init)
  }

  /// Takes the next piece of text. After a stop string was found the matcher is spent.
  mutating func append(_ piece: String) -> Match {
    if patterns.isEmpty { return Match(text: piece, stop: nil) }
    for byte in piece.utf8 {
      held.append(byte)
      if let stop = advance(byte) {
        return Match(text: take(held.count - stop.utf8.count), stop: stop)
      }
    }
    let unfinished = patterns.reduce(0) { max($0, $1.matched) }
    return Match(text: take(held.count - unfinished), stop: nil)
  }

  /// The text still held back, at the end of the stream.
  mutating func finish() -> String { take(held.count) }

  /// The longest pattern that ends with this byte.
  private mutating func advance(_ byte: UInt8) -> String? {
    var found: String?
    for index in patterns.indices where patterns[index].advance(byte) {
      let text = patterns[index].text
      if text.utf8.count > found?.utf8.count ?? 0 { found = text }
    }
    return found
  }

  private mutating func take(_ count: Int) -> String {
    if count == 0 { return "" }
    let text = String(decoding: held[..<count], as: UTF8.self)
    held.removeSubrange(..<count)
    return text
  }
}
