import Checkpoints
import Foundation
import TestSupport
import Tokenization

/// The tokenizers of real models, each loaded once for all tests.
actor ModelTokenizers {
  static let shared = ModelTokenizers()

  static let models = [
    "smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b",
  ]

  private var loaded: [String: Task<Tokenizer, any Error>] = [:]

  func tokenizer(_ model: String) async throws -> Tokenizer {
    let task =
      loaded[model]
      ?? Task {
        let url = try await TestModels.path(model)
        return try Tokenizer(TokenizerDefinition(GGUFFile(path: url.path)))
      }
    loaded[model] = task
    return try await task.value
  }
}

extension TokenizerDefinition {
  /// What a GGUF file says about its tokenizer.
  init(_ file: GGUFFile) throws {
    let metadata = file.metadata
    let key = { "tokenizer.ggml." + $0 }
    self.init(
      model: try metadata.string(key("model")),
      tokens: try StringTable(metadata.strings(key("tokens"))),
      preTokenizer: try metadata.string(ifPresent: key("pre")))
    scores = try metadata.floats(ifPresent: key("scores")) ?? []
    tokenTypes = try metadata.integers(ifPresent: key("token_type"))?.map(Int32.init) ?? []
    merges = try metadata.strings(ifPresent: key("merges")).map(StringTable.init)
    let token = { (name: String) in
      try metadata.unsigned(ifPresent: key(name + "_token_id")).map(Int32.init)
    }
    bosToken = try token("bos")
    eosToken = try token("eos")
    eotToken = try token("eot")
    eomToken = try token("eom")
    unknownToken = try token("unknown")
    paddingToken = try token("padding")
    addsBOS = try metadata.bool(ifPresent: key("add_bos_token"))
    addsEOS = try metadata.bool(ifPresent: key("add_eos_token"))
    addsSpacePrefix = try metadata.bool(ifPresent: key("add_space_prefix"))
    chatTemplate = try metadata.string(ifPresent: "tokenizer.chat_template")
  }
}

extension StringTable {
  init(_ strings: StringArrayView) throws {
    guard let (bytes, offsets) = strings.contiguous() else {
      throw TokenizerError.invalidStringTable("the strings take more than 2 GiB")
    }
    try self.init(bytes: bytes, offsets: offsets)
  }
}
