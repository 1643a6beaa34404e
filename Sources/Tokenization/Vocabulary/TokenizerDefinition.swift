/// The kind of a token, as the GGUF key `tokenizer.ggml.token_type` numbers it.
public enum TokenKind: UInt8, Sendable {
  /// Ordinary text.
  case normal = 1
  /// Stands for what the vocabulary cannot express.
  case unknown = 2
  /// Structure of the conversation; never made from plain text.
  case control = 3
  /// Added by hand; found in the text before anything else, whether or not special text is parsed.
  case userDefined = 4
  /// Padding of the vocabulary.
  case unused = 5
  /// One raw byte, written `<0xHH>`.
  case byte = 6
}

/// Everything a model file says about its tokenizer, free of the file's format.
public struct TokenizerDefinition: Sendable {
  /// The algorithm family (`tokenizer.ggml.model`): `gpt2` for byte-level BPE, `llama` for
  /// SentencePiece BPE with scores and byte fallback.
  public var model: String
  /// The name of the pre-tokenizer (`tokenizer.ggml.pre`); used by byte-level BPE only.
  public var preTokenizer: String?
  /// The text of every token, by token id. Byte-level BPE vocabularies are written in the GPT-2
  /// byte alphabet, as in the file.
  public var tokens: StringTable
  /// One score per token, higher merges first; SentencePiece only.
  public var scores: [Float]
  /// One `TokenKind` raw value per token, or empty when all are normal.
  public var tokenTypes: [Int32]
  /// `left right` pairs in order of priority; byte-level BPE only.
  public var merges: StringTable?
  /// The token before the text.
  public var bosToken: Int32?
  /// The token after the text.
  public var eosToken: Int32?
  /// The token that ends a turn, where it differs from the end of the text.
  public var eotToken: Int32?
  /// The token that ends a message which asks for a tool.
  public var eomToken: Int32?
  /// The token for what cannot be expressed.
  public var unknownToken: Int32?
  /// The token that fills batches.
  public var paddingToken: Int32?
  /// Whether encoding starts with BOS; `nil` takes the default of the family.
  public var addsBOS: Bool?
  /// Whether encoding ends with EOS; `nil` means no.
  public var addsEOS: Bool?
  /// Whether SentencePiece puts a space before text; `nil` means yes for that family.
  public var addsSpacePrefix: Bool?
  /// The Jinja source of the chat template (`tokenizer.chat_template`).
  public var chatTemplate: String?

  /// A definition with the three parts no tokenizer can do without; set the rest as needed.
  public init(model: String, tokens: StringTable, preTokenizer: String? = nil) {
    self.model = model
    self.tokens = tokens
    self.preTokenizer = preTokenizer
    scores = []
    tokenTypes = []
  }
}

/// Why a tokenizer cannot be made from a definition.
public enum TokenizerError: Error, Equatable, CustomStringConvertible {
  /// Offsets that do not describe a list of strings.
  case invalidStringTable(String)
  /// A `tokenizer.ggml.model` this target does not implement.
  case unsupportedModel(String)
  /// A `tokenizer.ggml.pre` this target does not implement.
  case unsupportedPreTokenizer(String)
  /// A part the family needs is absent.
  case missing(String)
  /// A per-token array of another length than the vocabulary.
  case countMismatch(field: String, found: Int, expected: Int)
  /// A special token id outside the vocabulary.
  case tokenOutOfRange(field: String, token: Int32, vocabularyCount: Int)
  /// A merge that is not two parts with a space between them.
  case invalidMerge(index: Int)

  /// What was found, what was expected, and what to do.
  public var description: String {
    switch self {
    case .invalidStringTable(let reason):
      "The vocabulary's string table is invalid: \(reason). The file is damaged; fetch it again."
    case .unsupportedModel(let name):
      "The tokenizer model '\(name)' is not supported; supported are gpt2 (byte-level BPE) and "
        + "llama (SentencePiece BPE)."
    case .unsupportedPreTokenizer(let name):
      "The pre-tokenizer '\(name)' is not supported; supported are "
        + PreTokenizer.names.joined(separator: ", ") + "."
    case .missing(let field):
      "The model file has no \(field), which this kind of tokenizer needs."
    case .countMismatch(let field, let found, let expected):
      "\(field) has \(found) entries, but the vocabulary has \(expected) tokens."
    case .tokenOutOfRange(let field, let token, let count):
      "\(field) is \(token), but the vocabulary has \(count) tokens."
    case .invalidMerge(let index):
      "tokenizer.ggml.merges[\(index)] is not two parts with a space between them."
    }
  }
}
