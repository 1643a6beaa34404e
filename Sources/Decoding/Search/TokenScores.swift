import Compute

/// A token and the logarithm of its probability among the tokens that may follow.
struct ScoredToken: Equatable {
  var token: Int32
  var logProbability: Double
}

/// The distribution that one row of logits describes, as logarithms: the same bits on every machine.
struct TokenScores {
  private let logits: UnsafeBufferPointer<Float>
  /// Logarithm of the sum of the exponentials; minus infinity if no token may follow.
  let normalizer: Double

  /// - Parameter logits: [vocabulary], bias and penalties applied; valid as long as this value is
  ///   used.
  /// - Throws: `SamplingError.notANumber`.
  init(_ logits: UnsafeBufferPointer<Float>, position: Int) throws {
    guard let normalizer = ElementaryFunctions.logSumExp(logits) else {
      throw SamplingError.notANumber(
        token: logits.firstIndex { $0.isNaN } ?? 0, position: position)
    }
    self.logits = logits
    self.normalizer = normalizer
  }

  /// log p of a token; minus infinity for one that may not follow or is not in the vocabulary.
  func logProbability(of token: Int32) -> Double {
    guard logits.indices.contains(Int(token)) else { return -.infinity }
    let logit = Double(logits[Int(token)])
    guard logit > -.infinity else { return -.infinity }
    // With infinite logits the normaliser is infinite: those share the probability.
    return min(logit == normalizer ? 0 : logit - normalizer, 0)
  }

  /// The `count` likeliest tokens, likeliest first, of equal ones the lower id first. Tokens that
  /// may not follow are left out, so there may be fewer.
  func likeliest(_ count: Int) -> [ScoredToken] {
    (LargestValues.indices(of: logits, count: count) ?? []).compactMap { token in
      let logProbability = logProbability(of: token)
      return logProbability > -.infinity
        ? ScoredToken(token: token, logProbability: logProbability) : nil
    }
  }

  /// Entropy of the distribution in nats.
  var entropy: Double {
    guard normalizer.isFinite else { return 0 }
    return logits.reduce(0) { sum, logit in
      let logProbability = Double(logit) - normalizer
      return logit > -.infinity
        ? sum - ElementaryFunctions.exp(logProbability) * logProbability : sum
    }
  }
}

extension LogitsProcessor {
  /// Calls `body` with the distribution after bias and penalties, at temperature 1 and without
  /// truncation.
  /// - Parameters:
  ///   - logits: [vocabulary], raw.
  ///   - history: the committed tokens.
  ///   - path: tokens after them, up to the row.
  func withScores<Result>(
    _ logits: UnsafeBufferPointer<Float>, history: TokenHistory, path: [Int32] = [],
    _ body: (TokenScores) throws -> Result
  ) throws -> Result {
    try path.withUnsafeBufferPointer { path in
      try withAdjustedLogits(logits: logits, history: history, path: path) {
        try body(TokenScores($0, position: history.count + path.count))
      }
    }
  }
}
