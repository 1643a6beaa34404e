/// Tokens, one bit each: token `t` is bit `t & 63` of word `t >> 6`.
struct TokenSet: Sendable, Equatable {
  private(set) var words: [UInt64]

  init(vocabularyCount: Int) {
    words = Array(repeating: 0, count: (vocabularyCount + 63) / 64)
  }

  mutating func removeAll() {
    words.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
  }

  mutating func insert(_ token: Int32) { words[Int(token) >> 6] |= 1 << UInt64(token & 63) }

  func contains(_ token: Int32) -> Bool {
    token >= 0 && Int(token) >> 6 < words.count
      && words[Int(token) >> 6] >> UInt64(token & 63) & 1 == 1
  }

  mutating func formUnion(_ other: TokenSet) {
    words.withUnsafeMutableBufferPointer { own in
      other.words.withUnsafeBufferPointer { other in
        for index in own.indices { own[index] |= other[index] }
      }
    }
  }

  /// Calls `body` with the words, to be changed in place.
  mutating func withWords<Result>(
    _ body: (UnsafeMutableBufferPointer<UInt64>) -> Result
  ) -> Result {
    words.withUnsafeMutableBufferPointer { body($0) }
  }

  var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// The only member; nil if there are none or several.
  var single: Int32? {
    var found: Int32?
    for (index, word) in words.enumerated() where word != 0 {
      guard found == nil, word & (word - 1) == 0 else { return nil }
      found = Int32(index * 64 + word.trailingZeroBitCount)
    }
    return found
  }
}
