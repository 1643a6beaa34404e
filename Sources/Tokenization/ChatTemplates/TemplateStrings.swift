/// Operations on text as Python defines them: on scalars, never on grapheme clusters.
enum TemplateStrings {
  /// The byte position of the first `part` in `text` from byte `start` on.
  static func find(_ part: String, in text: String, from start: Int = 0) -> Int? {
    let needle = Array(part.utf8)
    let haystack = Array(text.utf8)
    return find(needle, in: haystack, from: start)
  }

  /// Rabin-Karp, so that no text makes it quadratic.
  static func find(_ needle: [UInt8], in haystack: [UInt8], from start: Int) -> Int? {
    guard let first = needle.first else { return start <= haystack.count ? start : nil }
    guard needle.count > 1 else { return haystack[start...].firstIndex(of: first) }
    guard haystack.count - start >= needle.count else { return nil }
    let base: UInt64 = 0x100_0001B3
    var wanted: UInt64 = 0
    var window: UInt64 = 0
    var leadingPower: UInt64 = 1
    for offset in 0..<needle.count {
      wanted = wanted &* base &+ UInt64(needle[offset])
      window = window &* base &+ UInt64(haystack[start + offset])
      if offset > 0 { leadingPower = leadingPower &* base }
    }
    var position = start
    while true {
      if window == wanted, haystack[position..<position + needle.count].elementsEqual(needle) {
        return position
      }
      guard position + needle.count < haystack.count else { return nil }
      let leaving = UInt64(haystack[position]) &* leadingPower
      window = (window &- leaving) &* base &+ UInt64(haystack[position + needle.count])
      position += 1
    }
  }

  /// Where `part` stands in `text`, in bytes, without overlaps; at most `limit` places.
  static func occurrences(of part: String, in text: String, limit: Int = .max) -> [Int] {
    let needle = Array(part.utf8)
    let haystack = Array(text.utf8)
    var places: [Int] = []
    var position = 0
    while places.count < limit, let place = find(needle, in: haystack, from: position) {
      places.append(place)
      position = place + needle.count
    }
    return places
  }

  /// The pieces of `text` between the first `limit` places of a separator that is not empty.
  static func split(_ text: String, by separator: String, limit: Int = .max) -> [String] {
    let bytes = Array(text.utf8)
    var pieces: [String] = []
    var start = 0
    for place in occurrences(of: separator, in: text, limit: limit) {
      pieces.append(String(decoding: bytes[start..<place], as: UTF8.self))
      start = place + separator.utf8.count
    }
    pieces.append(String(decoding: bytes[start...], as: UTF8.self))
    return pieces
  }

  /// The words of `text` with whitespace between them; after `limit` cuts the rest is one word.
  static func splitWords(_ text: String, limit: Int = .max) -> [String] {
    var words: [String] = []
    var rest = text.unicodeScalars[...]
    while true {
      rest = rest.drop(while: isSpace)
      if rest.isEmpty { return words }
      if words.count >= limit {
        words.append(strip(String(rest), leading: false))
        return words
      }
      let word = rest.prefix { !isSpace($0) }
      words.append(String(word))
      rest = rest[word.endIndex...]
    }
  }

  /// `text` without the scalars of `characters` (whitespace if `nil`) at its ends.
  static func strip(
    _ text: String, _ characters: String? = nil, leading: Bool = true, trailing: Bool = true
  ) -> String {
    let set = characters.map { Set($0.unicodeScalars) }
    let isStripped: (Unicode.Scalar) -> Bool = { set?.contains($0) ?? isSpace($0) }
    var scalars = text.unicodeScalars[...]
    if leading { scalars = scalars.drop(while: isStripped) }
    if trailing { while let last = scalars.last, isStripped(last) { scalars.removeLast() } }
    return String(scalars)
  }

  /// The first scalar in upper case, the rest in lower case.
  static func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    return first.properties.titlecaseMapping
      + String(text.unicodeScalars.dropFirst()).lowercased()
  }

  /// Every run of letters capitalised, as by Python's `str.title`.
  static func titled(_ text: String) -> String {
    var result = ""
    var isInWord = false
    for scalar in text.unicodeScalars {
      result +=
        isInWord ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      isInWord = scalar.properties.isCased
    }
    return result
  }

  /// Words capitalised as by Jinja's filter `title`, for which an apostrophe is part of a word.
  static func titledWords(_ text: String) -> String {
    var result = ""
    var isInWord = false
    for scalar in text.unicodeScalars {
      result +=
        isInWord ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
      isInWord = !(isSpace(scalar) || "-([{<".unicodeScalars.contains(scalar))
    }
    return result
  }

  /// The lines of `text` without their ends.
  static func lines(_ text: String) -> [String] {
    var lines = split(
      split(split(text, by: "\r\n").joined(separator: "\n"), by: "\r").joined(separator: "\n"),
      by: "\n")
    if lines.last == "" { lines.removeLast() }
    return lines
  }

  /// What Python strips and splits at: White_Space and the four ASCII separators.
  static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
  }
}
