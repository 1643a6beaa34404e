import Compute
import Transformers

/// One of the sequences that a beam search follows.
struct Beam {
  /// Holds the prompt and all tokens but the last.
  var cache: KVCache
  var tokens: [Int32] = []
  /// Sum of log-probabilities, less what diversity took off: what the search goes by.
  var score = 0.0
  /// Sum of the model's log-probabilities.
  var logProbability = 0.0
  /// Follows the text where there are stop strings to be found.
  var text: OutputText?
  /// One for each token, if log-probabilities were asked for.
  var entries: [TokenLogProbabilities] = []
}

/// A way to continue one of a group's beams.
struct BeamStep: Equatable {
  /// Index of the beam.
  var beam: Int
  var token: Int32
  var logProbability: Double
  /// The continued beam's score.
  var score: Double

  /// The better score comes first, then the earlier beam, then the lower token.
  static func isBetter(_ left: Self, _ right: Self) -> Bool {
    if left.score != right.score { return left.score > right.score }
    return (left.beam, left.token) < (right.beam, right.token)
  }

  /// The best ways to continue beams with these scores.
  ///
  /// - Parameters:
  ///   - candidates: for each beam its likeliest tokens, likeliest first: `count` and as many more as
  ///     there are penalised ones, so that none of the best is missing.
  ///   - penalties: for each beam what is taken off the scores of tokens.
  static func best(
    _ count: Int, scores: [Double], candidates: [[ScoredToken]], penalties: [[Int32: Double]]
  ) -> [BeamStep] {
    var steps: [BeamStep] = []
    for (beam, tokens) in candidates.enumerated() {
      for candidate in tokens {
        steps.append(
          BeamStep(
            beam: beam, token: candidate.token, logProbability: candidate.logProbability,
            score: scores[beam] + candidate.logProbability
              - (penalties[beam][candidate.token] ?? 0)))
      }
    }
    steps.sort(by: isBetter)
    return Array(steps.prefix(count))
  }
}

/// A group of beams with its finished texts: a beam search of its own.
struct BeamGroup {
  let options: BeamSearchOptions
  /// Number of beams.
  let size: Int
  var live: [Beam]
  /// The best finished texts, best first, at most `size`.
  private(set) var finished: [FoundText] = []
  private(set) var isDone = false

  init(size: Int, root: Beam, options: BeamSearchOptions) {
    self.size = size
    self.options = options
    live = [root]
  }

  /// What a text is ordered by.
  /// - Parameter length: its tokens, the one that ended it included.
  func finalScore(of beam: Beam, length: Int) -> Double {
    let sum = options.ranksByPenalizedScore ? beam.score : beam.logProbability
    return sum / Self.power(Double(max(length, 1)), options.lengthPenalty)
  }

  /// Takes a finished text if it is one of the best.
  /// - Parameter length: its tokens, the one that ended it included.
  mutating func finish(_ beam: Beam, reason: FinishReason, length: Int) {
    let score = finalScore(of: beam, length: length)
    let place = finished.firstIndex { $0.score < score } ?? finished.count
    guard place < size else { return }
    finished.insert(
      FoundText(
        tokens: beam.tokens, score: score, logProbability: beam.logProbability, reason: reason,
        logProbabilities: beam.entries), at: place)
    if finished.count > size { finished.removeLast() }
  }

  /// Ends the search if nothing better is to be found.
  /// - Parameter longest: most tokens of a text.
  mutating func settle(longest: Int) {
    isDone = live.isEmpty || (finished.count >= size && !canImprove(longest: longest))
    if isDone { live.removeAll() }
  }

  /// Ends the search where it is: live beams are taken as they are.
  mutating func close(reason: FinishReason) {
    for beam in live { finish(beam, reason: reason, length: beam.tokens.count) }
    live.removeAll()
    isDone = true
  }

  private func canImprove(longest: Int) -> Bool {
    guard let worst = finished.last?.score else { return true }
    switch options.stopping {
    case .early: return false
    case .heuristic:
      return live.contains { finalScore(of: $0, length: $0.tokens.count) > worst }
    case .exhaustive:
      // Sums only fall. With a positive power the largest length makes the most of one, with a
      // negative one the smallest.
      return live.contains { beam in
        let length = options.lengthPenalty > 0 ? longest : beam.tokens.count
        return finalScore(of: beam, length: length) > worst
      }
    }
  }

  /// `base` to the power `exponent`, with the same bits on every machine.
  private static func power(_ base: Double, _ exponent: Double) -> Double {
    switch exponent {
    case 0: 1
    case 1: base
    default: ElementaryFunctions.exp(exponent * ElementaryFunctions.log(base))
    }
  }
}
