import Transformers

/// How often the nodes of one drafter's trees are accepted.
///
/// Counted by depth, rank among the siblings and the probability that the drafter gave, each count
/// fading as new ones come in. What a cell has too few trials to say, the more general one says for
/// it: depth, rank and probability, then rank and probability, then a prior.
///
/// Two of them work together: one that all generations of a model share and that forgets slowly,
/// and the generation's own, which forgets quickly and starts from what the shared one knows.
public struct AcceptanceTable: Sendable, Equatable {
  /// Depths and ranks from these on share a cell.
  static let depths = 12
  static let ranks = 6
  static let buckets = 9

  /// Faded counts of successes and trials.
  struct Cell: Sendable, Equatable {
    var successes: Float = 0
    var trials: Float = 0

    mutating func record(_ success: Bool, keeping: Float) {
      successes = successes * keeping + (success ? 1 : 0)
      trials = trials * keeping + 1
    }

    func estimate(prior: Float, weight: Float) -> Float {
      (successes + prior * weight) / (trials + weight)
    }
  }

  private let keeping: Float
  private var exact: [Cell]
  private var general: [Cell]
  private var levels: [Cell]
  private var anyLevel = Cell()

  /// - Parameter memory: trials after which a count has lost about two thirds of its weight.
  public init(memory: Double) {
    keeping = Float(1 - 1 / max(memory, 2))
    exact = Array(repeating: Cell(), count: Self.depths * Self.ranks * Self.buckets)
    general = Array(repeating: Cell(), count: Self.ranks * Self.buckets)
    levels = Array(repeating: Cell(), count: Self.depths)
  }

  private static func general(_ rank: Int32, _ probability: Float) -> Int {
    min(Int(rank), ranks - 1) * buckets + bucket(probability)
  }

  private static func exact(_ depth: Int32, _ rank: Int32, _ probability: Float) -> Int {
    min(Int(depth), depths - 1) * ranks * buckets + general(rank, probability)
  }

  /// Finer near 0 and 1; probability 1 has a bucket of its own: most who say it do not know.
  private static func bucket(_ probability: Float) -> Int {
    let borders: [Float] = [0.03, 0.1, 0.25, 0.45, 0.65, 0.82, 0.94, 0.999]
    var bucket = 0
    while bucket < borders.count, probability >= borders[bucket] { bucket += 1 }
    return bucket
  }

  /// What is believed of a node before anything was seen.
  static func prior(rank: Int32, probability: Float) -> Float {
    if probability < 0.999 { return 0.05 + 0.85 * probability }
    return rank == 0 ? 0.5 : 0.1
  }

  // MARK: Nodes

  /// Counts a node whose parent was accepted.
  mutating func record(depth: Int32, rank: Int32, probability: Float, accepted: Bool) {
    exact[Self.exact(depth, rank, probability)].record(accepted, keeping: keeping)
    general[Self.general(rank, probability)].record(accepted, keeping: keeping)
  }

  /// Probability that a node is accepted if its parent is, by everything that was counted.
  func estimate(depth: Int32, rank: Int32, probability: Float) -> Float {
    let prior = general[Self.general(rank, probability)]
      .estimate(prior: Self.prior(rank: rank, probability: probability), weight: 4)
    return exact[Self.exact(depth, rank, probability)].estimate(prior: prior, weight: 8)
  }

  /// The same, where `prior` says what is expected without this table.
  func refine(_ prior: Float, depth: Int32, rank: Int32, probability: Float) -> Float {
    exact[Self.exact(depth, rank, probability)].estimate(prior: prior, weight: 8)
  }

  // MARK: Levels

  /// Counts a level of a proposal that the text reached: whether one of its nodes was accepted.
  mutating func record(level: Int, accepted: Bool) {
    // All levels fade together: one that is no longer drafted is given another chance in time.
    fadeLevels(1 - (1 - keeping) / 4)
    levels[min(level, Self.depths - 1)].record(accepted, keeping: 1)
    anyLevel.record(accepted, keeping: keeping)
  }

  /// Lets what is known of the levels lose weight.
  mutating func fadeLevels(_ keeping: Float) {
    for level in levels.indices {
      levels[level].successes *= keeping
      levels[level].trials *= keeping
    }
  }

  /// Probability that a node of this level is accepted if one of the level above is.
  func estimate(level: Int, prior: Float) -> Float {
    levels[min(level, Self.depths - 1)]
      .estimate(prior: anyLevel.estimate(prior: prior, weight: 4), weight: 8)
  }

  /// The same, where `prior` says what is expected without this table.
  func refine(_ prior: Float, level: Int) -> Float {
    levels[min(level, Self.depths - 1)].estimate(prior: prior, weight: 12)
  }
}

/// What is known of one drafter in all generations of a model.
final class DrafterRecord {
  var acceptance = AcceptanceTable(memory: 400)
  /// Proposals' real time to the expected one, where the drafter gives an expectation.
  var priceRatio = 1.0
  /// Microseconds of a proposal, where it gives none; nil before the first.
  var proposalMicroseconds: Double?
  /// Proposals whose time was taken.
  var proposals = 0
  /// Nodes for each level of a proposal.
  var width = 1.0
  /// Microseconds of learning from a step: of every step, and for each row beside the root.
  var learning = LearningTime()
  var probes = ProbeAllowance()
  /// When it works for an ensemble, and the tokens that it alone gains in a step of it.
  var shift = WorkShift()
  var ownGain = 0.0
}

/// How much looking again may cost where drafting does not pay.
///
/// A hundredth of the time, and one step in sixty-four; a look that shows nothing doubles the wait
/// for the next, one that shows a gain is followed up at once. Time that is not used is kept, so
/// that an expensive look becomes possible after a long while.
struct ProbeAllowance: Equatable {
  static let share = 0.01
  static let stepShare = 1.0 / 64
  private static let mostSteps = 8.0
  private static let longestWait = 64

  private(set) var microseconds = 0.0
  private var steps = 4.0
  private var wait = 2
  private var waited = 2

  /// A step of `microseconds` without drafts.
  mutating func passStep(microseconds step: Double) {
    microseconds += Self.share * step
    steps = min(steps + Self.stepShare, Self.mostSteps)
    waited += 1
  }

  /// True if a look of this price may be taken now.
  func allows(price: Double) -> Bool { microseconds >= price && steps >= 1 && waited >= wait }

  /// True if time alone allows a look: for proposals that are made but not run.
  func allowsTime(_ price: Double) -> Bool { microseconds >= price }

  /// Pays for a look that was taken.
  mutating func pay(_ price: Double) {
    microseconds -= price
    steps -= 1
    waited = 0
  }

  /// Pays for a proposal that was made but not run.
  mutating func payTime(_ price: Double) { microseconds -= price }

  /// What a look has shown.
  mutating func learn(gained: Bool) { wait = gained ? 1 : min(wait * 2, Self.longestWait) }

}

/// When a look-up of an ensemble works and when it rests, in steps.
///
/// It works long enough to be judged; if it is not worth its time then, it rests, longer each time.
struct WorkShift: Equatable {
  private static let trial = 96
  private static let shortestRest = 128
  private static let longestRest = 4096

  private(set) var isResting = false
  private var steps = 0
  private var rest = shortestRest

  /// A step is over.
  /// - Parameter isWorthIt: whether the work of the latest steps was worth its time.
  mutating func pass(isWorthIt: Bool) {
    steps += 1
    if isResting {
      guard steps >= rest else { return }
      (isResting, steps) = (false, 0)
      rest = min(rest * 2, Self.longestRest)
    } else if isWorthIt {
      rest = Self.shortestRest
    } else if steps >= Self.trial {
      (isResting, steps) = (true, 0)
    }
  }
}

/// What planners of one model keep between generations.
final class PlanningMemory {
  private let store: CostCurveStore?
  private var costs: CostModel?
  private var records: [String: DrafterRecord] = [:]
  /// What is known of the ensemble of `--speculate auto`.
  let ensemble = EnsembleRecord()

  /// - Parameter store: where the curve is kept between processes; nil to measure it each time.
  init(store: CostCurveStore? = nil) { self.store = store }

  /// What passes of `engine` cost; measured, or looked up and checked, on first use.
  func costs(of engine: ForwardEngine) throws -> CostModel {
    if let costs { return costs }
    let most = min(64, engine.contextLimit)
    let pass = { try engine.timePass(rows: $0) }
    let curve =
      try store?.curve(mostRows: most, pass: pass) ?? CostCurve.measure(mostRows: most, pass: pass)
    let made = CostModel(curve, model: engine.model.configuration)
    costs = made
    return made
  }

  /// What is known of the drafter of this name.
  func record(_ name: String) -> DrafterRecord {
    if let known = records[name] { return known }
    let record = DrafterRecord()
    records[name] = record
    return record
  }
}
