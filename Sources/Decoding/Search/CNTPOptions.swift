/// Settings of Cautious Next Token Prediction (`--decode cautious`).
public struct CNTPOptions: Sendable, Equatable {
  /// How the number of trials follows from the entropy.
  public enum TrialRule: String, Sendable, Codable, CaseIterable {
    /// The paper's Algorithm 1: N = max(1, min(N_max, ⌊r · N_max⌋)), r the place of the entropy
    /// between the two thresholds.
    case paper
    /// The authors' program: N = ⌊1 + (N_max - 1) · r⌋ with r in 0...1.
    case code
  }

  /// What trials are compared by.
  public enum Score: String, Sendable, Codable, CaseIterable {
    /// The probabilities that tokens are drawn with, after temperature and truncation.
    case warped
    /// The model's own, of raw logits at temperature 1.
    case raw
  }

  /// Entropy in nats up to which a single token is drawn, 0 or more; infinity for plain sampling.
  public var lowEntropy: Double
  /// Entropy in nats from which there are `trials` trials, above `lowEntropy`.
  public var highEntropy: Double
  /// Most trials, 1 to 64.
  public var trials: Int
  /// Most tokens of a trial that meets no punctuation mark, 1 to 512.
  public var trialLength: Int
  /// Tokens that a trial has at least before a punctuation mark ends it, 1 to 512.
  public var leastTrialLength: Int
  /// How the number of trials follows from the entropy.
  public var rule: TrialRule
  /// What trials are compared by.
  public var score: Score

  /// The paper's settings; the length of a trial is limited here.
  public init(
    lowEntropy: Double = 0.01, highEntropy: Double = 1.5, trials: Int = 10, trialLength: Int = 64,
    leastTrialLength: Int = 1, rule: TrialRule = .paper, score: Score = .warped
  ) {
    self.lowEntropy = lowEntropy
    self.highEntropy = highEntropy
    self.trials = trials
    self.trialLength = trialLength
    self.leastTrialLength = leastTrialLength
    self.rule = rule
    self.score = score
  }

  /// Throws `GenerationError.invalidOption` for the first setting that is out of range.
  func validate() throws {
    try SearchOptions.check(
      "low trial entropy", lowEntropy, 0...Double.infinity, "0 or more nats, inf for no trials")
    guard highEntropy > lowEntropy || lowEntropy == .infinity else {
      throw GenerationError.invalidOption(
        name: "high trial entropy", value: "\(highEntropy)",
        expected: "more nats than the low one's \(lowEntropy)")
    }
    try SearchOptions.check("number of trials", trials, 1...64, "1 to 64")
    try SearchOptions.check("trial length", trialLength, 1...512, "1 to 512 tokens")
    try SearchOptions.check(
      "least trial length", leastTrialLength, 1...trialLength, "1 to the trial length")
  }

  /// Number of trials at an entropy in nats.
  func trialCount(entropy: Double) -> Int {
    guard entropy > lowEntropy else { return 1 }
    // An infinite upper threshold is never come nearer to.
    let place = highEntropy == .infinity ? 0 : (entropy - lowEntropy) / (highEntropy - lowEntropy)
    let share = min(max(place, 0), 1)
    switch rule {
    case .paper: return min(max(Int(share * Double(trials)), 1), trials)
    case .code: return Int(1 + Double(trials - 1) * share)
    }
  }
}
