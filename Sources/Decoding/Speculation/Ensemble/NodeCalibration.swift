import Foundation

/// How often nodes are accepted that one or several drafters of an ensemble propose.
///
/// What the best of a node's proposers is worth by its own table (`AcceptanceTable`: by drafter,
/// depth, rank and probability) says nothing of what it means that others propose the same, or
/// something else. So nodes are counted once more, by how many proposed them, by that estimate, and by
/// whether a sibling has a better one; and then by who proposed them. What was seen seldom is taken to
/// be as good as such nodes were in general (`oddsFactors`): what one drafter alone says is accepted less often
/// than its own table has it, since the best of several estimates is a chosen one.
struct NodeCalibration: Sendable, Equatable {
  /// Borders of the estimates that share a cell: even steps of the logarithm of the odds.
  private static let borders: [Float] = [
    0.01, 0.02, 0.04, 0.08, 0.14, 0.23, 0.35, 0.5, 0.65, 0.77, 0.86, 0.92, 0.96, 0.98, 0.99,
  ]
  private static let groups = 256
  /// Observations that the estimate counts for.
  private static let weight: Float = 16
  private static let keeping: Float = 1 - 1 / 400
  /// Factors of the odds of the estimate, before anything was seen: for one, two, three and more
  /// proposers. Measured on 53 answers of SmolLM2-135M (Spec-Bench and long documents, 3885
  /// nodes that were run) and rounded.
  private static let oddsFactors: [Float] = [0.45, 0.7, 1.2, 1.6]
  /// The same for nodes that have a better sibling.
  private static let siblingFactor: Float = 0.37

  private var cells: [AcceptanceTable.Cell]
  private var counts: [AcceptanceTable.Cell]

  /// A calibration that has seen nothing.
  init() {
    cells = Array(
      repeating: AcceptanceTable.Cell(), count: Self.groups * 2 * (Self.borders.count + 1))
    counts = Array(
      repeating: AcceptanceTable.Cell(),
      count: Self.oddsFactors.count * 2 * (Self.borders.count + 1))
  }

  /// Members beyond the eighth share cells with the first ones.
  private static func cell(_ proposers: UInt32, _ estimate: Float, _ isBest: Bool) -> Int {
    let group = Int((proposers ^ proposers >> 8 ^ proposers >> 16 ^ proposers >> 24) & 255)
    return cell(group: group, estimate, isBest)
  }

  private static func cell(group: Int, _ estimate: Float, _ isBest: Bool) -> Int {
    let bucket = borders.firstIndex { estimate < $0 } ?? borders.count
    return (group * 2 + (isBest ? 1 : 0)) * (borders.count + 1) + bucket
  }

  /// Place of so many proposers.
  private static func group(_ proposers: UInt32) -> Int {
    min(max(proposers.nonzeroBitCount, 1), oddsFactors.count) - 1
  }

  /// What is believed before anything was seen.
  private static func prior(_ proposers: UInt32, _ estimate: Float, _ isBest: Bool) -> Float {
    let factor = isBest ? oddsFactors[group(proposers)] : siblingFactor
    let odds = estimate / max(1 - estimate, 1e-6) * factor
    return odds / (1 + odds)
  }

  /// Probability that a node is accepted if its parent is.
  ///
  /// - Parameters:
  ///   - proposers: the members that propose it, as bits.
  ///   - estimate: what the best of them is worth alone.
  ///   - isBest: true if no sibling's estimate is better.
  func estimate(proposers: UInt32, estimate: Float, isBest: Bool) -> Float {
    let general = counts[Self.cell(group: Self.group(proposers), estimate, isBest)]
      .estimate(prior: Self.prior(proposers, estimate, isBest), weight: Self.weight)
    return cells[Self.cell(proposers, estimate, isBest)].estimate(
      prior: general, weight: Self.weight)
  }

  /// Counts a node whose parent was accepted.
  mutating func record(proposers: UInt32, estimate: Float, isBest: Bool, accepted: Bool) {
    cells[Self.cell(proposers, estimate, isBest)].record(accepted, keeping: Self.keeping)
    counts[Self.cell(group: Self.group(proposers), estimate, isBest)].record(
      accepted, keeping: Self.keeping)
  }
}

/// How often the levels of a drafter's proposals are accepted, by how sure the others were of what
/// comes next: a draft model is worth little where a copy is certain anyway, and right less often
/// where nothing else has an idea.
struct ConfidenceLevels: Sendable, Equatable {
  private static let borders: [Float] = [0.05, 0.3, 0.6, 0.85]
  private static let levels = 4
  private static let weight: Float = 8
  private static let keeping: Float = 1 - 1 / 200

  private var cells = Array(
    repeating: AcceptanceTable.Cell(), count: (borders.count + 1) * levels)

  private static func cell(_ confidence: Float, _ level: Int) -> Int {
    let bucket = borders.firstIndex { confidence < $0 } ?? borders.count
    return bucket * levels + min(level, levels - 1)
  }

  /// Probability that a node of this level is accepted if one of the level above is.
  /// - Parameter prior: the same, whatever the others think.
  func refine(_ prior: Float, level: Int, confidence: Float) -> Float {
    cells[Self.cell(confidence, level)].estimate(prior: prior, weight: Self.weight)
  }

  /// Counts a level that the text reached.
  mutating func record(level: Int, confidence: Float, accepted: Bool) {
    cells[Self.cell(confidence, level)].record(accepted, keeping: Self.keeping)
  }
}

/// What is known of an ensemble in all generations of a model.
final class EnsembleRecord {
  var calibration = NodeCalibration()
  /// Microseconds of learning from a step: of every step, and for each row beside the root.
  var learning = LearningTime()
  /// Of the members that run a model, by name.
  var confidence: [String: ConfidenceLevels] = [:]
}

/// Microseconds of learning from a step.
struct LearningTime: Equatable {
  /// Of every step.
  private(set) var step = 0.0
  /// For each row beside the root.
  private(set) var row = 0.0

  /// Learns from a step of so many nodes.
  mutating func observe(_ measured: Double, nodes: Int) {
    if nodes == 0 {
      step = SteadyMean.fade(step, measured)
    } else {
      row = SteadyMean.fade(row, max(measured - step, 0) / Double(nodes))
    }
  }
}

/// A moving average that an interruption by the system does not throw off, at its beginning neither.
enum SteadyMean {
  static func fade(_ value: Double?, _ measured: Double) -> Double {
    guard let value, value > 0 else { return measured }
    return value + (min(measured, 4 * value) - value) / (measured < value / 2 ? 2 : 16)
  }
}

extension DrafterRecord {
  /// Learns what a proposal took.
  ///
  /// - Parameters:
  ///   - expected: what the drafter said it would take; nil if it said nothing.
  ///   - depth: levels of the proposal.
  func learnPrice(_ measured: Double, expected: DraftPrice?, depth: Int) {
    guard measured > 0 else { return }
    proposals += 1
    guard let expected, expected.level > 0, depth > 0 else {
      proposalMicroseconds = SteadyMean.fade(proposalMicroseconds, measured)
      return
    }
    let whole = expected.catchUp + expected.level * Double(depth)
    let ratio = min(max(measured / whole, 0.5), 2)
    priceRatio = min(max(priceRatio * (1 + 0.1 * (ratio - 1)), 0.05), 20)
    proposalMicroseconds = SteadyMean.fade(proposalMicroseconds, measured / Double(depth))
  }

  /// What a proposal of a drafter that runs a model will take.
  ///
  /// - Parameter unknown: microseconds of a level of which nothing is known.
  func price(of drafter: any Drafter, _ context: DraftContext, unknown: Double) -> DraftPrice {
    guard let price = drafter.price(context) else {
      return DraftPrice(catchUp: 0, level: proposalMicroseconds ?? unknown)
    }
    return DraftPrice(catchUp: price.catchUp * priceRatio, level: price.level * priceRatio)
  }
}
