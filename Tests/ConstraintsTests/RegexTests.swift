import Foundation
import Testing

@testable import Constraints

@Suite("regular expressions")
struct RegexTests {
  @Test(
    "an expression matches what Foundation's matches from beginning to end",
    arguments: [
      "a|bc", "(ab)*c?", "[a-c]{2,3}", "a+?b", "\\d{3}-\\d{4}", "[^abc]x", "\\w+@\\w+\\.com",
      "^a.c$",
      "(?:x|y)+", "\\u00e9|\\x41", "[\\d\\-a]+", "a{0}b", "(a|b)*a(a|b)", "\\s\\S", "[\\]\\\\]",
      "é+日?",
    ])
  func foundation(_ pattern: String) throws {
    let matcher = try ConstraintMatcher(.regex(pattern))
    let reference = try NSRegularExpression(pattern: "^(?:\(pattern))$")
    let texts = [
      "", "a", "b", "c", "ab", "bc", "abc", "abab", "ababc", "aab", "ba", "bab", "aa", "aabb",
      "xyx",
      "123-4567", "12-4567", "dx", "ax", "me@you.com", "@you.com", "a\nc", "a日c", "é", "éé日", "A",
      "1-a", " x", "xx", "]", "\\", "日", "cab",
    ]
    for text in texts {
      let range = NSRange(text.startIndex..., in: text)
      let expected = reference.firstMatch(in: text, range: range)?.range == range
      #expect(try matcher.accepts(text) == expected, "\(text.debugDescription)")
    }
  }

  @Test("what is not supported is refused by name and column")
  func refused() {
    let cases: [(pattern: String, column: Int, message: String)] = [
      ("a(?=b)", 2, "groups with '(?'='' are not supported"),
      ("(a)\\1", 4, "'\\1' is not supported"),
      ("\\bx", 1, "'\\b' is not supported"), ("a^b", 2, "at the ends"), ("(a", 1, "not closed"),
      ("a)", 2, "closes no group"), ("[a", 1, "does not end"), ("*a", 1, "nothing before it"),
      ("a**", 3, "repeats a repetition"), ("[z-a]", 2, "in order"), ("\\", 2, "ends with"),
      ("a{2,1}", 3, "from 2 to 1"),
    ]
    for (pattern, column, expected) in cases {
      guard case .syntax(_, let place, let message)? = compileError(.regex(pattern)) else {
        Issue.record("no error for \(pattern)")
        continue
      }
      #expect(place == SourceLocation(line: 1, column: column), "\(pattern): \(message)")
      #expect(message.contains(expected), "\(pattern): \(message)")
    }
  }
}
