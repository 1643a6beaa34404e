import TestSupport
import Testing

@testable import Constraints

@Suite("token masks")
struct MaskTests {
  /// 12 grammars, 18 schemas, 2 expressions: 2,000 states.
  static let constraints: [Constraint] =
    TestGrammars.all.map { .grammar($0.text) }
    + JSONSchemaTests.schemas.map(Constraint.jsonSchema)
    + [.regex("(a|b)*a(a|b){12}"), .regex("[^\"]*(é|日本|\"[a-z]+\")?")]

  /// Steps byte by byte from a parser of its own: no trie, no parts, no kept masks.
  @Test("a mask is what stepping through every token says", arguments: constraints.indices)
  func bruteForce(_ index: Int) throws {
    let grammar = try Self.constraints[index].compile()
    let matcher = ConstraintMatcher(grammar: grammar, trie: Vocabularies.small)
    var random = SeededGenerator(seed: UInt64(index))
    var states = 0
    var tokens: [Int32] = []
    var state = try matcher.start()
    while states < 63 {
      states += 1
      let mask = try matcher.mask(state)
      #expect(mask == (try expectedMask(grammar, after: tokens)), "after \(text(tokens))")
      let possible = (0..<Int32(Vocabularies.texts.count)).filter { mask.contains($0) }
      // Every beginning can be completed, so there is always a token.
      let token = try #require(possible.randomElement(using: &random))
      state = try #require(try matcher.advance(state, token))
      tokens.append(token)
      if state.hasEnded || tokens.count == 24 {
        if state.hasEnded { #expect(try matcher.mask(state).count == 0) }
        tokens = []
        state = try matcher.start()
      }
    }
  }

  private func expectedMask(_ grammar: Grammar, after tokens: [Int32]) throws -> TokenSet {
    var parser = Parser(grammar)
    var state = parser.start()
    for byte in tokens.flatMap({ Vocabularies.texts[Int($0)] }) { state = parser.step(state, byte) }
    var mask = TokenSet(vocabularyCount: Vocabularies.texts.count)
    for (token, bytes) in Vocabularies.texts.enumerated() where !bytes.isEmpty {
      var next = state
      for byte in bytes { next = parser.step(next, byte) }
      if parser.goesOn(next) || parser.isComplete(next) { mask.insert(Int32(token)) }
    }
    if parser.isComplete(state) { mask.insert(Vocabularies.end) }
    return mask
  }

  private func text(_ tokens: [Int32]) -> String {
    String(decoding: tokens.flatMap { Vocabularies.texts[Int($0)] }, as: UTF8.self)
  }

  @Test("masks over a real vocabulary are what stepping says, and hold no control token")
  func realVocabulary() async throws {
    let trie = try await Vocabularies.model("smollm2-135m")
    let cases: [(Constraint, String)] = [
      (.grammar(TestGrammars.json), "{\"a\": [1, \"x"),
      (.grammar(TestGrammars.cLike), "int f(){int x ="),
      (.jsonSchema(JSONSchemaTests.schemas[0]), "{\"name\": \"Jo"), (.regex(".*"), "日"),
    ]
    for (constraint, beginning) in cases {
      let matcher = ConstraintMatcher(grammar: try constraint.compile(), trie: trie)
      let state = try #require(try matcher.advance(matcher.start(), bytes: beginning.utf8))
      let mask = try matcher.mask(state)
      #expect(mask.count > 10)
      for token in 0..<Int32(trie.vocabularyCount) {
        let isPossible = try matcher.advance(state, token) != nil
        #expect(mask.contains(token) == isPossible)
        if trie.bytes(of: token).isEmpty, !trie.ends.contains(token) { #expect(!isPossible) }
      }
      #expect(trie.ends.allSatisfy { mask.contains($0) == matcher.isComplete(state) })
    }
  }

  @Test("a character may be spread over tokens, and the text cannot end within it")
  func halves() throws {
    let matcher = try ConstraintMatcher(.regex("日+"))
    let half = try #require(Vocabularies.texts.firstIndex(of: [0xE6, 0x97]))
    let state = try #require(try matcher.advance(matcher.start(), Int32(half)))
    let mask = try matcher.mask(state)
    #expect(!mask.contains(Vocabularies.end))
    #expect(mask.contains(0xA5))
    #expect(mask.single == 0xA5)
    let whole = try #require(try matcher.advance(state, 0xA5))
    #expect(try matcher.mask(whole).contains(Vocabularies.end))
  }

  @Test("what must follow is found, up to a choice or an end")
  func forced() throws {
    let matcher = try ConstraintMatcher(.grammar(#"root ::= "name" ("d" | "s") "!"? "#))
    func forced(_ text: String) throws -> String {
      let state = try #require(try matcher.advance(matcher.start(), bytes: text.utf8))
      return String(decoding: try matcher.forcedBytes(state, most: 64), as: UTF8.self)
    }
    #expect(try forced("") == "name")
    #expect(try forced("na") == "me")
    #expect(try forced("name") == "")
    #expect(try forced("named") == "")
    let end = try #require(try matcher.advance(matcher.start(), bytes: "named!".utf8))
    #expect(try matcher.onlyToken(end) == Vocabularies.end)
  }

  @Test("states survive a renewal of the matcher as texts")
  func renewal() throws {
    // Palindromes need a new state for every byte: memory grows until it is renewed.
    let matcher = try ConstraintMatcher(.grammar(TestGrammars.palindromes))
    let epoch = matcher.epoch
    var state = try matcher.start()
    var count = 0
    while matcher.epoch == epoch, count < 2_000_000 {
      state = try #require(try matcher.advance(state, bytes: "ab".utf8))
      count += 1
      matcher.renewIfLarge()
    }
    #expect(matcher.epoch == epoch + 1)
    #expect(try matcher.accepts("abéba"))
    #expect(try !matcher.accepts("abéb"))
  }
}
