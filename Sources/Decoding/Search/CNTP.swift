import Compute
import Tokenization
import Transformers

/// Cautious Next Token Prediction: where the model is unsure, several continuations are sampled up to
/// the next punctuation mark, and the one that the model finds most probable is kept.
///
/// Wang et al., "Cautious Next Token Prediction", arXiv 2507.03038.
///
/// At each step the entropy of the distribution that tokens are drawn from (after temperature and
/// truncation, in nats) says how many trials there are (`CNTPOptions.trialCount`). With one, a token
/// is drawn as in plain sampling, from the same noise. With more, trials are drawn token by token
/// until a punctuation mark, a token that ends the text, or the limit; the trial of the lowest
/// perplexity, the exponential of the mean of -log p over its own tokens, becomes output as a whole.
///
/// Guarantee: `approximate`, a biased sampler on purpose. With the low threshold at infinity, or one
/// trial at most, it is plain sampling, token by token for the same seed. The text depends on the
/// seed alone: trial i of the round that begins at a position has noise of its own.
///
/// Cost: one pass for each token of the round's longest trial, over as many rows as trials are still
/// running and differ. Trials are a token tree below the committed text, so that what they begin
/// with in common is run once, and adopting one moves its rows.
final class CautiousDecoding: DecodingStrategy {
  private let options: CNTPOptions

  init(_ options: CNTPOptions) { self.options = options }

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {
    try decide(run, logits)
  }

  func step(_ run: DecodingRun) throws {
    try decide(run, run.runLatest())
  }

  private func decide(_ run: DecodingRun, _ logits: UnsafeBufferPointer<Float>) throws {
    let count = try trialCount(run, logits)
    run.count("decisions")
    guard count > 1 else {
      let token = try run.processor.chooseToken(logits: logits, history: run.history)
      try run.emit(token, logits: logits)
      return
    }
    var round = TrialRound(
      options: options, processor: run.processor, history: run.history, seed: run.seed,
      stops: run.stops, count: count, room: PendingForest.room(run), left: run.tokensLeft)
    round.logProbabilities = run.options.logProbabilities
    let winner = try round.play(
      first: logits, model: PendingForest(run), endsClause: Self.endsClause(run.tokenizer))
    run.count("rounds")
    run.count("trials", Double(count))
    run.count("single_token_rounds", winner.tokens.count == 1 ? 1 : 0)
    try adopt(winner, run)
  }

  private func trialCount(
    _ run: DecodingRun, _ logits: UnsafeBufferPointer<Float>
  ) throws -> Int {
    // Nothing can be compared at temperature 0: all trials would be the same.
    guard options.trials > 1, options.lowEntropy < .infinity, !run.options.sampling.isGreedy
    else { return 1 }
    let entropy = try run.processor.withDistribution(logits: logits, history: run.history) {
      TokenEntropy.nats($1)
    }
    return options.trialCount(entropy: entropy)
  }

  /// Gives the winner out, and keeps its rows but for the last token's, which was never run.
  private func adopt(_ winner: TrialRound.Trial, _ run: DecodingRun) throws {
    let before = run.history.count
    for (index, token) in winner.tokens.enumerated() {
      let entry =
        winner.logProbabilities.indices.contains(index)
        ? winner.logProbabilities[index] : nil
      guard run.emit(token, entry) else { break }
    }
    let kept = max(min(run.history.count - before, winner.nodes.count), 0)
    try run.conversation.commit(
      path: winner.nodes.prefix(kept), tokens: winner.tokens.prefix(kept))
  }

  /// Whether a trial may end with the token: its text, trailing spaces aside, ends in punctuation.
  static func endsClause(_ tokenizer: Tokenizer) -> (Int32) -> Bool {
    { Punctuation.ends(tokenizer.bytes(of: $0)) }
  }
}

extension DecodingKind {
  static let cautious = DecodingKind(
    name: "cautious", abilities: [.samples], validate: { try $0.cautious.validate() },
    make: { CautiousDecoding($0.options.search.cautious) })
}

/// Marks that end a clause.
enum Punctuation {
  private static let marks: [[UInt8]] =
    [".", ",", "\n", "?", "!", ":", ";", ")", "]", "}"].map { Array($0.utf8) }
    + ["。", "，", "？", "！", "；", "："].map { Array($0.utf8) }

  /// True if the bytes, spaces, tabs and returns at the end aside, end in a mark.
  ///
  /// The authors' program compares with the single tokens of the marks alone, which misses tokens
  /// such as `).` that byte-level vocabularies are full of.
  static func ends(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
    var end = bytes.endIndex
    while end > bytes.startIndex, [0x20, 0x09, 0x0D].contains(bytes[bytes.index(before: end)]) {
      end = bytes.index(before: end)
    }
    let text = bytes[..<end]
    return marks.contains { text.count >= $0.count && text.suffix($0.count).elementsEqual($0) }
  }
}
