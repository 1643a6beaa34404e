import TestSupport
import Testing

@testable import Tokenization

@Suite("Byte-level BPE")
struct ByteLevelBPETests {
  @Test("merges go by rank, then from left to right")
  func rankDecides() throws {
    let tokenizer = try SmallTokenizers.byteLevel(merges: ["b c", "a b", "a bc", "a a"])
    let texts = { (text: String) in
      tokenizer.encode(text, addSpecial: false, parseSpecial: false).map {
        String(decoding: tokenizer.bytes(of: $0), as: UTF8.self)
      }
    }
    #expect(texts("abc") == ["abc"])
    #expect(texts("abab") == ["ab", "ab"])
    #expect(texts("aaa") == ["aa", "a"])
    #expect(texts("abcaaab") == ["abc", "aa", "ab"])
  }

  @Test("long words merge as a textbook implementation merges them")
  func longWordsAgreeWithTextbook() throws {
    let merges = ["a b", "b a", "ab ab", "a a", "ba b", "aa ab", "abab ab", "b b", "aaab ba"]
    let tokenizer = try SmallTokenizers.byteLevel(merges: merges)
    var random = SeededGenerator(seed: 1)
    for length in [1, 2, 5, 23, 24, 25, 26, 40, 100, 400] {
      for _ in 0..<20 {
        let word = (0..<length).map { _ in Bool.random(using: &random) ? "a" : "b" }
        let tokens = tokenizer.encode(word.joined(), addSpecial: false, parseSpecial: false)
        let texts = tokens.map { String(decoding: tokenizer.bytes(of: $0), as: UTF8.self) }
        #expect(texts == textbookMerge(word, merges))
      }
    }
  }

  /// Replaces the leftmost pair of lowest rank until there is none.
  private func textbookMerge(_ word: [String], _ merges: [String]) -> [String] {
    var symbols = word
    while true {
      let pairs = symbols.indices.dropLast().compactMap { index in
        merges.firstIndex(of: "\(symbols[index]) \(symbols[index + 1])").map { ($0, index) }
      }
      guard let (_, index) = pairs.min(by: { $0 < $1 }) else { return symbols }
      symbols.replaceSubrange(index...index + 1, with: [symbols[index] + symbols[index + 1]])
    }
  }

  @Test("user-defined tokens are always found, control tokens only when parsed")
  func specialTokens() throws {
    let tokenizer = try SmallTokenizers.byteLevel(
      special: [("<tool>", .userDefined), ("<end>", .control), ("<pad>", .unused)])
    let tool: Int32 = 256
    let end: Int32 = 257
    let plain = tokenizer.encode("a<tool><end>", addSpecial: false, parseSpecial: false)
    #expect(plain.contains(tool) && !plain.contains(end))
    let parsed = tokenizer.encode("a<tool><end><pad>", addSpecial: false, parseSpecial: true)
    #expect(parsed[1...2] == [tool, end] && parsed.count == 3 + 5)
    #expect(tokenizer.decode(parsed) == "a<tool><pad>")
    #expect(tokenizer.decode(parsed, rendersSpecial: true) == "a<tool><end><pad>")
  }

  @Test("an end of turn that the file calls text is control all the same")
  func endOfTurnIsControl() throws {
    let tokenizer = try SmallTokenizers.byteLevel(special: [("<|im_end|>", .normal)])
    #expect(tokenizer.isControl(256) && tokenizer.isEndOfGeneration(256))
    #expect(!tokenizer.encode("<|im_end|>", addSpecial: false, parseSpecial: false).contains(256))
  }

  @Test("BOS and EOS are added where the model asks for them")
  func beginningAndEnd() throws {
    let special: [(String, TokenKind)] = [("<s>", .control), ("</s>", .control)]
    let both = try SmallTokenizers.byteLevel(special: special) {
      $0.bosToken = 256
      $0.eosToken = 257
      $0.addsBOS = true
      $0.addsEOS = true
    }
    #expect(both.encode("", addSpecial: true, parseSpecial: false) == [256, 257])
    #expect(both.encode("", addSpecial: false, parseSpecial: false) == [])
    let neither = try SmallTokenizers.byteLevel(special: special) { $0.bosToken = 256 }
    #expect(neither.encode("", addSpecial: true, parseSpecial: false) == [])
    let llama3 = try SmallTokenizers.byteLevel(preTokenizer: "llama-bpe", special: special) {
      $0.bosToken = 256
    }
    #expect(llama3.encode("", addSpecial: true, parseSpecial: false) == [256])
  }

  @Test("bytes that the vocabulary lacks are left out")
  func missingBytes() throws {
    var definition = TokenizerDefinition(model: "gpt2", tokens: try StringTable(["a", "b", "ab"]))
    definition.merges = try StringTable(["a b"])
    let tokenizer = try Tokenizer(definition)
    #expect(tokenizer.encode("xabya", addSpecial: false, parseSpecial: false) == [2, 0])
  }

  @Test("Llama 3 takes a word that is a token without asking the merges")
  func wholeWords() throws {
    let special: [(String, TokenKind)] = [("word", .normal)]
    let llama3 = try SmallTokenizers.byteLevel(preTokenizer: "llama-bpe", special: special)
    #expect(llama3.encode("word", addSpecial: false, parseSpecial: false) == [256])
    let gpt2 = try SmallTokenizers.byteLevel(special: special)
    #expect(gpt2.encode("word", addSpecial: false, parseSpecial: false).count == 4)
  }

  @Test("a definition that does not fit together is refused with a reason")
  func invalidDefinitions() throws {
    let tokens = try StringTable(["a", "b"])
    #expect(throws: TokenizerError.unsupportedModel("wordpiece")) {
      try Tokenizer(TokenizerDefinition(model: "wordpiece", tokens: tokens))
    }
    #expect(throws: TokenizerError.missing("tokenizer.ggml.merges")) {
      try Tokenizer(TokenizerDefinition(model: "gpt2", tokens: tokens))
    }
    #expect(throws: TokenizerError.unsupportedPreTokenizer("tekken")) {
      try SmallTokenizers.byteLevel(preTokenizer: "tekken")
    }
    #expect(throws: TokenizerError.invalidMerge(index: 1)) {
      try SmallTokenizers.byteLevel { $0.merges = try? StringTable(["a b", "ab"]) }
    }
    #expect(throws: (any Error).self) { try SmallTokenizers.byteLevel { $0.bosToken = 4000 } }
    #expect(throws: (any Error).self) { try SmallTokenizers.byteLevel { $0.eosToken = -1 } }
    #expect(throws: (any Error).self) { try SmallTokenizers.byteLevel { $0.tokenTypes = [1] } }
    #expect(throws: (any Error).self) { try StringTable(bytes: [1, 2], offsets: [0, 3]) }
    #expect(throws: (any Error).self) { try StringTable(bytes: [1, 2], offsets: [0, 2, 1]) }
    #expect(throws: (any Error).self) { try StringTable(bytes: [], offsets: []) }
    #expect(throws: (any Error).self) { try StringTable(bytes: [1], offsets: [-1, 1]) }
  }

  @Test("decoding an id outside the vocabulary gives nothing")
  func foreignTokens() throws {
    let tokenizer = try SmallTokenizers.byteLevel()
    #expect(tokenizer.decode([-1, 256, .max, .min]) == "")
    #expect(tokenizer.kind(of: -1) == nil && !tokenizer.isControl(256))
  }
}
