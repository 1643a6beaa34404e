import Foundation
import Transformers

/// AdaDec: greedy decoding that pauses where the entropy is at or above a threshold learnt for the
/// model, looks a few tokens ahead behind each of the likeliest candidates, and takes the candidate
/// whose short future the model likes best.
///
/// He et al., "Towards Better Code Generation: Adaptive Decoding with Uncertainty Guidance", arXiv
/// 2506.08980.
///
/// A candidate's score is the mean log-probability of itself and of the tokens that greedy decoding
/// would write after it, five at most, fewer where the text ends. Only the candidate becomes output.
///
/// Guarantee: `approximate`; with the threshold at infinity, or one candidate, it is greedy decoding,
/// bit for bit.
///
/// Cost: a pause takes a pass over the candidates for each token of lookahead, as one tree. What was
/// run behind the chosen candidate is kept, and is output without another pass as long as decoding
/// does not pause again: the logits of a node are those of plain decoding, to the bit.
final class AdaDec: DecodingStrategy {
  private let options: AdaDecOptions
  private let threshold: Double
  private var entropy: TokenEntropy
  /// What is known of the next token, if its logits were met already.
  private var outlook: Outlook?

  /// - Throws: `GenerationError.invalidOption` for a model without a threshold;
  ///   `AdaDecThresholdError`, `CheckpointError`.
  init(_ run: DecodingRun, _ options: AdaDecOptions) throws {
    self.options = options
    threshold = try options.pauseEntropy ?? Self.learnt(options, run.engine.model.fileBytes)
    entropy = TokenEntropy(vocabularyCount: run.engine.model.configuration.vocabularyCount)
    run.note("pause_entropy", threshold)
    for figure in ["pauses", "changed", "reused"] { run.note(figure, 0) }
  }

  private static func learnt(_ options: AdaDecOptions, _ modelBytes: Int) throws -> Double {
    if let path = options.thresholdFile {
      let learnt = try AdaDecThreshold(contentsOf: URL(filePath: path))
      guard learnt.modelBytes == modelBytes else {
        throw AdaDecThresholdError.otherModel(file: path, model: learnt.model)
      }
      return learnt.threshold
    }
    guard let known = AdaDecThreshold.known(modelBytes: modelBytes) else {
      throw GenerationError.invalidOption(
        name: "pause entropy", value: "not known for this model",
        expected: "a threshold in nats (--pause-entropy), or a file that `foretoken train "
          + "adadec-threshold` made (--pause-threshold)")
    }
    return known.threshold
  }

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {
    let reader = OutlookReader(run, options)
    try decide(run, reader.read(logits, path: [], entropy: &entropy))
  }

  func step(_ run: DecodingRun) throws {
    if let outlook {
      self.outlook = nil
      return try decide(run, outlook)
    }
    let logits = try run.runLatest()
    try decide(run, OutlookReader(run, options).read(logits, path: [], entropy: &entropy))
  }

  /// - Parameter outlook: after the text so far, all of which is in the cache.
  private func decide(_ run: DecodingRun, _ outlook: Outlook) throws {
    guard outlook.entropy >= threshold, outlook.candidates.count > 1 else {
      run.emit(outlook.candidates[0].token, outlook.entry(0))
      return
    }
    let reader = OutlookReader(run, options)
    var lookahead = Lookahead(
      outlook.candidates,
      length: min(options.lookahead, run.engine.contextLimit - run.history.count),
      stops: run.stops)
    try lookahead.play(model: PendingForest(run)) {
      try reader.read($0, path: $1, entropy: &self.entropy)
    }
    run.count("pauses")
    if lookahead.winner != 0 { run.count("changed") }
    try take(run, lookahead.branches[lookahead.winner], outlook.entry(lookahead.winner))
  }

  /// Gives the chosen candidate out, and what greedy decoding would write after it as far as that is
  /// known and does not pause.
  private func take(
    _ run: DecodingRun, _ branch: Lookahead.Branch, _ entry: TokenLogProbabilities?
  ) throws {
    var tokens = [branch.tokens[0]]
    var goesOn = run.emit(branch.tokens[0], entry)
    var pause: Outlook?
    let known = options.reusesLookahead ? branch.outlooks : []
    for next in known where goesOn && pause == nil {
      guard next.entropy < threshold else {
        pause = next
        break
      }
      tokens.append(next.candidates[0].token)
      goesOn = run.emit(next.candidates[0].token, next.entry(0))
      run.count("reused")
    }
    // A token that ended the text is not part of it, and the last one was not always run.
    let inText = run.history.count - run.conversation.tokens.count
    let kept = min(inText, branch.nodes.count, pause == nil ? tokens.count - 1 : tokens.count)
    try run.conversation.commit(
      path: branch.nodes.prefix(max(kept, 0)), tokens: tokens.prefix(max(kept, 0)))
    outlook = pause
  }
}

/// What decoding needs to know of the next token's distribution.
struct Outlook {
  /// Of the raw logits, in nats.
  var entropy: Double
  /// The likeliest tokens after bias and penalties, likeliest first.
  var candidates: [ScoredToken]
  /// One for each candidate, if log-probabilities were asked for.
  var entries: [TokenLogProbabilities] = []

  func entry(_ candidate: Int) -> TokenLogProbabilities? {
    entries.indices.contains(candidate) ? entries[candidate] : nil
  }
}

/// Reads outlooks off rows of logits.
private struct OutlookReader {
  private let run: DecodingRun
  private let count: Int

  init(_ run: DecodingRun, _ options: AdaDecOptions) {
    self.run = run
    count = options.candidates
  }

  /// - Parameter path: tokens after the text so far, up to the row.
  func read(
    _ logits: UnsafeBufferPointer<Float>, path: [Int32], entropy: inout TokenEntropy
  ) throws -> Outlook {
    let position = run.history.count + path.count
    let candidates = try run.processor.withScores(logits, history: run.history, path: path) {
      $0.likeliest(count)
    }
    guard !candidates.isEmpty else { throw SamplingError.noCandidates(position: position) }
    return Outlook(
      entropy: try entropy.nats(logits, position: position), candidates: candidates,
      entries: try candidates.compactMap {
        try run.logProbabilities($0.token, logits: logits, position: position)
      })
  }
}

extension DecodingKind {
  static let adaDec = DecodingKind(
    name: "adadec", abilities: [], validate: { try $0.pausing.validate() },
    make: { try AdaDec($0, $0.options.search.pausing) })
}
