import Tokenization

/// Vocabularies small enough to work out their tokens by hand.
enum SmallTokenizers {
  /// Byte-level BPE over all 256 bytes with a handful of merges and special tokens.
  ///
  /// Ids: bytes 0...255 in the order of the alphabet, then the merges, then the special tokens.
  static func byteLevel(
    preTokenizer: String = "gpt-2", merges: [String] = [], special: [(String, TokenKind)] = [],
    configure: (inout TokenizerDefinition) -> Void = { _ in }
  ) throws -> Tokenizer {
    let joined = merges.map { $0.replacing(" ", with: "") }
    let tokens = alphabet + joined + special.map(\.0)
    var definition = TokenizerDefinition(
      model: "gpt2", tokens: try StringTable(tokens), preTokenizer: preTokenizer)
    definition.merges = try StringTable(merges)
    definition.tokenTypes =
      [Int32](repeating: 1, count: alphabet.count + joined.count)
      + special.map { Int32($0.1.rawValue) }
    configure(&definition)
    return try Tokenizer(definition)
  }

  /// The GPT-2 alphabet in the order of bytes, worked out from its definition.
  static let alphabet: [String] = {
    var next: UInt32 = 0x100
    return (0..<256).map { (byte: UInt32) in
      let isPrintable =
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
      defer { if !isPrintable { next += 1 } }
      return String(Character(Unicode.Scalar(isPrintable ? byte : next) ?? "?"))
    }
  }()

  /// SentencePiece BPE: `<unk>`, `<s>`, `</s>`, 256 byte tokens (ids 3...258), then `pieces`
  /// with their scores.
  static func sentencePiece(
    pieces: [(String, Float)], special: [(String, TokenKind)] = [],
    configure: (inout TokenizerDefinition) -> Void = { _ in }
  ) throws -> Tokenizer {
    let bytes = (0..<256).map { byte in
      "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
    }
    let texts = ["<unk>", "<s>", "</s>"] + bytes + pieces.map(\.0) + special.map(\.0)
    var definition = TokenizerDefinition(model: "llama", tokens: try StringTable(texts))
    definition.scores =
      [Float](repeating: 0, count: 259) + pieces.map(\.1) + special.map { _ in 0 }
    definition.tokenTypes =
      [2, 3, 3] + [Int32](repeating: 6, count: 256) + pieces.map { _ in 1 }
      + special.map { Int32($0.1.rawValue) }
    definition.bosToken = 1
    definition.eosToken = 2
    definition.unknownToken = 0
    configure(&definition)
    return try Tokenizer(definition)
  }
}
