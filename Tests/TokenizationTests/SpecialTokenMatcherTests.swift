import TestSupport
import Testing

@testable import Tokenization

@Suite("Special tokens in text")
struct SpecialTokenMatcherTests {
  private func matcher(_ texts: [String], user: Set<Int> = []) throws -> SpecialTokenMatcher {
    SpecialTokenMatcher(
      try StringTable(texts),
      tokens: texts.indices.map { (Int32($0), user.contains($0)) })
  }

  @Test("the longest token of the text wins over an earlier, shorter one")
  func longestWins() throws {
    let matcher = try matcher(["ab", "bcd"])
    #expect(
      matcher.matches(in: Array("abcdab".utf8), scope: .all) == [
        .init(range: 1..<4, token: 1), .init(range: 4..<6, token: 0),
      ])
  }

  @Test("only user-defined tokens are found where that is asked")
  func scope() throws {
    let matcher = try matcher(["<a>", "<a>b"], user: [0])
    let text = Array("<a>b".utf8)
    #expect(matcher.matches(in: text, scope: .userDefined) == [.init(range: 0..<3, token: 0)])
    #expect(matcher.matches(in: text, scope: .all) == [.init(range: 0..<4, token: 1)])
  }

  @Test("matches are those of cutting the text once per token, longest token first")
  func agreesWithRepeatedCutting() throws {
    let texts = ["aaa", "ab", "bab", "a", "ba", "bbbb", "abba"]
    let matcher = try matcher(texts)
    var random = SeededGenerator(seed: 11)
    for _ in 0..<500 {
      let text = (0..<Int.random(in: 0...30, using: &random)).map { _ -> UInt8 in
        [97, 98, 99].randomElement(using: &random) ?? 97
      }
      #expect(matcher.matches(in: text, scope: .all) == repeatedCutting(text, texts))
    }
  }

  private func repeatedCutting(
    _ text: [UInt8], _ texts: [String]
  ) -> [SpecialTokenMatcher.Match] {
    var owner = [Int?](repeating: nil, count: text.count)
    var matches: [SpecialTokenMatcher.Match] = []
    // Of equally long tokens the one that stands first in the text takes precedence.
    for length in Set(texts.map(\.utf8.count)).sorted(by: >) {
      var position = 0
      while position + length <= text.count {
        let range = position..<position + length
        let token = texts.firstIndex { Array($0.utf8) == Array(text[range]) }
        if let token, owner[range].allSatisfy({ $0 == nil }) {
          for index in range { owner[index] = token }
          matches.append(.init(range: range, token: Int32(token)))
          position += length
        } else {
          position += 1
        }
      }
    }
    return matches.sorted { $0.range.lowerBound < $1.range.lowerBound }
  }
}
