/// Splits the drafted nodes of one pass among its sequences, by marginal gain.
///
/// A pass costs what its rows cost together, C(rows), whichever sequence they belong to. So of all
/// candidates of all sequences the ones most likely to be accepted are run, as many of them as
/// make Σ aᵢ - r · C(rows) largest (aᵢ: the probability that node i and all above it are accepted;
/// r: the tokens that a microsecond is worth). Values fall along every path, so the best n nodes are
/// closed under parents, and no other choice of n nodes is worth more: the split is optimal for its r.
///
/// r is the rate of plain decoding, which gives one token for each sequence in C(sequences), times
/// what drafts have gained lately, but not more than this pass can reach.
///
/// Deterministic: time enters through `observe` only. Cost: O(n log n) for n candidates.
struct ForestPlanner {
  /// Gain, as a share of the drafting sequences' tokens, below which drafting is not worth its risk.
  private static let margin = 0.02
  /// Passes after which what drafts have gained counts for a third.
  private static let memory = 48.0

  private var tokens = 0.0  // faded sums over the recent passes
  private var plainTokens = 0.0
  private var order: [(value: Float, sequence: Int)] = []

  /// What a pass costs.
  struct Costs {
    /// Sequences of the pass; each gives a token without any drafts.
    var sequences: Int
    /// Rows of the pass before any candidate is added.
    var rows: Int
    /// Most candidates that still fit.
    var room: Int
    /// Microseconds of a pass of so many rows.
    var microseconds: (Int) -> Double
  }

  /// How many of its best candidates each sequence runs.
  ///
  /// - Parameter candidates: for each sequence its nodes' values, the largest first. Of equal values
  ///   those of earlier sequences go first.
  mutating func split(_ candidates: [[Float]], _ costs: Costs) -> [Int] {
    load(candidates)
    var counts = [Int](repeating: 0, count: candidates.count)
    for (_, sequence) in order.prefix(best(costs)) { counts[sequence] += 1 }
    return counts
  }

  /// What a microsecond is worth, in tokens.
  mutating func rate(_ candidates: [[Float]], _ costs: Costs) -> Double {
    load(candidates)
    return rate(costs)
  }

  /// Orders all candidates by their values.
  private mutating func load(_ candidates: [[Float]]) {
    order.removeAll(keepingCapacity: true)
    for (sequence, values) in candidates.enumerated() {
      for value in values where value > 0 { order.append((value, sequence)) }
    }
    order.sort { ($0.value, $1.sequence) > ($1.value, $0.sequence) }
  }

  private func rate(_ costs: Costs) -> Double {
    let sequences = Double(costs.sequences)
    let plain = sequences / costs.microseconds(costs.rows)
    var reachable = plain
    var sum = 0.0
    for (index, candidate) in order.prefix(max(costs.room, 0)).enumerated() {
      sum += Double(candidate.value)
      reachable = max(reachable, (sequences + sum) / costs.microseconds(costs.rows + index + 1))
    }
    return min(max(plain * recentSpeedup, plain), reachable)
  }

  /// How many of the ordered candidates are worth their rows.
  private func best(_ costs: Costs) -> Int {
    let rate = rate(costs)
    let base = costs.microseconds(costs.rows)
    var best = (count: 0, gain: 0.0, sum: 0.0)
    var sum = 0.0
    for (index, candidate) in order.prefix(max(costs.room, 0)).enumerated() {
      sum += Double(candidate.value)
      let gain = sum - rate * (costs.microseconds(costs.rows + index + 1) - base)
      if gain > best.gain { best = (index + 1, gain, sum) }
    }
    let drafting = Set(order.prefix(best.count).map(\.sequence)).count
    return best.gain > Self.margin * (Double(drafting) + best.sum) ? best.count : 0
  }

  /// Tokens of the recent passes, to those that plain decoding would have given in their time.
  var recentSpeedup: Double { plainTokens > 0 ? tokens / plainTokens : 1 }

  /// Learns from a pass: what its sequences gave together, what it cost and what a plain pass of them
  /// costs, in microseconds by the same account.
  mutating func observe(tokens given: Int, sequences: Int, cost: Double, plainCost: Double) {
    guard sequences > 0, cost > 0, plainCost > 0 else { return }
    let keeping = 1 - 1 / Self.memory
    tokens = tokens * keeping + Double(given) / Double(sequences)
    plainTokens = plainTokens * keeping + cost / plainCost
  }
}
