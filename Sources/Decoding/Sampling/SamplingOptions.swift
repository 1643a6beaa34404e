import Foundation

/// How the next token is chosen from the model's logits.
///
/// The defaults are plain greedy decoding: deterministic, the likeliest token each time. Giving a
/// temperature turns on sampling. Every setting at its default leaves the logits as they are.
///
/// The processors run in this order, which is llama.cpp's default sampler order: logit bias,
/// penalties (repetition, then frequency and presence), top-k, typical, top-p, min-p, temperature.
public struct SamplingOptions: Sendable, Equatable, Codable {
  /// Divides the logits before sampling, 0 or more. 0 takes the likeliest remaining token.
  public var temperature: Double
  /// Keeps the `topK` likeliest tokens; 0 keeps all.
  public var topK: Int
  /// Keeps the smallest set of likeliest tokens whose probability is at least `topP`, in 0...1
  /// (Holtzman et al., arXiv 1904.09751). 1 keeps all.
  public var topP: Double
  /// Keeps the tokens at least `minP` times as probable as the likeliest, in 0...1
  /// (Nguyen et al., arXiv 2407.01082). 0 keeps all.
  public var minP: Double
  /// Keeps the tokens whose surprise is nearest to the entropy, up to probability `typicalP`, in
  /// 0...1 (Meister et al., arXiv 2202.00666). 1 keeps all.
  public var typicalP: Double
  /// Divides positive and multiplies negative logits of tokens seen in the window, above 0
  /// (Keskar et al., arXiv 1909.05858). 1 changes nothing.
  public var repetitionPenalty: Double
  /// Subtracted from the logits of tokens seen in the window.
  public var presencePenalty: Double
  /// Subtracted from the logits of tokens once for each time they were seen in the window.
  public var frequencyPenalty: Double
  /// Number of latest tokens, prompt included, that the penalties look at; nil for all of them.
  public var penaltyWindow: Int?
  /// Added to the logits of single tokens; minus infinity bans a token.
  public var logitBias: [Int32: Float]
  /// Key of the noise. nil draws a seed, which the summary of the generation reports.
  public var seed: UInt64?

  /// Greedy decoding unless a temperature is given.
  public init(
    temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0,
    typicalP: Double = 1, repetitionPenalty: Double = 1, presencePenalty: Double = 0,
    frequencyPenalty: Double = 0, penaltyWindow: Int? = 64, logitBias: [Int32: Float] = [:],
    seed: UInt64? = nil
  ) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.typicalP = typicalP
    self.repetitionPenalty = repetitionPenalty
    self.presencePenalty = presencePenalty
    self.frequencyPenalty = frequencyPenalty
    self.penaltyWindow = penaltyWindow
    self.logitBias = logitBias
    self.seed = seed
  }

  /// The likeliest token each time.
  public static let greedy = SamplingOptions()

  /// True if the choice does not depend on the seed.
  public var isGreedy: Bool { temperature == 0 }

  /// True if the history changes the logits.
  var hasPenalties: Bool {
    repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0
  }

  /// Throws `SamplingError.invalidOption` for the first setting that is out of range.
  /// - Parameter vocabularyCount: number of tokens of the model.
  public func validate(vocabularyCount: Int) throws {
    try check("temperature", temperature, 0...Double.greatestFiniteMagnitude, "0 or more")
    try check("top-k", Double(topK), 0...Double(Int32.max), "0 (off) or more")
    try check("top-p", topP, 0...1, "a number from 0 to 1")
    try check("min-p", minP, 0...1, "a number from 0 to 1")
    try check("typical-p", typicalP, 0...1, "a number from 0 to 1")
    try check(
      "repetition penalty", repetitionPenalty, Double.leastNormalMagnitude...1e6,
      "a number above 0, usually from 1 to 1.5")
    let finite = -Double(Float.greatestFiniteMagnitude)...Double(Float.greatestFiniteMagnitude)
    try check("presence penalty", presencePenalty, finite, "a finite number, usually -2 to 2")
    try check("frequency penalty", frequencyPenalty, finite, "a finite number, usually -2 to 2")
    if let penaltyWindow {
      try check("penalty window", Double(penaltyWindow), 0...Double(Int.max), "0 or more tokens")
    }
    for (token, bias) in logitBias.sorted(by: { $0.key < $1.key }) {
      guard token >= 0, Int(token) < vocabularyCount else {
        throw SamplingError.invalidOption(
          name: "logit bias", value: "token \(token)",
          expected: "a token id below \(vocabularyCount)")
      }
      guard bias.isFinite || bias == -.infinity else {
        throw SamplingError.invalidOption(
          name: "logit bias of token \(token)", value: "\(bias)",
          expected: "a finite number, or minus infinity to ban the token")
      }
    }
  }

  private func check(
    _ name: String, _ value: Double, _ range: ClosedRange<Double>, _ expected: String
  ) throws {
    guard range.contains(value) else {
      let text = value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
      throw SamplingError.invalidOption(name: name, value: text, expected: expected)
    }
  }
}

/// Why no token could be chosen.
public enum SamplingError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// A setting is out of range.
  case invalidOption(name: String, value: String, expected: String)
  /// The model gave a logit that is not a number.
  case notANumber(token: Int, position: Int)
  /// Every token is banned, or has a logit of minus infinity.
  case noCandidates(position: Int)
  /// The logits have another length than the vocabulary.
  case wrongLogitCount(found: Int, expected: Int)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .invalidOption(let name, let value, let expected):
      "\(name) is \(value), expected \(expected)"
    case .notANumber(let token, let position):
      "the model's logit of token \(token) at position \(position) is not a number: the weights "
        + "are damaged or of a type this engine computes wrongly; check the file with "
        + "`foretoken inspect`"
    case .noCandidates(let position):
      "no token is left to choose from at position \(position): every logit is minus infinity; "
        + "check the logit bias"
    case .wrongLogitCount(let found, let expected):
      "found \(found) logits, expected one for each of the \(expected) tokens"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
