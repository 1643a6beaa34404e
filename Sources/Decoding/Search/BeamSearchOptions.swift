import Transformers

/// Settings of `--decode beam` and `--decode diverse-beam`.
public struct BeamSearchOptions: Sendable, Equatable {
  /// When a group of beams has searched enough.
  public enum Stopping: String, Sendable, Codable, CaseIterable {
    /// As soon as it has as many finished texts as beams.
    case early
    /// When, besides, no live beam scores better as it is than the worst of them.
    case heuristic
    /// When, besides, no continuation of a live beam can score better.
    case exhaustive
  }

  /// What is counted against a token that earlier groups have used.
  public enum Diversity: String, Sendable, Codable, CaseIterable {
    /// Each beam of an earlier group that takes the token in the same step.
    case hamming
    /// Each time that the n-gram which the token ends stands in a beam of an earlier group.
    case ngram
  }

  /// Sequences that are followed at the same time, 1 to `mostBeams`.
  public var beams: Int
  /// Groups of equal size that the beams form; nil for as many as beams. `diverse-beam` only.
  public var groups: Int?
  /// Nats taken off a token's log-probability for each earlier use, 0 or more. `diverse-beam` only.
  public var diversity: Double
  /// What counts as a use.
  public var diversityKind: Diversity
  /// Tokens of an n-gram, 1 to 16, for `Diversity.ngram`.
  public var diversityLength: Int
  /// A finished text's score is its log-probability divided by its length to this power, -2 to 2:
  /// 0 for the sum, 1 for the mean.
  public var lengthPenalty: Double
  /// When the search ends.
  public var stopping: Stopping
  /// True to order finished texts by the sums that the search went by, with what diversity took off;
  /// false for the model's own log-probability.
  public var ranksByPenalizedScore: Bool

  /// Four beams, texts ordered by their mean log-probability.
  public init(
    beams: Int = 4, groups: Int? = nil, diversity: Double = 0.5,
    diversityKind: Diversity = .hamming, diversityLength: Int = 2, lengthPenalty: Double = 1,
    stopping: Stopping = .heuristic, ranksByPenalizedScore: Bool = false
  ) {
    self.beams = beams
    self.groups = groups
    self.diversity = diversity
    self.diversityKind = diversityKind
    self.diversityLength = diversityLength
    self.lengthPenalty = lengthPenalty
    self.stopping = stopping
    self.ranksByPenalizedScore = ranksByPenalizedScore
  }

  /// Most beams: all are rows of one forward pass.
  public static let mostBeams = ForwardEngine.maximumRows

  func validate(results: Int) throws {
    try SearchOptions.check("beams", beams, 1...Self.mostBeams, "1 to \(Self.mostBeams)")
    try SearchOptions.check("results", results, 1...beams, "1 to the \(beams) beams")
    try SearchOptions.check("length penalty", lengthPenalty, -2...2, "a number from -2 to 2")
  }

  func validateDiversity() throws {
    if let groups, groups < 1 || !beams.isMultiple(of: groups) {
      throw GenerationError.invalidOption(
        name: "beam groups", value: "\(groups)", expected: "a divisor of the \(beams) beams")
    }
    let most = Double(Float.greatestFiniteMagnitude)
    try SearchOptions.check("diversity", diversity, 0...most, "0 or more, usually 0.2 to 0.8")
    try SearchOptions.check("diversity n-gram", diversityLength, 1...16, "1 to 16 tokens")
  }
}
