import Compute
import Transformers

/// Jacobi decoding for text: a window of guesses that every pass of the target improves.
///
/// The pass that verifies the guesses also predicts each position after them. What it predicted
/// beyond the first wrong guess, from a context that was wrong there, are the next pass's guesses:
/// at temperature 0 the likeliest tokens (Jacobi iteration); with coupled verification the target's
/// own choices under the noise of their positions (Jacobi iteration on the sampled text, with exact
/// equality); with rejection draws from the predicted distributions, which are tested against them
/// (speculative Jacobi decoding). The window is filled up from the n-grams that were predicted or
/// written so far.
///
/// Papers: "Accelerating Auto-regressive Text-to-Image Generation with Training-free Speculative
/// Jacobi Decoding", arXiv 2410.01699; noise fixed for each position as in arXiv 2510.24211; n-gram
/// reuse after Lookahead decoding, arXiv 2402.02057. Guarantee: bitwise, or the distribution with
/// rejection. Cost: a pass over the logits of each guess after the first wrong one.
final class JacobiDrafter: Drafter {
  let name = "jacobi"
  private let settings: JacobiSettings
  private let vocabularyCount: Int
  private var processor: LogitsProcessor?
  private var guesses: [Guess] = []
  private var pool: NGramPool
  private var rates = GuessRates()

  /// A guess for one position; the first is for the next one.
  private struct Guess {
    let token: Int32
    let source: GuessRates.Source
    /// The two tokens that it was made after, which may have changed since; nil for fillers.
    let basis: UInt64?
    /// What the token was drawn from; nil if it was chosen.
    var distribution: DraftDistribution?
  }

  init(settings: JacobiSettings, vocabularyCount: Int) {
    self.settings = settings
    self.vocabularyCount = vocabularyCount
    pool = NGramPool(capacity: settings.poolSize)
  }

  func begin(_ context: DraftContext) throws {
    processor = try LogitsProcessor(
      options: context.sampling, vocabularyCount: vocabularyCount, seed: context.noise.seed)
    if settings.padding == .pool { pool.learn(context.tokens[...]) }
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    let length = min(budget.nodes, budget.depth)
    var tail = Array(context.tokens.suffix(NGramPool.keyLength))
    for index in 0..<length {
      let basis = NGramPool.key(tail)
      if index == guesses.count {
        guesses.append(fill(after: tail, context))
      } else if settings.padding == .pool, guesses[index].basis != basis,
        let next = pool.successor(of: basis)
      {
        // The guess was made after other tokens than now stand before it; these are known.
        guesses[index] = Guess(token: next, source: .pool, basis: basis)
      }
      tail = tail.suffix(NGramPool.keyLength - 1) + [guesses[index].token]
    }
    var above = TokenTree.root
    for guess in guesses.prefix(length) {
      if let distribution = guess.distribution {
        tree.setDistribution(distribution, below: above)
      }
      above = tree.append(
        guess.token, below: above, probability: rates.acceptance(of: guess.source))
    }
  }

  /// A guess for a position that no pass has predicted yet.
  private func fill(after tail: [Int32], _ context: DraftContext) -> Guess {
    let last = tail.last ?? 0
    switch settings.padding {
    case .pool:
      let basis = NGramPool.key(tail)
      if let next = pool.successor(of: basis) {
        return Guess(token: next, source: .pool, basis: basis)
      }
      return Guess(token: last, source: .filler, basis: nil)
    case .lastToken:
      return Guess(token: context.tokens.last ?? last, source: .filler, basis: nil)
    case .prompt:
      let position = context.position + guesses.count
      let draw = RandomStream(seed: context.noise.seed, purpose: .guesses)
        .uniform(position: position, token: 0)
      let index = min(Int(draw * Double(context.promptCount)), context.promptCount - 1)
      return Guess(token: context.tokens[max(index, 0)], source: .filler, basis: nil)
    }
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    // Other drafters may have added to the tree: this one's guesses are a chain in it.
    var chain: [Int] = []
    for guess in guesses {
      guard let node = step.tree.child(of: chain.last ?? TokenTree.root, token: guess.token) else {
        break
      }
      chain.append(node)
    }
    let right = zip(guesses.prefix(chain.count), step.emitted).prefix { $0.token == $1 }.count
    for (index, guess) in guesses.prefix(chain.count).enumerated() where index <= right {
      rates.record(guess.source, wasRight: index < right)
    }
    // Guesses that were not run stay; those that were are predicted anew.
    let settled = max(chain.count + 1, step.emitted.count)
    let untouched = guesses.dropFirst(settled)
    guesses.removeAll(keepingCapacity: true)
    if step.emitted.count == right + 1, context.position == step.position + right + 1 {
      refresh(from: chain[right...], step, context)
    }
    // Each guess is for the position after the one before.
    if guesses.count == settled - step.emitted.count { guesses += untouched }
    if settings.padding == .pool {
      pool.learn(context.tokens.suffix(step.emitted.count + NGramPool.keyLength))
    }
  }

  /// Predicts the positions after the first wrong guess from the rows of the guesses run below it.
  private func refresh(
    from chain: ArraySlice<Int>, _ step: DraftObservation, _ context: DraftContext
  ) {
    var path: [Int32] = []
    var before = context.position > 1 ? context.tokens[context.position - 2] : 0
    for (index, node) in chain.enumerated() {
      let last = step.tree.tokens[node]
      // The first wrong guess's place is taken by the token that is known to be right.
      if index > 0 { path.append(last) }
      let run = [before, last]
      guard let guess = predict(step.logits[node], context, path: path, basis: NGramPool.key(run))
      else { return }
      guesses.append(guess)
      // Predictions that the noise of later positions took part in must not find their way into
      // earlier ones: under rejection the pool learns from the output only.
      if settings.padding == .pool, !context.needsDistributions {
        pool.learn(run[...] + [guess.token])
      }
      before = last
    }
  }

  /// What the target would take next, as far as this row can tell. nil where a row cannot be
  /// processed: rows of wrong guesses are never looked at in plain decoding, so that their faults
  /// are not the generation's.
  private func predict(
    _ logits: UnsafeBufferPointer<Float>, _ context: DraftContext, path: [Int32], basis: UInt64?
  ) -> Guess? {
    guard let processor else { return nil }
    return path.withUnsafeBufferPointer { path -> Guess? in
      if context.needsDistributions, !context.sampling.isGreedy {
        let distribution = try? processor.withDistribution(
          logits: logits, history: context.history, path: path, Self.likelyPart)
        let position = context.position + path.count
        return distribution.flatMap { draw($0, context, position: position, basis: basis) }
      }
      let token = try? processor.chooseToken(
        logits: logits, history: context.history, path: path)
      return token.map { Guess(token: $0, source: .predicted, basis: basis) }
    }
  }

  /// A draft may be drawn from any distribution. Leaving out tokens of less than a thousandth of
  /// the likeliest one's probability keeps it small.
  private static func likelyPart(
    _ tokens: UnsafeBufferPointer<Int32>, _ probabilities: UnsafeBufferPointer<Double>
  ) -> DraftDistribution {
    let bound = (probabilities.max() ?? 0) * 1e-3
    let kept = probabilities.indices.filter { probabilities[$0] >= bound }
    return DraftDistribution(
      tokens: kept.map { tokens[$0] }, weights: kept.map { probabilities[$0] })
  }

  private func draw(
    _ distribution: DraftDistribution, _ context: DraftContext, position: Int, basis: UInt64?
  ) -> Guess? {
    let noise =
      settings.redraw == .coupled ? context.noise : context.noise.forStep(at: context.position)
    var best = (score: -Double.infinity, token: Int32(-1))
    for (token, probability) in zip(distribution.tokens, distribution.probabilities) {
      let score =
        ElementaryFunctions.log(probability) + noise.gumbel(position: position, token: Int(token))
      if score > best.score { best = (score, token) }
    }
    guard best.token >= 0 else { return nil }
    return Guess(
      token: best.token, source: .predicted, basis: basis, distribution: distribution)
  }
}

/// How `Jacobi` fills and redraws its window; its length is the budget of a step.
public struct JacobiSettings: Sendable, Equatable {
  /// What stands for positions that no pass has predicted yet.
  public enum Padding: String, Sendable, CaseIterable {
    /// What followed the same two tokens in prompt, output or an earlier prediction.
    case pool
    /// The latest token.
    case lastToken
    /// Tokens of the prompt, at random.
    case prompt
  }

  /// The noise of guesses that are drawn again before they were tested; under rejection only.
  public enum Redraw: String, Sendable, CaseIterable {
    /// Fixed for each position: what hardly changes stays as it is (arXiv 2510.24211).
    case coupled
    /// Fresh in every pass, as in the paper.
    case fresh
  }

  /// How the window is filled up.
  public var padding = Padding.pool
  /// How guesses are drawn again.
  public var redraw = Redraw.coupled
  /// Most n-grams of the pool, at about 40 bytes each.
  public var poolSize = 1 << 16

  /// The defaults.
  public init() {}

  /// Guesses run beside the latest token: a window of 16 rows.
  static let paperNodes = 15
}

extension DrafterKind {
  /// Jacobi decoding with settings of one's own.
  public static func jacobi(_ settings: JacobiSettings = JacobiSettings()) -> DrafterKind {
    DrafterKind(name: "jacobi", defaultNodes: JacobiSettings.paperNodes) { setup in
      JacobiDrafter(settings: settings, vocabularyCount: setup.vocabularyCount)
    }
  }
}

extension RandomStream.Purpose {
  /// Guesses at random: independent of the target's choices and of verifiers' decisions.
  static let guesses = RandomStream.Purpose(rawValue: 0x4A41_434F)
}

/// What followed two tokens last.
struct NGramPool {
  static let keyLength = 2
  private var index: SecondChanceIndex
  private var successors: [Int32] = []

  init(capacity: Int) { index = SecondChanceIndex(capacity: capacity) }

  /// Number of n-grams.
  var count: Int { index.count }

  /// Key of the last tokens of a run; nil if there are too few.
  static func key(_ tail: some BidirectionalCollection<Int32>) -> UInt64? {
    guard tail.count >= keyLength else { return nil }
    let pair = Array(tail.suffix(keyLength))
    return TrigramTable.key(pair[0], pair[1])
  }

  /// Takes in every n-gram of a run; the latest of equal beginnings stays.
  mutating func learn(_ run: ArraySlice<Int32>) {
    guard run.count > Self.keyLength else { return }
    for last in run.startIndex + Self.keyLength..<run.endIndex {
      let key = TrigramTable.key(run[last - 2], run[last - 1])
      let place = index.place(of: key) ?? index.insert(key)
      index.touch(place)
      if place == successors.count {
        successors.append(run[last])
      } else {
        successors[place] = run[last]
      }
    }
  }

  /// What followed a pair; nil if it is new.
  func successor(of key: UInt64?) -> Int32? {
    key.flatMap { index.place(of: $0) }.map { successors[$0] }
  }
}

/// How often guesses of each kind were right.
struct GuessRates {
  /// Where a guess comes from.
  enum Source: Int {
    case predicted, pool, filler
  }

  private var right = [1.0, 1.0, 0.0]
  private var tested = [2.0, 2.0, 2.0]

  func acceptance(of source: Source) -> Float {
    Float(right[source.rawValue] / tested[source.rawValue])
  }

  mutating func record(_ source: Source, wasRight: Bool) {
    right[source.rawValue] += wasRight ? 1 : 0
    tested[source.rawValue] += 1
  }
}
