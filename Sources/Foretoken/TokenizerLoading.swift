import Checkpoints
import Tokenization

extension Tokenizer {
  /// The tokenizer that a model file describes (metadata keys `tokenizer.*`).
  ///
  /// - Throws: `CheckpointError` for a key that is missing or of the wrong type, `TokenizerError`
  ///   for a description that makes no tokenizer.
  public convenience init(_ file: GGUFFile) throws {
    try self.init(TokenizerDefinition(file))
  }
}

extension TokenizerDefinition {
  /// What the metadata of `file` say about the tokenizer.
  /// - Throws: as `Tokenizer.init(_:)`.
  public init(_ file: GGUFFile) throws {
    let metadata = file.metadata
    self.init(
      model: try metadata.string("tokenizer.ggml.model"),
      tokens: try Self.table(metadata.strings("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens"),
      preTokenizer: try metadata.string(ifPresent: "tokenizer.ggml.pre"))
    merges = try metadata.strings(ifPresent: "tokenizer.ggml.merges").map {
      try Self.table($0, "tokenizer.ggml.merges")
    }
    scores = try metadata.floats(ifPresent: "tokenizer.ggml.scores") ?? []
    tokenTypes = (try metadata.integers(ifPresent: "tokenizer.ggml.token_type") ?? []).map {
      Int32(clamping: $0)
    }
    bosToken = try Self.token(metadata, "bos")
    eosToken = try Self.token(metadata, "eos")
    eotToken = try Self.token(metadata, "eot")
    eomToken = try Self.token(metadata, "eom")
    unknownToken = try Self.token(metadata, "unknown")
    paddingToken = try Self.token(metadata, "padding")
    addsBOS = try metadata.bool(ifPresent: "tokenizer.ggml.add_bos_token")
    addsEOS = try metadata.bool(ifPresent: "tokenizer.ggml.add_eos_token")
    addsSpacePrefix = try metadata.bool(ifPresent: "tokenizer.ggml.add_space_prefix")
    chatTemplate = try metadata.string(ifPresent: "tokenizer.chat_template")
  }

  private static func table(_ strings: StringArrayView, _ key: String) throws -> StringTable {
    guard let (bytes, offsets) = strings.contiguous() else {
      throw TokenizerError.invalidStringTable("\(key) is longer than 2 GiB")
    }
    return try StringTable(bytes: bytes, offsets: offsets)
  }

  /// An id that is out of range stays out of range, for the tokenizer to refuse with its name.
  private static func token(_ metadata: GGUFMetadata, _ name: String) throws -> Int32? {
    try metadata.unsigned(ifPresent: "tokenizer.ggml.\(name)_token_id").map { Int32(clamping: $0) }
  }
}
