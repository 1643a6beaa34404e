/// Settings of AdaDec (`--decode adadec`).
public struct AdaDecOptions: Sendable, Equatable {
  /// Entropy in nats from which decoding pauses: infinity for greedy decoding; nil for what was
  /// learnt for the model (`AdaDecThreshold.known`).
  public var pauseEntropy: Double?
  /// Path of a threshold that `foretoken train adadec-threshold` learnt for the model, used where
  /// `pauseEntropy` is nil.
  public var thresholdFile: String?
  /// Candidates that a pause compares, 1 to 32.
  public var candidates: Int
  /// Tokens that a pause looks ahead behind each candidate, 0 to 32.
  public var lookahead: Int
  /// Whether what was looked ahead behind the chosen candidate is used where decoding does not pause.
  /// Changes the number of passes, never the text.
  public var reusesLookahead: Bool

  /// The paper's settings.
  public init(
    pauseEntropy: Double? = nil, thresholdFile: String? = nil, candidates: Int = 3,
    lookahead: Int = 5, reusesLookahead: Bool = true
  ) {
    self.pauseEntropy = pauseEntropy
    self.thresholdFile = thresholdFile
    self.candidates = candidates
    self.lookahead = lookahead
    self.reusesLookahead = reusesLookahead
  }

  /// Throws `GenerationError.invalidOption` for the first setting that is out of range.
  func validate() throws {
    if let pauseEntropy {
      try SearchOptions.check(
        "pause entropy", pauseEntropy, 0...Double.infinity, "0 or more nats, inf for no pauses")
    }
    try SearchOptions.check("number of candidates", candidates, 1...32, "1 to 32")
    try SearchOptions.check("lookahead", lookahead, 0...32, "0 to 32 tokens")
  }
}
