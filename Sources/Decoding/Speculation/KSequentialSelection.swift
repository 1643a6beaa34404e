/// SpecTr's k-sequential selection: one of `count` independent draws, or a draw from a residual,
/// such that the result is a sample of the target (Sun et al., "SpecTr: Fast Speculative Decoding
/// via Optimal Transport", arXiv 2310.15141).
///
/// Each draw x is accepted with probability min(1, T(x) / (rho D(x))). With
/// beta(rho) = sum of min(D, T / rho), one of k draws is accepted with probability
/// 1 - (1 - beta)^k; the residual is a distribution as long as that is at most rho beta, and the
/// smallest such rho in 1...k accepts most: at least 1 - 1/e of what any selection could.
struct KSequentialSelection {
  /// The division factor.
  let rho: Double
  /// Probability that one draw is accepted.
  let beta: Double
  /// Probability that one of all draws is accepted.
  let acceptance: Double
  private let draft: DraftDistribution

  /// Solves for rho by bisection, keeping to the valid side.
  /// - Complexity: O(support of the draft × 60).
  init(_ target: TargetWeights, _ draft: DraftDistribution, count: Int) {
    self.draft = draft
    let pairs = draft.tokens.indices.map {
      (draft: draft.probabilities[$0], target: target.probability(of: draft.tokens[$0]))
    }
    func beta(_ rho: Double) -> Double {
      pairs.reduce(0) { $0 + min($1.draft, $1.target / rho) }
    }
    func isValid(_ rho: Double) -> Bool {
      let beta = beta(rho)
      return Self.accepted(beta, count) <= rho * beta
    }
    var valid = Double(max(count, 1))
    if count <= 1 || isValid(1) {
      valid = 1
    } else {
      var invalid = 1.0
      for _ in 0..<60 {
        let middle = (valid + invalid) / 2
        if isValid(middle) { valid = middle } else { invalid = middle }
      }
    }
    rho = valid
    self.beta = beta(valid)
    acceptance = Self.accepted(self.beta, count)
  }

  private static func accepted(_ beta: Double, _ count: Int) -> Double {
    var rejected = 1.0
    for _ in 0..<count { rejected *= 1 - min(beta, 1) }
    return 1 - rejected
  }

  /// Tests the draws in order.
  ///
  /// - Parameters:
  ///   - target: the distribution this selection was made for; becomes the residual if nil is
  ///     returned.
  ///   - chance: a uniform number for each draw.
  /// - Returns: the accepted token; nil if none is.
  func select(
    _ drawn: [Int32], target: inout TargetWeights, chance: (Int) -> Double
  ) -> Int32? {
    for (place, token) in drawn.enumerated() {
      guard let index = SortedTokens.index(of: token, in: draft.tokens) else { continue }
      if chance(place) * rho * draft.probabilities[index] < target.probability(of: token) {
        return token
      }
    }
    guard beta > 0 else { return nil }
    let factor = acceptance / beta
    let own = draft.tokens.map(target.probability)
    _ = target.subtract(draft.tokens) { min(draft.probabilities[$0], own[$0] / rho) * factor }
    return nil
  }
}
