import TestSupport
import Testing

@testable import Tokenization

@Suite("Pre-tokenizers")
struct PreTokenizerTests {
  private func words(_ name: String, _ text: String) throws -> [String] {
    let preTokenizer = try PreTokenizer(name: name)
    let bytes = Array(text.utf8)
    var words: [String] = []
    var start = 0
    while start < bytes.count {
      let end = preTokenizer.endOfWord(bytes, from: start, end: bytes.count)
      words.append(String(decoding: bytes[start..<end], as: UTF8.self))
      start = end
    }
    return words
  }

  @Test("GPT-2 keeps a space with its word and cuts lower-case contractions")
  func gpt2() throws {
    #expect(
      try words("gpt-2", "I'm  John's 123 cats!! \n x")
        == ["I", "'m", " ", " John", "'s", " 123", " cats", "!!", " \n", " x"])
    #expect(try words("gpt-2", "I'M a  ") == ["I", "'", "M", " a", "  "])
    #expect(try words("gpt-2", "é漢字 ½x_-") == ["é漢字", " ½", "x", "_-"])
  }

  @Test("SmolLM cuts every number off by itself")
  func smollm() throws {
    #expect(
      try words("smollm", "a  12 b3") == ["a", "  ", "1", "2", " b", "3"])
    #expect(try words("smollm", " 7") == [" ", "7"])
  }

  @Test("Qwen 2 takes digits singly, a sign before letters, and line ends with punctuation")
  func qwen2() throws {
    #expect(
      try words("qwen2", "I'M 123 (abc)\n\n x\t\ty  \r\n z")
        == ["I", "'M", " ", "1", "2", "3", " (", "abc", ")\n\n", " x", "\t", "\ty", "  \r\n", " z"])
    #expect(try words("qwen2", "  \n  \n  a") == ["  \n  \n", " ", " a"])
  }

  @Test("Llama 3 takes digits in threes")
  func llama3() throws {
    #expect(try words("llama-bpe", "12345 1٣½4") == ["123", "45", " ", "1٣½", "4"])
  }

  @Test("every scanner moves on and loses nothing, whatever the bytes")
  func coversEverything() {
    var random = SeededGenerator(seed: 7)
    for preTokenizer in [PreTokenizer.gpt2, .smollm, .qwen2, .llama3] {
      for _ in 0..<300 {
        let count = Int.random(in: 1...40, using: &random)
        let alphabet: [UInt8] = [0x20, 0x0A, 0x0D, 0x27, 0x73, 0x31, 0x61, 0xC3, 0xA9, 0xE2, 0x80]
        let bytes = (0..<count).map { _ in
          Bool.random(using: &random)
            ? alphabet.randomElement(using: &random) ?? 0
            : UInt8.random(in: 0...255, using: &random)
        }
        var start = 0
        while start < count {
          let end = preTokenizer.endOfWord(bytes, from: start, end: count)
          #expect(end > start && end <= count)
          start = max(end, start + 1)
        }
        #expect(start == count)
      }
    }
  }
}
