import Compute
import Transformers

/// Settings of `--decode contrastive`.
public struct ContrastiveSearchOptions: Sendable, Equatable {
  /// Likeliest tokens that are compared (the paper's k), 1 to 64. With 1 it is greedy decoding.
  public var candidates: Int
  /// Weight of the similarity (the paper's α), 0 to 1: 0 is greedy decoding, 1 ignores
  /// probabilities. Less, such as 0.4 with three candidates, for code and translation.
  public var penalty: Double
  /// Whether hidden states of the prompt count as text that is not to be repeated.
  public var comparesPrompt: Bool
  /// Leaves out the first position, whose hidden state is an outlier in many models.
  public var skipsFirst: Bool

  /// The paper's setting for open-ended text.
  public init(
    candidates: Int = 5, penalty: Double = 0.6, comparesPrompt: Bool = true,
    skipsFirst: Bool = false
  ) {
    self.candidates = candidates
    self.penalty = penalty
    self.comparesPrompt = comparesPrompt
    self.skipsFirst = skipsFirst
  }

  func validate() throws {
    try SearchOptions.check("contrastive candidates", candidates, 1...64, "1 to 64")
    try SearchOptions.check("degeneration penalty", penalty, 0...1, "a number from 0 to 1")
  }
}

/// Contrastive search: of the likeliest tokens takes the one that is probable and whose hidden state
/// is least similar to those of the text so far (Su and Collier, arXiv 2210.14140).
///
/// The candidates are siblings of one tree and are run in one pass, which is also the pass of the
/// token that is taken: its logits give the next candidates. A token costs one pass of k rows.
final class ContrastiveSearch: DecodingStrategy {
  /// A token that may come next.
  struct Candidate {
    var token: Int32
    /// Its probability among all tokens, after bias and penalties.
    var probability: Double
    var entry: TokenLogProbabilities?
  }

  private let options: ContrastiveSearchOptions
  private var bank: HiddenBank
  private var candidates: [Candidate] = []
  private var batch = ForwardBatch()

  init(_ options: ContrastiveSearchOptions, hiddenSize: Int) {
    self.options = options
    bank = HiddenBank(width: hiddenSize)
  }

  /// What the head multiplies: the last layer of the paper.
  let promptOptions = ForwardOptions(taps: [.finalNorm])

  /// The hidden states of an earlier turn are gone, so the whole prompt is run.
  var reusesPrefix: Bool { false }

  func observePrompt(_ output: ForwardOutput, rows: Int, run: DecodingRun) throws {
    bank.append(rows: output.tap(0))
  }

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {
    try choose(run, logits)
  }

  func step(_ run: DecodingRun) throws {
    let cache = run.conversation.cache
    guard cache.length < run.engine.contextLimit else {
      run.finish(.contextFull(limit: run.engine.contextLimit))
      return
    }
    batch.removeAll()
    batch.append(
      tree: candidates.map(\.token), parents: candidates.map { _ in -1 }, to: cache, logits: .all)
    let output = try run.forward(batch, options: promptOptions)
    let winner = best(output.tap(0), first: firstCompared(run))
    let (token, entry) = (candidates[winner].token, candidates[winner].entry)
    bank.append(row(winner, of: output.tap(0)))
    try run.conversation.commit(path: [winner], tokens: [token])
    guard run.emit(token, entry) else { return }
    try choose(run, output.logits(winner))
  }

  private func firstCompared(_ run: DecodingRun) -> Int {
    options.comparesPrompt ? (options.skipsFirst ? 1 : 0) : run.prompt.count
  }

  /// The candidate of the best score, of equal ones the likelier.
  private func best(_ hidden: UnsafeBufferPointer<Float>, first: Int) -> Int {
    var best = (index: 0, score: -Double.infinity)
    for (index, candidate) in candidates.enumerated() {
      let cosine = bank.nearest(to: row(index, of: hidden), from: first)?.cosine ?? 0
      let score = Self.score(
        probability: candidate.probability, cosine: Double(cosine), penalty: options.penalty)
      if score > best.score { best = (index, score) }
    }
    return best.index
  }

  /// (1 − α) p − α cos.
  static func score(probability: Double, cosine: Double, penalty: Double) -> Double {
    (1 - penalty) * probability - penalty * cosine
  }

  private func row(
    _ index: Int, of hidden: UnsafeBufferPointer<Float>
  ) -> UnsafeBufferPointer<Float> {
    let begin = index * bank.width
    guard begin + bank.width <= hidden.count else { return .init(start: nil, count: 0) }
    return UnsafeBufferPointer(rebasing: hidden[begin..<begin + bank.width])
  }

  /// The likeliest next tokens.
  private func choose(_ run: DecodingRun, _ logits: UnsafeBufferPointer<Float>) throws {
    let likeliest = try run.processor.withScores(logits, history: run.history) {
      $0.likeliest(options.candidates)
    }
    guard !likeliest.isEmpty else {
      throw SamplingError.noCandidates(position: run.history.count)
    }
    candidates = try likeliest.map {
      Candidate(
        token: $0.token, probability: ElementaryFunctions.exp($0.logProbability),
        entry: try run.logProbabilities($0.token, logits: logits, position: run.history.count))
    }
  }
}

extension DecodingKind {
  /// `--decode contrastive`.
  static let contrastive = DecodingKind(
    name: "contrastive", abilities: [],
    validate: { try $0.contrastive.validate() },
    make: { run in
      ContrastiveSearch(
        run.options.search.contrastive, hiddenSize: run.engine.model.configuration.hiddenSize)
    })
}
