import Compute

/// Shannon entropy of a model's own next-token distribution: of the raw logits at temperature 1,
/// before bias, penalties and truncation.
///
/// Holds memory for the whole vocabulary, and allocates nothing after it was made. The sum is made
/// in a fixed order with the project's own exponential, so the same logits give the same bits on
/// every machine.
struct TokenEntropy {
  private var weights: [Double]

  init(vocabularyCount: Int) { weights = Array(repeating: 0, count: vocabularyCount) }

  /// -Σ p ln p, in nats; 0 for a distribution on one token.
  ///
  /// - Parameters:
  ///   - logits: at most as many as there are tokens.
  ///   - position: for the error.
  /// - Throws: `SamplingError` for logits that are not numbers, or that rule every token out.
  mutating func nats(
    _ logits: UnsafeBufferPointer<Float>, position: Int
  ) throws -> Double {
    if let token = logits.firstIndex(where: \.isNaN) {
      throw SamplingError.notANumber(token: token, position: position)
    }
    let largest = ElementaryFunctions.largest(of: logits)
    guard largest > -.infinity else { throw SamplingError.noCandidates(position: position) }
    // Infinite logits share the whole probability.
    guard largest < .infinity else {
      return ElementaryFunctions.log(Double(logits.lazy.filter { $0 == .infinity }.count))
    }
    let shift = Double(largest)
    return weights.withUnsafeMutableBufferPointer { weights in
      let sum = ElementaryFunctions.exponentials(of: logits, minus: largest, into: weights)
      var mean = 0.0
      for token in logits.indices where weights[token] > 0 {
        mean += weights[token] * (Double(logits[token]) - shift)
      }
      return max(ElementaryFunctions.log(sum) - mean / sum, 0)
    }
  }

  /// The same in bits.
  mutating func bits(
    _ logits: UnsafeBufferPointer<Float>, position: Int
  ) throws -> Double {
    try nats(logits, position: position) / 0.693_147_180_559_945_3
  }

  /// -Σ p ln p of probabilities that sum to 1, in nats.
  static func nats(_ probabilities: UnsafeBufferPointer<Double>) -> Double {
    var sum = 0.0
    for probability in probabilities where probability > 0 {
      sum -= probability * ElementaryFunctions.log(probability)
    }
    return max(sum, 0)
  }
}
