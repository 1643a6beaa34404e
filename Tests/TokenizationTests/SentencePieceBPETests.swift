import Testing

@testable import Tokenization

@Suite("SentencePiece BPE")
struct SentencePieceBPETests {
  private let pieces: [(String, Float)] = [
    ("▁", -10), ("a", -11), ("b", -12), ("c", -13), ("ab", -2), ("bc", -1), ("▁a", -3),
    ("▁ab", -4), ("aa", -5), ("b▁c", -6),
  ]

  private func texts(_ tokenizer: Tokenizer, _ text: String, addSpecial: Bool = false) -> [String] {
    tokenizer.encode(text, addSpecial: addSpecial, parseSpecial: true).map {
      String(decoding: tokenizer.bytes(of: $0), as: UTF8.self)
    }
  }

  @Test("the best score merges first, of equals the leftmost")
  func scoresDecide() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: pieces) { $0.addsSpacePrefix = false }
    #expect(texts(tokenizer, "abc") == ["a", "bc"])
    #expect(texts(tokenizer, "aaa") == ["aa", "a"])
    #expect(texts(tokenizer, "a ab") == ["a", " ab"])
  }

  @Test("a token that holds an inner space is still found")
  func innerSpace() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: [
      ("▁", -10), ("b", -12), ("c", -13), ("b▁", -2), ("b▁c", -1),
    ]) { $0.addsSpacePrefix = false }
    #expect(texts(tokenizer, "b c") == ["b c"])
    #expect(texts(tokenizer, "c c") == ["c", " ", "c"])
  }

  @Test("text gets a space in front, and loses it again")
  func spacePrefix() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: pieces)
    let tokens = tokenizer.encode("ab", addSpecial: true, parseSpecial: false)
    #expect(tokens.first == tokenizer.bosToken)
    #expect(texts(tokenizer, "ab") == [" ab"])
    #expect(tokenizer.decode(tokens) == "ab")
    #expect(tokenizer.decode(tokens, isStartOfText: false) == " ab")
    #expect(
      tokenizer.decode(tokenizer.encode("  ab", addSpecial: false, parseSpecial: false)) == "  ab")
    #expect(tokenizer.encode("", addSpecial: true, parseSpecial: false) == [1])
  }

  @Test("what is no token is written byte by byte")
  func byteFallback() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: pieces) { $0.addsSpacePrefix = false }
    let euro = Array("€".utf8).map { Int32($0) + 3 }
    #expect(tokenizer.encode("€", addSpecial: false, parseSpecial: false) == euro)
    #expect(tokenizer.decode(euro) == "€")
  }

  @Test("names of control and byte tokens in plain text stay text")
  func namesStayText() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(
      pieces: "<>/s0x41".map { (String($0), Float(-1)) } + [
        ("<s", -1), ("<0", -1), ("<0x", -1),
        ("<0x4", -1), ("<0x41", -1),
      ]
    ) { $0.addsSpacePrefix = false }
    let tokens = tokenizer.encode("<s><0x41>", addSpecial: false, parseSpecial: false)
    #expect(!tokens.contains(1) && !tokens.contains(3 + 0x41))
    #expect(tokenizer.decode(tokens) == "<s><0x41>")
    #expect(tokenizer.encode("<s>", addSpecial: false, parseSpecial: true) == [1])
  }

  @Test("scores that are not numbers do no harm")
  func strangeScores() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: [
      ("a", .nan), ("aa", .infinity), ("aaaa", -.infinity), ("▁", .nan),
    ]) { $0.addsSpacePrefix = false }
    #expect(texts(tokenizer, "aaaaa") == ["aaaa", "a"])
    #expect(throws: (any Error).self) {
      try SmallTokenizers.sentencePiece(pieces: pieces) { $0.scores.removeLast() }
    }
  }
}
