/// Turns text into the tokens of a model and back.
///
/// Immutable after loading, so one instance serves any number of tasks. Encoding takes time linear
/// in the text (words of *n* symbols: *n* log *n*), decoding takes a copy per token.
///
/// ```swift
/// let tokenizer = try Tokenizer(definition)
/// let tokens = tokenizer.encode("Hello, World!", addSpecial: true, parseSpecial: false)
/// let text = tokenizer.decode(tokens)
/// ```
public final class Tokenizer: Sendable {
  private enum Algorithm: Sendable {
    case byteLevel(ByteLevelBPE)
    case sentencePiece(SentencePieceBPE)
  }

  /// The token put before text, if the model has one.
  public let bosToken: Int32?
  /// The token that ends text, if the model has one.
  public let eosToken: Int32?
  /// The token for what cannot be expressed, if the model has one.
  public let unknownToken: Int32?
  /// The token that fills batches, if the model has one.
  public let paddingToken: Int32?
  /// Whether `encode` with `addSpecial` starts with `bosToken`.
  public let addsBOS: Bool
  /// Whether `encode` with `addSpecial` ends with `eosToken`.
  public let addsEOS: Bool
  /// Whether a space is put before text, and taken away again when decoding (SentencePiece).
  public let addsSpacePrefix: Bool
  /// The Jinja source of the model's chat template, if it has one.
  public let chatTemplate: String?
  /// Every token that ends a generation, in ascending order.
  public let endOfGenerationTokens: [Int32]

  private let algorithm: Algorithm
  /// The text of each token: raw bytes for byte-level BPE, with `▁` for spaces for SentencePiece.
  private let texts: StringTable
  private let kinds: [TokenKind]
  private let index: TokenIndex
  private let specials: SpecialTokenMatcher

  /// Builds the tables for `definition`.
  ///
  /// - Throws: `TokenizerError` for an unknown family or pre-tokenizer, missing parts, and arrays
  ///   or ids that do not fit the vocabulary.
  public init(_ definition: TokenizerDefinition) throws {
    try Self.checkTokenIDs(definition)
    let isSentencePiece = try Self.isSentencePiece(definition)
    var kinds = try Self.kinds(definition)
    let texts =
      isSentencePiece ? definition.tokens : try Self.rawTexts(definition.tokens, kinds)
    let index = TokenIndex(texts) { Self.isText(kinds[$0]) }
    let wellKnownEnds = Self.endTexts.compactMap { Self.find($0, index) }
    // Files exist that mark the end of a turn as ordinary text; a user could then write one.
    for token in wellKnownEnds { kinds[Int(token)] = .control }
    let isText: (Int32) -> Bool = { [kinds] in Self.isText(kinds[Int($0)]) }
    algorithm =
      isSentencePiece
      ? .sentencePiece(try SentencePieceBPE(definition, index: index, isText: isText))
      : .byteLevel(try ByteLevelBPE(definition, index: index, isText: isText))
    specials = Self.specials(texts, kinds)
    self.texts = texts
    self.kinds = kinds
    self.index = index
    let namedEnds = [definition.eosToken, definition.eotToken, definition.eomToken]
    endOfGenerationTokens = Set(wellKnownEnds + namedEnds.compactMap(\.self)).sorted()
    bosToken = definition.bosToken
    eosToken = definition.eosToken
    unknownToken = definition.unknownToken
    paddingToken = definition.paddingToken
    let addsBOSByDefault =
      isSentencePiece || ["llama-bpe", "llama3", "llama-v3"].contains(definition.preTokenizer)
    addsBOS = definition.bosToken != nil && definition.addsBOS ?? addsBOSByDefault
    addsEOS = definition.eosToken != nil && definition.addsEOS ?? false
    addsSpacePrefix = isSentencePiece && definition.addsSpacePrefix ?? true
    chatTemplate = definition.chatTemplate
  }

  /// How many tokens there are.
  public var vocabularyCount: Int { kinds.count }
}

// MARK: - Encoding

extension Tokenizer {
  /// The tokens of `text`.
  ///
  /// - Parameters:
  ///   - addSpecial: Put BOS and EOS around the text where the model asks for them.
  ///   - parseSpecial: Take the text of control tokens, such as `<|im_end|>`, as those tokens. Leave
  ///     it off for text from outside. User-defined tokens are found either way.
  public func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
    encode(Array(text.utf8), addSpecial: addSpecial, parseSpecial: parseSpecial)
  }

  /// The tokens of `bytes`, which should be UTF-8 but need not be.
  public func encode(_ bytes: [UInt8], addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
    encodingSession(bytes, addSpecial: addSpecial, parseSpecial: parseSpecial).output
  }

  /// Encodes, and keeps what the work was counted by.
  func encodingSession(
    _ bytes: [UInt8], addSpecial: Bool, parseSpecial: Bool
  ) -> EncodingSession {
    var session: EncodingSession
    switch algorithm {
    case .byteLevel: session = EncodingSession(text: bytes, length: bytes.count)
    case .sentencePiece: session = EncodingSession(text: [], length: bytes.count)
    }
    if addSpecial, addsBOS, let bosToken { session.output.append(bosToken) }
    var position = 0
    for match in specials.matches(in: bytes, scope: parseSpecial ? .all : .userDefined) {
      appendText(bytes, position..<match.range.lowerBound, to: &session)
      session.output.append(match.token)
      position = match.range.upperBound
    }
    appendText(bytes, position..<bytes.count, to: &session)
    if addSpecial, addsEOS, let eosToken { session.output.append(eosToken) }
    return session
  }

  /// Encodes one stretch between special tokens.
  private func appendText(_ bytes: [UInt8], _ range: Range<Int>, to session: inout EncodingSession)
  {
    if range.isEmpty { return }
    switch algorithm {
    case .byteLevel(let bpe):
      bpe.encode(range, session: &session)
    case .sentencePiece(let bpe):
      let start = session.text.count
      if addsSpacePrefix { session.text.append(contentsOf: SentencePieceBPE.space) }
      SentencePieceBPE.escape(bytes, range, into: &session.text)
      bpe.encode(start..<session.text.count, session: &session)
    }
  }

  /// The token with exactly this text, special tokens included. In SentencePiece vocabularies a
  /// space is written `▁`.
  public func token(forText text: String) -> Int32? { Self.find(text, index) }
}

// MARK: - Decoding

extension Tokenizer {
  /// The text of `tokens`; bytes that are not UTF-8 become U+FFFD.
  ///
  /// - Parameters:
  ///   - rendersSpecial: Write control tokens as their text instead of leaving them out.
  ///   - isStartOfText: Whether the first token begins a text, so that the space SentencePiece put
  ///     before it is taken away. Off for the continuation of a prompt.
  public func decode(
    _ tokens: some Sequence<Int32>, rendersSpecial: Bool = false, isStartOfText: Bool = true
  ) -> String {
    String(
      decoding: decodeBytes(
        tokens, rendersSpecial: rendersSpecial, isStartOfText: isStartOfText),
      as: UTF8.self)
  }

  /// The bytes of `tokens`, exactly as the vocabulary has them.
  public func decodeBytes(
    _ tokens: some Sequence<Int32>, rendersSpecial: Bool = false, isStartOfText: Bool = true
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    var stripsSpace = isStartOfText && addsSpacePrefix
    for token in tokens {
      let start = bytes.count
      appendBytes(of: token, rendersSpecial: rendersSpecial, to: &bytes)
      if stripsSpace, bytes.count > start, !isControl(token) {
        if bytes[start] == UInt8(ascii: " ") { bytes.remove(at: start) }
        stripsSpace = false
      }
    }
    return bytes
  }

  /// The bytes `token` stands for in text; a control token's own text; nothing for an id outside
  /// the vocabulary.
  public func bytes(of token: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    appendBytes(of: token, rendersSpecial: true, to: &bytes)
    return bytes
  }

  /// Appends the bytes of `token`, without allocating if `bytes` has room.
  func appendBytes(of token: Int32, rendersSpecial: Bool, to bytes: inout [UInt8]) {
    guard let kind = kind(of: token) else { return }
    let range = texts.range(of: Int(token))
    switch (kind, algorithm) {
    case (.control, _), (.unknown, _):
      if rendersSpecial { bytes.append(contentsOf: texts.bytes[range]) }
    case (.byte, .sentencePiece):
      appendByteToken(range, to: &bytes)
    case (.normal, .sentencePiece), (.unused, .sentencePiece):
      appendUnescaped(range, to: &bytes)
    default:
      bytes.append(contentsOf: texts.bytes[range])
    }
  }

  /// `<0x0A>` stands for the byte 10.
  private func appendByteToken(_ range: Range<Int>, to bytes: inout [UInt8]) {
    guard range.count == 6, let high = hexDigit(range.lowerBound + 3),
      let low = hexDigit(range.lowerBound + 4)
    else {
      bytes.append(contentsOf: texts.bytes[range])
      return
    }
    bytes.append(high << 4 | low)
  }

  private func hexDigit(_ position: Int) -> UInt8? {
    let byte = texts.bytes[position]
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): return byte - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
    default: return nil
    }
  }

  private func appendUnescaped(_ range: Range<Int>, to bytes: inout [UInt8]) {
    var position = range.lowerBound
    while position < range.upperBound {
      if position + 3 <= range.upperBound,
        texts.bytes[position..<position + 3].elementsEqual(SentencePieceBPE.space)
      {
        bytes.append(UInt8(ascii: " "))
        position += 3
      } else {
        bytes.append(texts.bytes[position])
        position += 1
      }
    }
  }
}

// MARK: - Properties of tokens

extension Tokenizer {
  /// The kind of `token`, `nil` outside the vocabulary.
  public func kind(of token: Int32) -> TokenKind? {
    token >= 0 && Int(token) < kinds.count ? kinds[Int(token)] : nil
  }

  /// Whether `token` is structure rather than text.
  public func isControl(_ token: Int32) -> Bool {
    switch kind(of: token) {
    case .control, .unknown: true
    default: false
    }
  }

  /// Whether a generation stops at `token`: EOS, the end of a turn or message, and the well-known
  /// tokens of that meaning.
  public func isEndOfGeneration(_ token: Int32) -> Bool {
    endOfGenerationTokens.contains(token)
  }
}

// MARK: - Loading

extension Tokenizer {
  private static func isSentencePiece(_ definition: TokenizerDefinition) throws -> Bool {
    switch definition.model {
    case "gpt2": false
    case "llama": true
    case let other: throw TokenizerError.unsupportedModel(other)
    }
  }

  private static func checkTokenIDs(_ definition: TokenizerDefinition) throws {
    let ids = [
      ("bos", definition.bosToken), ("eos", definition.eosToken), ("eot", definition.eotToken),
      ("eom", definition.eomToken), ("unknown", definition.unknownToken),
      ("padding", definition.paddingToken),
    ]
    for case (let name, let token?) in ids where token < 0 || token >= definition.tokens.count {
      throw TokenizerError.tokenOutOfRange(
        field: "tokenizer.ggml.\(name)_token_id", token: token,
        vocabularyCount: definition.tokens.count)
    }
  }

  private static func kinds(_ definition: TokenizerDefinition) throws -> [TokenKind] {
    let count = definition.tokens.count
    if definition.tokenTypes.isEmpty { return [TokenKind](repeating: .normal, count: count) }
    guard definition.tokenTypes.count == count else {
      throw TokenizerError.countMismatch(
        field: "tokenizer.ggml.token_type", found: definition.tokenTypes.count, expected: count)
    }
    return definition.tokenTypes.map { type in
      UInt8(exactly: type).flatMap(TokenKind.init(rawValue:)) ?? .normal
    }
  }

  /// Writes the ordinary tokens of a byte-level vocabulary as raw bytes.
  private static func rawTexts(_ tokens: StringTable, _ kinds: [TokenKind]) throws -> StringTable {
    var builder = StringTable.Builder(strings: tokens.count, bytes: tokens.bytes.count)
    for token in 0..<tokens.count {
      let range = tokens.range(of: token)
      switch kinds[token] {
      case .control, .unknown, .userDefined:
        builder.append(contentsOf: tokens.bytes[range])
      default:
        ByteAlphabet.decode(tokens.bytes, range) { builder.append($0) }
      }
      try builder.endString()
    }
    return builder.finish()
  }

  /// Whether plain text can become a token of this kind.
  private static func isText(_ kind: TokenKind) -> Bool {
    switch kind {
    case .normal, .unused, .userDefined: true
    case .control, .unknown, .byte: false
    }
  }

  /// The texts that end a turn, message or document in the vocabularies of common models.
  private static let endTexts = [
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>",
    "<end_of_turn>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>", "<|return|>", "<|call|>",
    "<|eos|>", "<EOT>", "<｜end▁of▁sentence｜>",
  ]

  private static func find(_ text: String, _ index: TokenIndex) -> Int32? {
    let bytes = Array(text.utf8)
    let token = index.find(bytes, 0..<bytes.count)
    return token >= 0 ? token : nil
  }

  private static func specials(_ texts: StringTable, _ kinds: [TokenKind]) -> SpecialTokenMatcher {
    var tokens: [(token: Int32, isUserDefined: Bool)] = []
    for (token, kind) in kinds.enumerated() {
      switch kind {
      case .userDefined: tokens.append((Int32(truncatingIfNeeded: token), true))
      case .control, .unknown: tokens.append((Int32(truncatingIfNeeded: token), false))
      default: break
      }
    }
    return SpecialTokenMatcher(texts, tokens: tokens)
  }
}
