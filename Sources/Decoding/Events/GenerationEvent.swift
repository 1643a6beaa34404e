/// What a generation reports while it runs. Every generator yields one stream of these.
///
/// As JSON an event is an object whose `type` says which it is; the other keys are those of the
/// event's own value.
public enum GenerationEvent: Sendable, Equatable {
  /// A part of the prompt was run.
  case prompt(PromptProgress)
  /// A step of decoding is done: what was drafted, what was accepted, what it cost.
  case step(StepTrace)
  /// Text that is final.
  case text(TextPiece)
  /// Something went wrong that does not end the generation, and does not change its text.
  case warning(GenerationWarning)
  /// The generation is over. Always the last event.
  case finish(GenerationSummary)
}

extension GenerationEvent: Codable {
  private enum TypeKey: String, CodingKey { case type }
  private enum Kind: String, Codable { case prompt, step, text, warning, finish }

  /// Reads the JSON form.
  public init(from decoder: any Decoder) throws {
    switch try decoder.container(keyedBy: TypeKey.self).decode(Kind.self, forKey: .type) {
    case .prompt: self = .prompt(try PromptProgress(from: decoder))
    case .step: self = .step(try StepTrace(from: decoder))
    case .text: self = .text(try TextPiece(from: decoder))
    case .warning: self = .warning(try GenerationWarning(from: decoder))
    case .finish: self = .finish(try GenerationSummary(from: decoder))
    }
  }

  /// Writes the JSON form.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: TypeKey.self)
    switch self {
    case .prompt(let value):
      try container.encode(Kind.prompt, forKey: .type)
      try value.encode(to: encoder)
    case .step(let value):
      try container.encode(Kind.step, forKey: .type)
      try value.encode(to: encoder)
    case .text(let value):
      try container.encode(Kind.text, forKey: .type)
      try value.encode(to: encoder)
    case .warning(let value):
      try container.encode(Kind.warning, forKey: .type)
      try value.encode(to: encoder)
    case .finish(let value):
      try container.encode(Kind.finish, forKey: .type)
      try value.encode(to: encoder)
    }
  }
}

/// How far the prompt has been run.
public struct PromptProgress: Sendable, Equatable, Codable {
  /// Tokens of the prompt that are in the cache, reused ones included.
  public let processed: Int
  /// Tokens of the prompt.
  public let total: Int
  /// Tokens that were in the cache already, from the turn before.
  public let reused: Int

  /// The progress after `processed` of `total` tokens.
  public init(processed: Int, total: Int, reused: Int) {
    self.processed = processed
    self.total = total
    self.reused = reused
  }
}

/// A piece of final text and the tokens that it ends with.
///
/// Text is held back while it could be the beginning of a stop string or of a character, so a
/// piece may stand for several tokens, and now and then for none.
public struct TextPiece: Sendable, Equatable, Codable {
  /// Valid UTF-8, possibly empty.
  public let text: String
  /// Ids of the tokens since the piece before.
  public let tokens: [Int32]
  /// One entry per token, if log-probabilities were asked for.
  public let logProbabilities: [TokenLogProbabilities]?

  /// A piece of text.
  public init(text: String, tokens: [Int32], logProbabilities: [TokenLogProbabilities]?) {
    self.text = text
    self.tokens = tokens
    self.logProbabilities = logProbabilities
  }

  private enum CodingKeys: String, CodingKey {
    case text, tokens
    case logProbabilities = "logprobs"
  }
}
