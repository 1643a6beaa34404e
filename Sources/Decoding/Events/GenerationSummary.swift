/// Why a generation ended.
public enum FinishReason: Sendable, Equatable {
  /// A token that ends the text, or one of the stop tokens asked for. It is not part of the output.
  case stopToken(Int32)
  /// One of the stop strings. It is not part of the text.
  case stopString(String)
  /// The number of tokens asked for is reached.
  case length
  /// The context has no room for another token.
  case contextFull(limit: Int)
  /// The caller cancelled.
  case cancelled
  /// The generation failed; the stream throws the error after this event.
  case error(String)

  /// The word for machines: `stop`, `length`, `cancelled` or `error`.
  public var name: String {
    switch self {
    case .stopToken, .stopString: "stop"
    case .length, .contextFull: "length"
    case .cancelled: "cancelled"
    case .error: "error"
    }
  }

  /// What a person should know beyond the name; nil if there is nothing.
  public var note: String? {
    switch self {
    case .contextFull(let limit):
      "the context of \(limit) tokens is full; give a larger context to go on"
    case .error(let message): message
    default: nil
    }
  }
}

extension FinishReason: Codable {
  private enum CodingKeys: String, CodingKey { case kind, token, text, limit }
  private enum Kind: String, Codable {
    case stopToken = "stop_token"
    case stopString = "stop_string"
    case contextFull = "context_full"
    case length, cancelled, error
  }

  /// Reads the JSON form.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    switch try container.decode(Kind.self, forKey: .kind) {
    case .stopToken: self = .stopToken(try container.decode(Int32.self, forKey: .token))
    case .stopString: self = .stopString(try container.decode(String.self, forKey: .text))
    case .contextFull: self = .contextFull(limit: try container.decode(Int.self, forKey: .limit))
    case .length: self = .length
    case .cancelled: self = .cancelled
    case .error: self = .error(try container.decode(String.self, forKey: .text))
    }
  }

  /// Writes the JSON form: an object whose `kind` says which reason it is.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .stopToken(let token):
      try container.encode(Kind.stopToken, forKey: .kind)
      try container.encode(token, forKey: .token)
    case .stopString(let text):
      try container.encode(Kind.stopString, forKey: .kind)
      try container.encode(text, forKey: .text)
    case .contextFull(let limit):
      try container.encode(Kind.contextFull, forKey: .kind)
      try container.encode(limit, forKey: .limit)
    case .length: try container.encode(Kind.length, forKey: .kind)
    case .cancelled: try container.encode(Kind.cancelled, forKey: .kind)
    case .error(let message):
      try container.encode(Kind.error, forKey: .kind)
      try container.encode(message, forKey: .text)
    }
  }
}

/// Figures of a whole generation.
public struct GenerationSummary: Sendable, Equatable, Codable {
  /// Why it ended.
  public var finishReason: FinishReason
  /// Tokens of the prompt.
  public var promptTokens: Int
  /// Tokens of the prompt that the cache already held.
  public var reusedTokens: Int
  /// Tokens that were generated; a stop token is not counted.
  public var generatedTokens: Int
  /// Forward passes of the target, the prompt's included.
  public var forwards: Int
  /// Rows (tokens or tree nodes) over all forward passes.
  public var forwardRows: Int
  /// Nodes that were drafted.
  public var draftedTokens: Int
  /// Drafted nodes that were accepted.
  public var acceptedTokens: Int
  /// Time from the start to the first token's logits, in milliseconds.
  public var prefillMilliseconds: Double
  /// Time after that, in milliseconds.
  public var decodeMilliseconds: Double
  /// Name of the method that decoded.
  public var method: String
  /// What the method promises.
  public var guarantee: MethodGuarantee
  /// The key of the noise, whether given or drawn. The same seed gives the same tokens again.
  public var seed: UInt64
  /// What went wrong without ending the generation.
  public var warnings: [GenerationWarning] = []
  /// What a method that compares several texts found, best first; nil for the other methods.
  public var candidates: [GenerationCandidate]?
  /// The method's own figures by name, as its guide lists them; nil where there are none.
  public var figures: [String: Double]?

  /// Prompt tokens run per second, those of the cache not counted; 0 if the time is too short.
  public var prefillTokensPerSecond: Double {
    Self.rate(promptTokens - reusedTokens, milliseconds: prefillMilliseconds)
  }

  /// Generated tokens per second, without the first, which the prompt's pass gives.
  public var decodeTokensPerSecond: Double {
    Self.rate(generatedTokens - 1, milliseconds: decodeMilliseconds)
  }

  private static func rate(_ tokens: Int, milliseconds: Double) -> Double {
    milliseconds > 0 && tokens > 0 ? Double(tokens) * 1000 / milliseconds : 0
  }

  private enum CodingKeys: String, CodingKey {
    case finishReason = "finish_reason"
    case promptTokens = "prompt_tokens"
    case reusedTokens = "reused_tokens"
    case generatedTokens = "generated_tokens"
    case forwards
    case forwardRows = "forward_rows"
    case draftedTokens = "drafted_tokens"
    case acceptedTokens = "accepted_tokens"
    case prefillMilliseconds = "prefill_ms"
    case decodeMilliseconds = "decode_ms"
    case method, guarantee, seed, warnings, candidates, figures
  }
}
