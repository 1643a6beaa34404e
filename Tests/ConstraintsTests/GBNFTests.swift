import TestSupport
import Testing

@testable import Constraints

@Suite("GBNF grammars")
struct GBNFTests {
  /// Texts are changed by single characters, so that most are nearly right.
  @Test(
    "a grammar accepts what Earley's recogniser accepts", arguments: TestGrammars.all.map(\.name))
  func earley(_ name: String) throws {
    let text = try #require(TestGrammars.all.first { $0.name == name }?.text)
    let matcher = try ConstraintMatcher(.grammar(text))
    let recognizer = EarleyRecognizer(text)
    var random = SeededGenerator(seed: 7)
    let alphabet = Array("ab1(){}[]\"\\,:;+-*/= \n!xyzrsé日、。O#")
    var complete = 0
    for _ in 0..<30 {
      var characters = Array(try writer(matcher).write(&random).string.prefix(120))
      for _ in 0..<8 {
        let text = String(characters)
        let (found, expected) = (try matcher.check(text), recognizer.recognize(text))
        #expect(found == expected, "\(text.debugDescription)")
        if expected.isComplete { complete += 1 }
        let place = Int.random(in: 0...characters.count, using: &random)
        let character = alphabet.randomElement(using: &random) ?? "a"
        switch Int.random(in: 0..<3, using: &random) {
        case 0: characters.insert(character, at: place)
        case 1 where place < characters.count: characters[place] = character
        default: if place < characters.count { characters.remove(at: place) }
        }
      }
    }
    #expect(complete > 5)
  }

  private func writer(_ matcher: ConstraintMatcher) -> NoiseWriter {
    NoiseWriter(matcher: matcher, patience: 10, mostTokens: 200)
  }

  @Test("escapes, classes and repetitions are read as llama.cpp reads them")
  func dialect() throws {
    let cases: [(grammar: String, valid: [String], invalid: [String])] = [
      (#"root ::= "\x41\u00e9\U0001F600\t\"\\" "#, ["Aé😀\t\"\\"], ["A"]),
      (#"root ::= [^a-c\]]+"#, ["xyz", "日"], ["a", "]", ""]),
      ("root ::= [a-]+", ["a-", "-"], ["b"]),
      ("root ::= .", ["\n", "日", "😀"], ["", "ab"]),
      ("root ::= \"a\"{2}", ["aa"], ["a", "aaa"]),
      ("root ::= \"a\"{ 1 , 2 }", ["a", "aa"], ["", "aaa"]),
      ("root ::= \"a\"{,2}", ["", "a", "aa"], ["aaa"]),
      ("root ::= \"a\" *  \"b\"", ["b", "aab"], ["a"]),
      ("root ::= | \"a\"", ["", "a"], ["b"]),
      ("# first\nroot ::= # now\n  x |\n  \"b\"\r\nx ::= \"a\" # last", ["a", "b"], ["ab"]),
      ("root ::= \"a\"\n  | \"b\"\n\n  | \"c\"\n", ["a", "b", "c"], ["ab"]),
      ("root ::= ( \"a\"\n \"b\" )+", ["abab"], ["a"]),
      ("root ::= my-rule_1\nmy-rule_1 ::= \"x\"", ["x"], [""]),
    ]
    for (grammar, valid, invalid) in cases {
      let matcher = try ConstraintMatcher(.grammar(grammar))
      for text in valid { #expect(try matcher.accepts(text), "\(grammar): \(text)") }
      for text in invalid { #expect(try !matcher.accepts(text), "\(grammar): \(text)") }
    }
  }

  @Test("a mistake is told with its line and column")
  func mistakes() {
    let cases: [(grammar: String, line: Int, column: Int, message: String)] = [
      ("root ::= \"a", 1, 10, "the literal does not end on its line"),
      ("root ::= x", 1, 10, "the rule 'x' is not defined"),
      ("a ::= \"é\" )", 1, 11, "expected the end of the rule 'a', found ')'"),
      ("root ::= \"a\"\nroot ::= \"b\"", 2, 1, "defined twice, first at line 1, column 1"),
      ("x ::= \"a\"", 1, 10, "there is no rule 'root'"),
      ("root ::=\n  [z-a]", 2, 4, "the range is in the wrong order"),
      ("root ::= \"\\q\"", 1, 11, "'\\q' is not an escape"),
      ("root ::= \"\\u12\"", 1, 15, "expected 4 hexadecimal digits"),
      ("root ::= \"\\uD800\"", 1, 13, "U+D800 is not a character"),
      ("root ::= (\"a\"", 1, 14, "expected ')'"),
      ("root = \"a\"", 1, 6, "expected '::='"),
      ("root ::= *", 1, 10, "has nothing before it to repeat"),
      ("root ::= \"a\"{3,2}", 1, 14, "from 3 to 2"),
      ("root ::= \"a\"{999999}", 1, 13, "more than 10000 repetitions"),
      ("root ::= <think>", 1, 10, "terminals that name tokens are not supported"),
      ("?", 1, 1, "expected the name of a rule"),
    ]
    for (grammar, line, column, expected) in cases {
      guard case .syntax("grammar", let place, let message)? = compileError(.grammar(grammar))
      else {
        Issue.record("no error for \(grammar)")
        continue
      }
      #expect(place == SourceLocation(line: line, column: column), "\(grammar): \(message)")
      #expect(message.contains(expected), "\(grammar): \(message)")
    }
  }
}
