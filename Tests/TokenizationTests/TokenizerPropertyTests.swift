import TestSupport
import Testing

@testable import Tokenization

@Suite("Tokenizers on arbitrary input")
struct TokenizerPropertyTests {
  /// Random bytes, or random scalars with many spaces, controls and special text among them.
  private func randomText(_ random: inout SeededGenerator) -> [UInt8] {
    let count = Int.random(in: 0...200, using: &random)
    if Bool.random(using: &random) {
      return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
    let fragments = [
      " ", "  ", "\n", "\t\t", "<|im_end|>", "<table>", "<bos>", ">", "</", "'s", "12", "the",
    ]
    var text = ""
    for _ in 0..<count {
      if Bool.random(using: &random) {
        text += fragments.randomElement(using: &random) ?? ""
      } else if let scalar = Unicode.Scalar(UInt32.random(in: 0...0x1_0FFFF, using: &random)) {
        text.unicodeScalars.append(scalar)
      }
    }
    return Array(text.utf8)
  }

  @Test(
    "any bytes come back from their tokens, in one go and token by token",
    arguments: ["gemma3-270m", "qwen2.5-coder-0.5b"])
  func roundTrip(model: String) async throws {
    let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
    var random = SeededGenerator(seed: 42)
    for _ in 0..<500 {
      let text = randomText(&random)
      for parsesSpecial in [false, true] {
        let tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: parsesSpecial)
        #expect(tokenizer.decodeBytes(tokens, rendersSpecial: true) == text)
        var detokenizer = IncrementalDetokenizer(tokenizer, rendersSpecial: true)
        let pieces = tokens.map { detokenizer.append($0) } + [detokenizer.finish()]
        #expect(pieces.joined().utf8.elementsEqual(String(decoding: text, as: UTF8.self).utf8))
      }
    }
  }

  @Test("random SentencePiece vocabularies give any bytes back")
  func smallSentencePieceRoundTrip() throws {
    var random = SeededGenerator(seed: 3)
    let tokenizer = try SmallTokenizers.sentencePiece(pieces: [
      ("▁", -1), ("▁▁", -2), ("é", -3), ("th", -4), ("▁th", -1), ("x▁", -2), ("h▁▁t", -9),
    ])
    for _ in 0..<500 {
      let text = randomText(&random)
      let tokens = tokenizer.encode(text, addSpecial: true, parseSpecial: false)
      #expect(tokenizer.decodeBytes(tokens) == text)
    }
  }

  @Test(
    "work grows linearly with the text, even in one word of one character",
    arguments: ["gemma3-270m", "qwen2.5-coder-0.5b"], ["a", "=", "漢", " ", "ab"])
  func linearWork(model: String, unit: String) async throws {
    let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
    let work = { (count: Int) in
      let text = Array(String(repeating: unit, count: count).utf8)
      return tokenizer.encodingSession(text, addSpecial: false, parseSpecial: false).engine.work
    }
    // Each symbol is looked at when it is made and twice when it merges, in and out of the heap.
    #expect(work(50_000) <= 6 * 50_000 * unit.utf8.count)
    #expect(work(50_000) <= 6 * max(work(10_000), 100))
  }

  @Test("a cached word gives the same tokens as a fresh one")
  func cacheIsTransparent() async throws {
    let tokenizer = try await ModelTokenizers.shared.tokenizer("smollm2-135m")
    let words = (0..<3000).map { " word\($0 % 700)x" }
    let separately = words.flatMap {
      tokenizer.encode($0, addSpecial: false, parseSpecial: false)
    }
    let together = tokenizer.encode(words.joined(), addSpecial: false, parseSpecial: false)
    #expect(together == separately)
  }
}
