import TestSupport
import Testing

@testable import Tokenization

@Suite("Incremental detokenizer")
struct IncrementalDetokenizerTests {
  /// Feeds bytes one token each.
  private func pieces(_ bytes: [UInt8]) throws -> [String] {
    let tokenizer = try SmallTokenizers.byteLevel()
    var detokenizer = IncrementalDetokenizer(tokenizer)
    let tokens = bytes.map { tokenizer.encode([$0], addSpecial: false, parseSpecial: false)[0] }
    return tokens.map { detokenizer.append($0) } + [detokenizer.finish()]
  }

  @Test("an unfinished character is held back until it is whole")
  func holdsBack() throws {
    #expect(try pieces(Array("é€😀".utf8)) == ["", "é", "", "", "€", "", "", "", "😀", ""])
  }

  @Test("bytes that can never be a character become U+FFFD at once")
  func replacesInvalid() throws {
    #expect(try pieces([0xFF, 0x61]) == ["\u{FFFD}", "a", ""])
    #expect(try pieces([0xC0, 0x61]) == ["\u{FFFD}", "a", ""])
    #expect(try pieces([0xE2, 0x61]) == ["", "\u{FFFD}a", ""])
    #expect(try pieces([0xED, 0xA0, 0x80]).joined() == "\u{FFFD}\u{FFFD}\u{FFFD}")
  }

  @Test("what is left unfinished comes out as U+FFFD at the end")
  func flushes() throws {
    #expect(try pieces([0x61, 0xF0, 0x9F, 0x98]) == ["a", "", "", "", "\u{FFFD}"])
    #expect(try pieces([]) == [""])
  }

  @Test("random bytes give what decoding at once gives, and every piece is whole")
  func agreesWithDecode() throws {
    var random = SeededGenerator(seed: 5)
    let alphabet: [UInt8] = [
      0x61, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xF4,
    ]
    for _ in 0..<500 {
      let bytes = (0..<12).map { _ in alphabet.randomElement(using: &random) ?? 0 }
      #expect(try pieces(bytes).joined() == String(decoding: bytes, as: UTF8.self))
    }
  }

  @Test("the space SentencePiece put before text goes at the start and stays in a continuation")
  func leadingSpace() throws {
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: [("▁", -1), ("▁a", -1), ("a", -2)])
    let tokens = tokenizer.encode("a a", addSpecial: true, parseSpecial: false)
    var start = IncrementalDetokenizer(tokenizer, isStartOfText: true)
    #expect(tokens.map { start.append($0) } == ["", "a", " a"])
    var continuation = IncrementalDetokenizer(tokenizer)
    #expect(tokens.map { continuation.append($0) } == ["", " a", " a"])
  }
}
