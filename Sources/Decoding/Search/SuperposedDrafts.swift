import Compute

/// The drafts of Superposed Decoding, without the model: scores, weights, pruning.
struct SuperposedDrafts {
  /// A text below the prompt.
  struct Draft: Equatable {
    var tokens: [Int32] = []
    /// Sum of the filtered log-probabilities: of the method's own distribution, not the model's.
    var score = 0.0
    /// The token that ended it, which is not among `tokens`.
    var end: Int32?
  }

  private let options: SuperposedOptions
  private let stops: Set<Int32>
  /// Drafts that go on; one empty one at the beginning.
  private(set) var live = [Draft()]
  /// Drafts that have ended, best first.
  private(set) var finished: [Draft] = []

  init(_ options: SuperposedOptions, stops: Set<Int32>) {
    self.options = options
    self.stops = stops
  }

  /// The likeliest tokens at the options' temperature, and ln of their probabilities among
  /// themselves. Likeliest first; of equal ones the lower id.
  static func kept(
    _ logits: UnsafeBufferPointer<Float>, _ options: SuperposedOptions
  ) -> [(token: Int32, logProbability: Double)] {
    let tokens = TopTokens.largest(options.keptCount, of: logits).filter {
      logits[Int($0)] > -.infinity
    }
    guard let best = tokens.first else { return [] }
    let scaled = tokens.map {
      (Double(logits[Int($0)]) - Double(logits[Int(best)])) / options.temperature
    }
    let sum = scaled.reduce(0) { $0 + ElementaryFunctions.exp($1) }
    let normalizer = ElementaryFunctions.log(sum)
    return zip(tokens, scaled).map { ($0, $1 - normalizer) }
  }

  /// ln p of the kept tokens for one draft after the n-gram filter: the geometric mean with the
  /// n-grams' probability, so that a token which they do not know is ruled out. If they know none of
  /// them, all are kept under a penalty.
  ///
  /// - Parameter known: the n-grams' probability of each token.
  static func filtered(
    _ kept: [(token: Int32, logProbability: Double)], known: [Double],
    _ options: SuperposedOptions
  ) -> [Double] {
    let share = 1 - options.ngramWeight
    guard known.contains(where: { $0 > 0 }) else {
      return kept.map { share * $0.logProbability - options.penalty }
    }
    return zip(kept, known).map { token, probability in
      // At weight 0 the n-grams say nothing, not even that they do not know a token.
      options.ngramWeight == 0
        ? token.logProbability
        : share * token.logProbability
          + options.ngramWeight * ElementaryFunctions.log(probability)
    }
  }

  /// Continues all drafts with the kept tokens, and keeps the best: those that end go to the
  /// finished ones, of the others as many as there are drafts go on.
  ///
  /// - Parameters:
  ///   - kept: what the superposed pass gave, the same for all drafts.
  ///   - known: the n-grams' probabilities of the kept tokens after a draft; nil without n-grams.
  mutating func extend(
    _ kept: [(token: Int32, logProbability: Double)],
    known: ((_ draft: Draft, _ tokens: [Int32]) -> [Double])?
  ) {
    var candidates: [(draft: Int, token: Int32, score: Double)] = []
    for (index, draft) in live.enumerated() {
      let steps =
        known.map { Self.filtered(kept, known: $0(draft, kept.map(\.token)), options) }
        ?? kept.map(\.logProbability)
      for (token, step) in zip(kept, steps) where step > -.infinity {
        candidates.append((index, token.token, draft.score + step))
      }
    }
    candidates.sort {
      ($0.score, $1.token, $1.draft) > ($1.score, $0.token, $0.draft)
    }
    var next: [Draft] = []
    for candidate in candidates.prefix(2 * options.drafts) {
      var draft = live[candidate.draft]
      draft.score = candidate.score
      if stops.contains(candidate.token) {
        draft.end = candidate.token
        finish(draft)
      } else if next.count < options.drafts {
        draft.tokens.append(candidate.token)
        next.append(draft)
      }
    }
    live = next
  }

  /// Moves live drafts that a test holds for ended to the finished ones.
  mutating func finish(where isEnded: (Draft) -> Bool) {
    let ended = live.filter(isEnded)
    live.removeAll(where: isEnded)
    for draft in ended { finish(draft) }
  }

  private mutating func finish(_ draft: Draft) {
    let place = finished.firstIndex { $0.score < draft.score } ?? finished.count
    finished.insert(draft, at: place)
    if finished.count > options.drafts { finished.removeLast() }
  }

  /// True if no live draft can come before a finished one any more: scores only fall.
  var isSettled: Bool {
    guard let best = live.first else { return true }
    guard finished.count == options.drafts, let last = finished.last else { return false }
    return best.score <= last.score
  }

  /// All drafts, best first; of equal ones those that have ended.
  var ranked: [Draft] {
    let all = finished + live
    // The sort of the library is stable.
    return Array(all.sorted { $0.score > $1.score }.prefix(options.drafts))
  }

  /// Shares of the live drafts in the superposition: the softmax of their scores.
  var weights: [Double] {
    let best = live.first?.score ?? 0
    let powers = live.map { ElementaryFunctions.exp($0.score - best) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }

  /// The latest tokens of the live drafts, each once, with their shares in the superposition.
  var mix: [(token: Int32, weight: Double)] {
    var mix: [(token: Int32, weight: Double)] = []
    for (draft, weight) in zip(live, weights) {
      guard let token = draft.tokens.last else { continue }
      if let known = mix.firstIndex(where: { $0.token == token }) {
        mix[known].weight += weight
      } else {
        mix.append((token, weight))
      }
    }
    return mix
  }

  /// Drops all live drafts but one, which starts anew with the score 0.
  /// - Parameter number: in 0..<1; selects the draft by its weight.
  mutating func reset(_ number: Double) {
    var left = number
    var index = 0
    let weights = weights
    while index + 1 < weights.count, left >= weights[index] {
      left -= weights[index]
      index += 1
    }
    guard live.indices.contains(index) else { return }
    live = [Draft(tokens: live[index].tokens)]
    // Finished ones belong to texts that are dropped, with scores that are not comparable.
    finished.removeAll()
  }
}
