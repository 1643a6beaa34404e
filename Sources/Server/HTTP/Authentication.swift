/// Checks the keys of requests.
struct Authentication: Sendable {
  private let keys: [[UInt8]]

  init(_ keys: [String]) { self.keys = keys.map { Array($0.utf8) } }

  /// Whether anybody may ask.
  var isOpen: Bool { keys.isEmpty }

  /// Whether a key can stand in a header, and cannot be guessed at once.
  static func isUsable(_ key: String) -> Bool {
    (8...512).contains(key.utf8.count) && key.utf8.allSatisfy { (0x21...0x7E).contains($0) }
  }

  /// The number of the key in the header `Authorization: Bearer KEY`; nil if it is none of them.
  ///
  /// The time depends on the length of what was sent and on the number of keys, not on how much of a
  /// key is right: every key is compared to its end.
  func key(in header: String?) -> Int? {
    let words = (header ?? "").split(separator: " ", maxSplits: 1)
    guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
    let candidate = Array(words[1].utf8)
    var found: Int?
    for (index, key) in keys.enumerated() where Self.isEqual(candidate, key) { found = index }
    return found
  }

  private static func isEqual(_ candidate: [UInt8], _ key: [UInt8]) -> Bool {
    var difference = candidate.count ^ key.count
    for index in candidate.indices {
      difference |= Int(candidate[index] ^ key[index % key.count])
    }
    return difference == 0
  }
}
