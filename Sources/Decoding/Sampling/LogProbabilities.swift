import Compute

/// A token and the natural logarithm of its probability.
public struct TokenLogProbability: Sendable, Equatable, Codable {
  /// Token id.
  public let token: Int32
  /// log p, at most 0 and at least `TokenLogProbabilities.smallestLogProbability`.
  public let logProbability: Float

  /// A token with its log-probability.
  public init(token: Int32, logProbability: Float) {
    self.token = token
    self.logProbability = logProbability
  }

  private enum CodingKeys: String, CodingKey {
    case token
    case logProbability = "logprob"
  }
}

/// Log-probabilities of the token that was chosen and of the likeliest ones.
///
/// They are those of the model itself: of the raw logits at temperature 1, before bias, penalties
/// and truncation, as in OpenAI's API.
public struct TokenLogProbabilities: Sendable, Equatable, Codable {
  /// The token that the generation took.
  public let chosen: TokenLogProbability
  /// The likeliest tokens, likeliest first; of equal ones the lower id first.
  public let top: [TokenLogProbability]

  /// Stands for the logarithm of 0, which JSON cannot hold; the number that OpenAI's API uses.
  public static let smallestLogProbability: Float = -9999
  /// Largest number of alternatives that can be asked for.
  public static let maximumTop = 100

  /// Log-probabilities read off raw logits.
  ///
  /// Complexity: O(vocabulary) for the normaliser and, on usual data, for the top tokens.
  /// - Parameters:
  ///   - logits: [vocabulary].
  ///   - token: the chosen token.
  ///   - topCount: how many of the likeliest tokens to list, at most `maximumTop`.
  /// - Throws: `SamplingError.notANumber` if a logit is not a number.
  public init(
    logits: UnsafeBufferPointer<Float>, token: Int32, topCount: Int, position: Int
  ) throws {
    guard let normalizer = ElementaryFunctions.logSumExp(logits) else {
      throw SamplingError.notANumber(
        token: logits.firstIndex { $0.isNaN } ?? 0, position: position)
    }
    guard logits.indices.contains(Int(token)), normalizer > -.infinity else {
      throw SamplingError.noCandidates(position: position)
    }
    func logProbability(_ token: Int32) -> TokenLogProbability {
      let logit = Double(logits[Int(token)])
      // With infinite logits the normaliser is infinite: those share the probability.
      let value = logit == normalizer && !logit.isFinite ? 0 : logit - normalizer
      return TokenLogProbability(
        token: token, logProbability: max(Float(min(value, 0)), Self.smallestLogProbability))
    }
    chosen = logProbability(token)
    top = Self.largest(topCount, logits).map(logProbability)
  }

  private static func largest(_ count: Int, _ logits: UnsafeBufferPointer<Float>) -> [Int32] {
    let count = min(count, maximumTop, logits.count)
    guard count > 0 else { return [] }
    var best: [Int32] = []
    best.reserveCapacity(count + 1)
    for index in logits.indices {
      if best.count == count, logits[index] <= logits[Int(best[count - 1])] { continue }
      var place = best.count
      while place > 0, logits[Int(best[place - 1])] < logits[index] { place -= 1 }
      best.insert(Int32(truncatingIfNeeded: index), at: place)
      if best.count > count { best.removeLast() }
    }
    return best
  }
}
