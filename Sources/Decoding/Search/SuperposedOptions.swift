/// Settings of Superposed Decoding (`--decode superposed`).
public struct SuperposedOptions: Sendable, Equatable {
  /// Drafts that are kept, 1 to 32.
  public var drafts: Int
  /// Most tokens of a draft, 1 to 1000. The paper's drafts have ten: what is fed to the model stands
  /// less and less for each of them.
  public var length: Int
  /// Divides the logits, from 0.001 on.
  public var temperature: Double
  /// Likeliest tokens that drafts may go on with, at least `drafts`; nil for three times as many.
  public var kept: Int?
  /// Path of the n-gram model that filters the drafts (`foretoken train ngrams`); nil for none.
  public var ngrams: String?
  /// Weight of the n-grams in the geometric mean with the model, 0 to 1.
  public var ngramWeight: Double
  /// Weights of the runs of two to six tokens, each 0 or more, 1 in sum at most.
  public var orderWeights: [Double]
  /// Taken from the score of a draft that the n-grams know no continuation of, 0 or more nats.
  public var penalty: Double
  /// After so many tokens one draft is drawn by the drafts' weights, the others are dropped, and the
  /// model reads the real tokens; nil to go on with the superposition.
  public var resetEvery: Int?

  /// The paper's settings for three drafts.
  public init(
    drafts: Int = 3, length: Int = 10, temperature: Double = 0.06, kept: Int? = nil,
    ngrams: String? = nil, ngramWeight: Double = 0.54,
    orderWeights: [Double] = [0.01, 0.04, 0.15, 0.18, 0.12], penalty: Double = 200,
    resetEvery: Int? = nil
  ) {
    self.drafts = drafts
    self.length = length
    self.temperature = temperature
    self.kept = kept
    self.ngrams = ngrams
    self.ngramWeight = ngramWeight
    self.orderWeights = orderWeights
    self.penalty = penalty
    self.resetEvery = resetEvery
  }

  /// Likeliest tokens that drafts may go on with.
  var keptCount: Int { kept ?? 3 * drafts }

  /// Throws `GenerationError.invalidOption` for the first setting that is out of range.
  func validate() throws {
    try SearchOptions.check("number of drafts", drafts, 1...32, "1 to 32")
    try SearchOptions.check("draft length", length, 1...1000, "1 to 1000 tokens")
    try SearchOptions.check(
      "superposition temperature", temperature, 0.001...1000, "0.001 to 1000")
    try SearchOptions.check(
      "kept tokens", keptCount, drafts...1000, "\(drafts) (one for each draft) to 1000")
    try SearchOptions.check("n-gram weight", ngramWeight, 0...1, "0 to 1")
    try SearchOptions.check(
      "number of order weights", orderWeights.count, 0...(NGramModel.maximumOrder - 1),
      "at most one for each length from 2 to \(NGramModel.maximumOrder)")
    for weight in orderWeights {
      try SearchOptions.check("order weight", weight, 0...1, "0 to 1")
    }
    try SearchOptions.check(
      "sum of the order weights", orderWeights.reduce(0, +), 0...1.000_001, "at most 1")
    try SearchOptions.check("n-gram penalty", penalty, 0...1e6, "0 to 1000000 nats")
    if let resetEvery {
      try SearchOptions.check("reset interval", resetEvery, 1...1000, "1 to 1000 tokens")
    }
  }
}
