import Checkpoints
import Compute
import Foundation

/// An entropy threshold of AdaDec, learnt for one model, and how it was learnt.
public struct AdaDecThreshold: Sendable, Equatable, Codable {
  /// What the model was asked to predict.
  public struct Training: Sendable, Equatable, Codable {
    /// Where the texts come from.
    public var source: String
    /// Their licence.
    public var license: String
    /// Pairs of prompt and reference.
    public var items: Int
    /// Tokens that were predicted.
    public var steps: Int

    /// What the model was asked to predict.
    public init(source: String, license: String, items: Int, steps: Int) {
      self.source = source
      self.license = license
      self.items = items
      self.steps = steps
    }

    private enum CodingKeys: String, CodingKey {
      case source, items, steps
      case license = "licence"
    }
  }

  /// Entropy in nats from which decoding pauses.
  public var threshold: Double
  /// b0 of P(the likeliest token is right | entropy).
  public var intercept: Double
  /// b1 of it.
  public var slope: Double
  /// The probability that the threshold cuts at.
  public var cut: Double
  /// Area under the curve: how often an entropy where the likeliest token was wrong is above one
  /// where it was right.
  public var areaUnderCurve: Double
  /// Share of steps at which the likeliest token was right.
  public var topShare: Double
  /// Share of steps at which decoding would pause.
  public var pauseShare: Double
  /// Share of these at which the likeliest token was right.
  public var topShareAtPauses: Double
  /// Share of these at which the right token was among the three likeliest.
  public var topThreeShareAtPauses: Double
  /// Alias or name of the model.
  public var model: String
  /// Bytes of the model's file: the same model in another format has another threshold.
  public var modelBytes: Int
  /// What the model was asked to predict.
  public var training: Training
  /// The command that made the file.
  public var command: String

  private enum CodingKeys: String, CodingKey {
    case threshold = "threshold_nats"
    case intercept, slope, cut
    case areaUnderCurve = "auc"
    case topShare = "top1_share"
    case pauseShare = "pause_share"
    case topShareAtPauses = "top1_share_at_pauses"
    case topThreeShareAtPauses = "top3_share_at_pauses"
    case model
    case modelBytes = "model_bytes"
    case training, command
  }

  // MARK: Learning

  /// One predicted token of a reference text.
  public struct Step: Sendable, Equatable {
    /// Entropy of the model's distribution, in nats.
    public var entropy: Double
    /// Tokens that the model holds likelier than the right one.
    public var rank: Int

    /// A predicted token.
    public init(entropy: Double, rank: Int) {
      self.entropy = entropy
      self.rank = rank
    }
  }

  /// Learns the threshold: a logistic regression of "the likeliest token is right" on the entropy,
  /// fitted to four fifths of the steps with both classes weighing the same, and the probability
  /// cut of the best accuracy on the rest, as it is.
  ///
  /// - Parameters:
  ///   - steps: in any order; which of them are held out depends on their number and the seed.
  ///   - model, modelBytes, training, command: kept with the threshold.
  /// - Throws: `AdaDecThresholdError` if the steps do not say anything.
  public init(
    learning steps: [Step], seed: UInt64 = 42, model: String, modelBytes: Int, training: Training,
    command: String
  ) throws {
    let noise = RandomStream(seed: seed)
    let isHeldOut = steps.indices.map { noise.uniform(position: $0, token: 0) < 0.2 }
    let fitted = steps.indices.filter { !isHeldOut[$0] }.map { steps[$0] }
    let heldOut = steps.indices.filter { isHeldOut[$0] }.map { steps[$0] }
    let right = Double(fitted.count { $0.rank == 0 })
    let wrong = Double(fitted.count) - right
    let samples = fitted.map {
      LogisticRegression.Sample(
        feature: $0.entropy, isPositive: $0.rank == 0,
        weight: $0.rank == 0 ? 1 / right : 1 / wrong)
    }
    guard !heldOut.isEmpty, let fit = LogisticRegression(fitting: samples, ridge: 1e-9) else {
      throw AdaDecThresholdError.tooFewSteps(
        steps: steps.count, wrong: steps.count { $0.rank > 0 })
    }
    guard fit.slope < 0 else { throw AdaDecThresholdError.noRelation(slope: fit.slope) }
    let cut = Self.bestCut(heldOut, fit)
    // Entropy is never below 0: a cut beyond that pauses always.
    let threshold = max(fit.feature(atProbability: cut), 0)
    let pauses = steps.filter { $0.entropy >= threshold }
    func share(_ part: Int, of whole: Int) -> Double {
      whole > 0 ? Double(part) / Double(whole) : 0
    }
    self.threshold = threshold
    (intercept, slope, self.cut) = (fit.intercept, fit.slope, cut)
    areaUnderCurve = Self.areaUnderCurve(steps)
    topShare = share(steps.count { $0.rank == 0 }, of: steps.count)
    pauseShare = share(pauses.count, of: steps.count)
    topShareAtPauses = share(pauses.count { $0.rank == 0 }, of: pauses.count)
    topThreeShareAtPauses = share(pauses.count { $0.rank < 3 }, of: pauses.count)
    (self.model, self.modelBytes) = (model, modelBytes)
    (self.training, self.command) = (training, command)
  }

  /// The probability of 0.01, 0.02, … that calls the most steps rightly; of equal ones the middle one.
  private static func bestCut(_ steps: [Step], _ fit: LogisticRegression) -> Double {
    let probabilities = steps.map { fit.probability($0.entropy) }
    let hits = (1...99).map { percent in
      zip(probabilities, steps).count { ($0 >= Double(percent) / 100) == ($1.rank == 0) }
    }
    let best = hits.max() ?? 0
    let places = hits.indices.filter { hits[$0] == best }
    return Double(places[places.count / 2] + 1) / 100
  }

  /// The Mann-Whitney statistic; equal entropies count half.
  private static func areaUnderCurve(_ steps: [Step]) -> Double {
    let sorted = steps.sorted { $0.entropy < $1.entropy }
    var (rightBelow, sum) = (0.0, 0.0)
    var begin = 0
    while begin < sorted.count {
      var end = begin
      while end < sorted.count, sorted[end].entropy == sorted[begin].entropy { end += 1 }
      let right = Double(sorted[begin..<end].count { $0.rank == 0 })
      let wrong = Double(end - begin) - right
      sum += wrong * (rightBelow + right / 2)
      rightBelow += right
      begin = end
    }
    let wrong = Double(sorted.count) - rightBelow
    return rightBelow > 0 && wrong > 0 ? sum / (rightBelow * wrong) : 0.5
  }

  // MARK: Files

  /// Longest file that is read.
  private static let mostBytes = 1 << 20

  /// Reads a file that `foretoken train adadec-threshold` wrote.
  /// - Throws: `CheckpointError` if it cannot be opened, `AdaDecThresholdError.notAThreshold`.
  public init(contentsOf url: URL) throws {
    let path = url.path(percentEncoded: false)
    let file = try MappedFile(path: path)
    guard file.count <= Self.mostBytes else {
      throw AdaDecThresholdError.notAThreshold(file: path, reason: "it has \(file.count) bytes")
    }
    let data = file.withBytes(in: 0..<file.count) { Data($0) }
    do {
      self = try JSONDecoder().decode(AdaDecThreshold.self, from: data)
    } catch {
      throw AdaDecThresholdError.notAThreshold(
        file: path, reason: "it is not JSON with the keys of one")
    }
    guard threshold >= 0, threshold.isFinite else {
      throw AdaDecThresholdError.notAThreshold(
        file: path, reason: "its threshold is \(threshold) nats")
    }
  }

  /// The file's text, or the same in one line.
  public func json(inOneLine: Bool = false) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if !inOneLine { encoder.outputFormatting.insert(.prettyPrinted) }
    return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
  }
}

/// Why there is no threshold.
public enum AdaDecThresholdError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// The model was right or wrong too seldom.
  case tooFewSteps(steps: Int, wrong: Int)
  /// The model is not surer where it is right.
  case noRelation(slope: Double)
  /// The file is something else.
  case notAThreshold(file: String, reason: String)
  /// The file is for another model.
  case otherModel(file: String, model: String)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .tooFewSteps(let steps, let wrong):
      "\(steps) predicted tokens, \(wrong) of them wrong, are too few to learn from; give more text"
    case .noRelation(let slope):
      "the model is not surer where it is right (slope \(slope)); give text of the kind it writes"
    case .notAThreshold(let file, let reason):
      "\(file): this is not a threshold of AdaDec: \(reason); make one with `foretoken train "
        + "adadec-threshold`"
    case .otherModel(let file, let model):
      "\(file): learnt for \(model), whose file has another size than this model's; learn one with "
        + "`foretoken train adadec-threshold --model` and this model"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
