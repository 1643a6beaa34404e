import Foretoken
import Foundation
import TestSupport

@testable import Constraints

/// Vocabularies for tests.
enum Vocabularies {
  /// All bytes, pieces of code and JSON, halves of characters, a token that ends texts and one that
  /// is control.
  static let small = VocabularyTrie(
    vocabularyCount: texts.count, ends: [Int32(texts.count - 2)]
  ) { texts[Int($0)] }

  static let end = Int32(texts.count - 2)

  static let texts: [[UInt8]] = {
    let pieces = [
      "\":", "\",", "\"}", "\"]", "\": \"", "\", \"", "{\"", "[\"", "},", "}}", "]}", "],", " {",
      " [",
      "true", "false", "null", "name", "id", "value", "int ", "float ", "while", "for", "return",
      "if",
      "else", " = ", " == ", "();", "){", ");", "//", "/*", "*/", "0.", "10", "42", "-1", "e+",
      "\\n",
      "\\u00", "  ", "\n  ", "\n", "ab", "abc", "the", " the", "O-O", "1. ", "Nf3", "e4", "éa",
      "aé",
      "です", "日本", "、", "。", "😀", "Привет", "a+b", "+1", "((", "))", "!!", "a,", "x=", "foo", "bar(",
    ]
    // Halves of characters: the beginnings and ends of é, 日 and 😀.
    let halves: [[UInt8]] = [
      [0x61, 0xC3], [0xA9, 0x61], [0xE6, 0x97], [0x97, 0xA5], [0xF0, 0x9F], [0x98, 0x80],
      [0x22, 0xE6],
    ]
    return (0...255).map { [$0] } + pieces.map { Array($0.utf8) } + halves + [[], []]
  }()

  /// The vocabulary of a real model.
  static func model(_ alias: String) async throws -> VocabularyTrie {
    let url = try await TestModels.path(alias)
    return VocabularyTrie(try Tokenizer(GGUFFile(path: url.path)))
  }
}

/// Writes texts under a constraint with logits that are noise, as a model at a high temperature
/// would.
struct NoiseWriter {
  let matcher: ConstraintMatcher
  /// Standard deviation of the logits.
  var spread = 3.0
  var temperature = 1.5
  /// From here on the writer looks for the end.
  var patience = 60
  var mostTokens = 600

  struct Text {
    var bytes: [UInt8] = []
    var tokens: [Int32] = []
    /// Whether a token that ends texts came; otherwise the text is only a beginning.
    var hasEnded = false
    var string: String { String(decoding: bytes, as: UTF8.self) }
  }

  func write(_ random: inout SeededGenerator) throws -> Text {
    var text = Text()
    var state = try matcher.start()
    while text.tokens.count < mostTokens {
      let mask = try matcher.mask(state)
      let token = choose(mask, written: text.tokens.count, &random)
      guard let token, let next = try matcher.advance(state, token) else { return text }
      state = next
      if state.hasEnded {
        text.hasEnded = true
        return text
      }
      text.tokens.append(token)
      text.bytes += Vocabularies.texts[Int(token)]
      matcher.renewIfLarge()
    }
    return text
  }

  private func choose(
    _ mask: TokenSet, written: Int, _ random: inout SeededGenerator
  ) -> Int32? {
    var best: (score: Double, token: Int32)?
    for token in 0..<Int32(Vocabularies.texts.count) where mask.contains(token) {
      let uniform = { (random: inout SeededGenerator) in Double.random(in: 1e-9..<1, using: &random)
      }
      // The sum of twelve uniforms is nearly normal.
      let normal = (0..<12).reduce(-6.0) { sum, _ in sum + uniform(&random) }
      var logit = normal * spread
      if written > patience { logit += bonus(token) }
      let score = logit / temperature - log(-log(uniform(&random)))
      if best.map({ score > $0.score }) ?? true { best = (score, token) }
    }
    return best?.token
  }

  private func bonus(_ token: Int32) -> Double {
    if token == Vocabularies.end { return 60 }
    let closing = Array("\"}])*/;\n".utf8)
    let text = Vocabularies.texts[Int(token)]
    return text.count == 1 && closing.contains(text[0]) ? 25 : 0
  }
}
