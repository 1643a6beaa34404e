/// Decides how many nodes of a step are worth running.
///
/// A step that runs the n best nodes gives 1 + Σ aᵢ tokens on average (aᵢ: the probability that node
/// i and all above it are accepted). The n that maximises Σ aᵢ - r · C(n) is taken, where r is the
/// recent rate of tokens, but not below plain decoding's and not above the best that this step can
/// reach. An n that gains less than `margin` of the step's tokens is not worth its risk.
struct StepEconomy {
  /// Gain, as a share of the step's tokens, below which drafting is not worth its risk.
  static let margin = 0.02
  /// Steps that the recent rate is taken over.
  static let memory = 48.0

  private var tokens = 0.0  // faded sums over the recent steps
  private var microseconds = 0.0

  /// What was decided.
  struct Choice: Equatable {
    /// Nodes, or levels.
    var count = 0
    /// Tokens gained over running none, the time at the rate's worth taken off.
    var gain = 0.0
    /// What time was valued at, in tokens per microsecond.
    var rate = 0.0
  }

  /// Counts a finished step.
  mutating func observe(tokens step: Int, microseconds time: Double) {
    let keeping = 1 - 1 / Self.memory
    tokens = tokens * keeping + Double(step)
    microseconds = microseconds * keeping + time
  }

  /// What a microsecond is worth in tokens, in a step that could reach `reachable`.
  /// - Parameter sequences: of the pass; each gives at least one token.
  func rate(plain: Double, reachable: Double, sequences: Int = 1) -> Double {
    let recent = microseconds > 0 ? Double(sequences) * tokens / microseconds : plain
    return min(max(recent, plain), reachable)
  }

  /// The best rate that a step can reach.
  ///
  /// - Parameters:
  ///   - sums: expected accepted tokens of 0, 1, ... nodes.
  ///   - prices: microseconds of a step with as many.
  static func reachable(sums: [Double], prices: [Double], sequences: Int = 1) -> Double {
    let given = Double(sequences)
    return zip(sums, prices).reduce(given / prices[0]) { max($0, (given + $1.0) / $1.1) }
  }

  /// The best number of nodes.
  func choose(sums: [Double], prices: [Double], sequences: Int = 1) -> Choice {
    let reachable = Self.reachable(sums: sums, prices: prices, sequences: sequences)
    let plain = Double(sequences) / prices[0]
    return choose(
      sums: sums, prices: prices,
      rate: rate(plain: plain, reachable: reachable, sequences: sequences))
  }

  /// The best number of nodes, time being worth `rate`.
  func choose(sums: [Double], prices: [Double], rate: Double) -> Choice {
    var best = Choice(rate: rate)
    for count in sums.indices {
      let gain = sums[count] - rate * (prices[count] - prices[0])
      if gain > best.gain { best = Choice(count: count, gain: gain, rate: rate) }
    }
    return best.gain > Self.margin * (1 + sums[best.count]) ? best : Choice(rate: rate)
  }
}
