/// One of several texts that a search compared.
public struct GenerationCandidate: Sendable, Equatable, Codable {
  /// The text, without stop strings.
  public var text: String
  /// Ids of its tokens; a token that ended it is not among them.
  public var tokens: [Int32]
  /// What the candidates are ordered by; the method's guide says how it is computed.
  public var score: Double
  /// Natural logarithm of the text's probability under the model, the token that ended it included.
  public var logProbability: Double
  /// Why it ended.
  public var finishReason: FinishReason
  /// Number of the group of beams that found it, from 0; nil where there are no groups.
  public var group: Int?
  /// Where the text stands in the passage, in Unicode scalars; nil where there is no passage.
  public var passageRange: Range<Int>?

  /// A candidate.
  public init(
    text: String, tokens: [Int32], score: Double, logProbability: Double,
    finishReason: FinishReason, group: Int? = nil, passageRange: Range<Int>? = nil
  ) {
    self.text = text
    self.tokens = tokens
    self.score = score
    self.logProbability = logProbability
    self.finishReason = finishReason
    self.group = group
    self.passageRange = passageRange
  }

  private enum CodingKeys: String, CodingKey {
    case text, tokens, score, group
    case logProbability = "logprob"
    case finishReason = "finish_reason"
    case passageRange = "passage_range"
  }
}
