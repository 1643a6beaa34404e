import TestSupport
import Testing

@testable import Decoding

@Suite struct NGramIndexTests {
  /// Entries of the sequence's last n-gram, by looking at every place.
  private func occurrences(_ tokens: [Int32], _ length: Int) -> [Int] {
    guard tokens.count > length else { return [] }
    let key = tokens.suffix(length)
    return (length..<tokens.count).filter { tokens[$0 - length..<$0].elementsEqual(key) }
  }

  private func entries(_ index: NGramIndex) -> [Int] {
    var found: [Int] = []
    var next = index.entryOfTail()
    while let entry = next {
      found.append(entry)
      next = index.entry(before: entry)
    }
    return found
  }

  // The multiplier 0 hashes the last token only and 1 the sum of all: nearly everything collides.
  @Test(
    "every occurrence is found, and nothing else, however bad the hash",
    arguments: [
      UInt64(0), 1, 0xD1B5_4A32_D192_ED03,
    ])
  func agreesWithSearch(_ multiplier: UInt64) {
    var random = SeededGenerator(seed: 4)
    for length in 1...5 {
      let last = NGramIndex(length: length, multiplier: multiplier)
      let first = NGramIndex(length: length, occurrence: .first, multiplier: multiplier)
      var tokens: [Int32] = []
      for step in 0..<900 {
        // Now and then some of the end is taken back, or nearly all.
        if step % 50 == 49 {
          let kept = step % 300 == 299 ? 5 : tokens.count - Int.random(in: 1...20, using: &random)
          tokens.removeSubrange(kept...)
          last.truncate(to: kept)
          first.truncate(to: kept)
        }
        let token = Int32.random(in: 0..<3, using: &random)
        tokens.append(token)
        last.append(token)
        first.append(token)
        let expected = occurrences(tokens, length)
        #expect(entries(last) == expected.reversed(), "length \(length), step \(step)")
        #expect(entries(first) == Array(expected.prefix(1)), "length \(length), step \(step)")
        if tokens.count >= length {
          #expect(last.entry(of: tokens.suffix(length)) == expected.last)
        }
      }
    }
  }

  @Test("following another sequence keeps what both share and appends the rest")
  func follows() {
    let index = NGramIndex(length: 2)
    index.follow([1, 2, 3, 1, 2, 4, 9, 9])
    #expect(index.appendedCount == 8)
    index.follow([1, 2, 3, 1, 2, 4, 5, 1, 2])
    #expect(index.appendedCount == 8 + 3)
    #expect(index.tokens == [1, 2, 3, 1, 2, 4, 5, 1, 2])
    #expect(entries(index) == [5, 2])
    #expect(index.entry(of: [9, 9]) == nil)
    index.follow([7, 1, 2])
    #expect(index.entryOfTail() == nil)
    index.follow([])
    #expect(index.count == 0 && index.entryOfTail() == nil)
  }

  @Test("a token takes at most 16 bytes, whatever the text")
  func memory() {
    var random = SeededGenerator(seed: 9)
    for kinds in [Int32(1), 50, 49_152] {
      let index = NGramIndex(length: 3)
      for _ in 0..<100_000 {
        index.append(Int32.random(in: 0..<kinds, using: &random))
        if index.count >= 1000, index.count % 97 == 0 {
          #expect(index.byteCount <= 16 * index.count, "\(index.count) tokens")
        }
      }
    }
  }

  @Test("appending looks at a few slots for each token, growth included")
  func constantCost() {
    var random = SeededGenerator(seed: 10)
    for kinds in [Int32(1), 50, 49_152] {
      var counts: [Int] = []
      let index = NGramIndex(length: 3)
      for count in [10_000, 100_000] {
        while index.count < count { index.append(Int32.random(in: 0..<kinds, using: &random)) }
        counts.append(index.probeCount)
      }
      #expect(counts[1] < 32 * 100_000, "\(kinds) kinds of tokens")
      // Ten times the tokens, about ten times the work.
      #expect(Double(counts[1]) < 13 * Double(counts[0]), "\(kinds) kinds of tokens")
    }
  }
}
