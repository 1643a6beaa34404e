import Testing

@testable import Constraints

/// Grammars that would make a naive engine hang, overflow its stack or take all memory. Each must
/// either be refused or be followed; the tests end, which is what they prove.
@Suite("pathological grammars")
struct PathologicalGrammarTests {
  @Test("groups that nest too deep are refused with their place")
  func nesting() {
    let deep = String(repeating: "(", count: 100_000)
    for text in ["root ::= \(deep)", "root ::= \"a\"" + String(repeating: "{1,2}", count: 10_000)] {
      guard case .syntax? = compileError(.grammar(text)) else {
        Issue.record("a deep grammar was taken")
        continue
      }
    }
    guard case .syntax? = compileError(.regex(deep)),
      case .syntax? = compileError(
        .jsonSchema(String(repeating: #"{"items":"#, count: 100_000)))
    else {
      Issue.record("deep nesting was taken")
      return
    }
  }

  @Test("repetitions of repetitions of repetitions are refused or bounded")
  func repetitions() {
    for count in [30, 60, 100, 10_000] {
      let repeated = "(((\"a\"{0,\(count)}){0,\(count)}){0,\(count)}){0,\(count)}"
      guard case .tooLarge? = compileError(.grammar("root ::= \(repeated)")) else {
        Issue.record("\(count)^4 repetitions were taken")
        continue
      }
    }
  }

  @Test("empty loops and rules that lead to themselves are no loops for the parser")
  func emptyLoops() throws {
    let grammar = """
      root ::= ("" | "a" | (""*)* | e)* "b"
      e ::= e | f
      f ::= e f | ""
      """
    let matcher = try ConstraintMatcher(.grammar(grammar))
    #expect(try matcher.accepts("aaab"))
    #expect(try matcher.accepts("b"))
    #expect(try !matcher.accepts("aba"))
  }

  @Test("a constraint without finite texts is refused")
  func endless() {
    for grammar in [
      "root ::= root", "root ::= \"a\" root", "root ::= x\nx ::= y\ny ::= x", "root ::= []",
    ] {
      guard case .unsatisfiable? = compileError(.grammar(grammar)) else {
        Issue.record("\(grammar) was taken")
        continue
      }
    }
    guard case .unsatisfiable? = compileError(.jsonSchema("false")) else {
      Issue.record("the schema false was taken")
      return
    }
  }

  @Test(
    "texts of exponentially many parses are followed in linear work",
    arguments: [
      "root ::= root root | \"a\"", "root ::= root root root | root root | \"a\" | \"\"",
      "root ::= (\"a\"* \"a\"*)*", "root ::= x*\nx ::= \"a\" | x x | \"aa\"",
      "root ::= e\ne ::= e \"a\" e | \"a\"* | f\nf ::= e e",
    ])
  func ambiguity(_ grammar: String) throws {
    let matcher = try ConstraintMatcher(.grammar(grammar))
    var state = try matcher.start()
    for _ in 0..<2_000 {
      state = try #require(try matcher.advance(state, bytes: "a".utf8))
      #expect(try matcher.mask(state).count > 0)
    }
    #expect(matcher.isComplete(state))
  }

  @Test("an expression whose deterministic automaton has a million states is followed")
  func blowUp() throws {
    let matcher = try ConstraintMatcher(.regex("(a|b)*a(a|b){20}"))
    let text = String(repeating: "ab", count: 200)
    #expect(try matcher.accepts(text + "a" + "bbaabbaabbaabbaabbaa") == true)
    #expect(try matcher.accepts(text + "b" + String(repeating: "a", count: 20)) == false)
  }

  @Test("deeply nested texts are followed")
  func deepTexts() throws {
    let matcher = try ConstraintMatcher(.grammar(TestGrammars.json))
    let open = "{\"a\":" + String(repeating: "[", count: 20_000)
    #expect(try matcher.check(open) == (false, true))
    #expect(try matcher.accepts(open + String(repeating: "]", count: 20_000) + "}"))
    #expect(try !matcher.check(open + String(repeating: "]", count: 20_001)).isPrefix)
  }

  @Test("grammars of a megabyte are refused or compiled")
  func megabyte() throws {
    let words = (0..<40_000).map { "\"w\($0 &* 7919 % 100_000)x\($0)\"" }.joined(separator: " | ")
    let matcher = try ConstraintMatcher(.grammar("root ::= (w \" \")*\nw ::= \(words)"))
    #expect(try matcher.accepts("w0x0 w7919x1 "))
    #expect(try !matcher.accepts("w0x1 "))
    let chain = (0..<40_000).map { "r\($0) ::= \"a\" r\($0 + 1) \"b\" | r\($0 + 1)\n" }.joined()
    let deep = try ConstraintMatcher(.grammar("root ::= r0\n\(chain)r40000 ::= \"x\""))
    #expect(throws: ConstraintError.tooAmbiguous(limit: Parser.mostItems)) {
      try deep.mask(deep.start())
    }
    guard
      case .tooLarge? = compileError(
        .grammar("root ::= \"" + String(repeating: "ab", count: 600_000) + "\"")),
      case .tooLarge? = compileError(.regex(String(repeating: "a", count: 5 << 20)))
    else {
      Issue.record("a literal of a megabyte was taken")
      return
    }
  }
}
