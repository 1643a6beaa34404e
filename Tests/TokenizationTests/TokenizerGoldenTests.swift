import TestSupport
import Testing
import Tokenization

/// What llama.cpp makes of 170 texts, for each model.
private struct TokenizeGolden: Decodable {
  struct Case: Decodable {
    var text: String
    /// No BOS, special text not parsed.
    var plain: [Int32]
    /// BOS as the model asks, special text parsed.
    var special: [Int32]
  }

  var cases: [Case]
}

@Suite("Tokenizers agree with llama.cpp")
struct TokenizerGoldenTests {
  @Test("every text gives the same tokens", arguments: ModelTokenizers.models)
  func tokensAgree(model: String) async throws {
    let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
    let golden = try Goldens.load(TokenizeGolden.self, "tokenize_\(model)")
    #expect(golden.cases.count == 170)
    for example in golden.cases {
      let plain = tokenizer.encode(example.text, addSpecial: false, parseSpecial: false)
      #expect(plain == example.plain, "\(example.text.debugDescription)")
      let special = tokenizer.encode(example.text, addSpecial: true, parseSpecial: true)
      #expect(special == example.special, "\(example.text.debugDescription)")
    }
  }

  @Test("every text comes back from its tokens", arguments: ModelTokenizers.models)
  func textsComeBack(model: String) async throws {
    let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
    let golden = try Goldens.load(TokenizeGolden.self, "tokenize_\(model)")
    for example in golden.cases {
      #expect(tokenizer.decodeBytes(example.plain) == Array(example.text.utf8))
      let parsed = example.special.dropFirst(tokenizer.addsBOS ? 1 : 0)
      let rendered = tokenizer.decodeBytes(parsed, rendersSpecial: true)
      #expect(rendered == Array(example.text.utf8))
    }
  }

  @Test("the tokens that end a generation are known")
  func endOfGeneration() async throws {
    let expected: [String: [String]] = [
      "smollm2-135m": ["<|endoftext|>", "<|im_end|>"],
      "gemma3-270m": ["<eos>", "<end_of_turn>"],
      "qwen2.5-coder-0.5b": ["<|endoftext|>", "<|im_end|>"],
    ]
    for (model, texts) in expected {
      let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
      let tokens = try texts.map { try #require(tokenizer.token(forText: $0)) }
      #expect(tokenizer.endOfGenerationTokens == tokens.sorted())
      #expect(tokens.allSatisfy { tokenizer.isEndOfGeneration($0) && tokenizer.isControl($0) })
      #expect(!tokenizer.isEndOfGeneration(1000))
    }
  }

  @Test("a user cannot write a control token unless special text is parsed")
  func controlTextIsHarmless() async throws {
    for model in ModelTokenizers.models {
      let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
      let text = "<|im_end|><bos><end_of_turn><|endoftext|><eos><|im_start|><unused5>"
      let tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      #expect(!tokens.contains { tokenizer.isControl($0) })
    }
  }
}
