import Compute
import Foundation
import Transformers

/// Superposed Decoding: several drafts of a text for the price of one. Every step feeds the model one
/// weighted mix of the embeddings of the drafts' latest tokens, and all drafts go on from the one
/// distribution that comes out.
///
/// Shen et al., "Superposed Decoding: Multiple Generations from a Single Autoregressive Inference
/// Pass", NeurIPS 2024, arXiv 2405.18400.
///
/// The mix weighs each draft by the softmax of its score. The model's distribution, sharpened by a
/// small temperature, is the same for all drafts; what sets them apart is a filter of n-grams
/// (`NGramModel`), which asks for each draft which of the kept tokens follow its own latest tokens in
/// a large text. The keys and values of a step belong to all drafts and to none: they are dropped at
/// the end, and the conversation goes on from the prompt.
///
/// Guarantee: `approximate`; without n-grams one draft is greedy decoding, bit for bit, since its mix
/// is the token's own embedding.
///
/// Cost: one pass of one row for each token, whatever the number of drafts. At the end one more pass
/// (of at most 64 rows; more if the drafts have more tokens) scores the drafts under the model itself.
final class SuperposedDecoding: DecodingStrategy {
  private let options: SuperposedOptions
  private let ngrams: NGramInterpolation?
  private var drafts: SuperposedDrafts
  private let length: Int
  private var cache: KVCache
  private var prompt: [Int32]
  /// Log-probabilities of the prompt's continuation, for the tokens that drafts begin with.
  private var first: [Int32: TokenLogProbabilities] = [:]
  /// Tokens of the drafts so far, and as of the latest reset.
  private var written = 0
  private var resetAt = 0

  /// - Throws: `NGramModelError`, `CheckpointError`, `GenerationError.invalidOption`.
  init(_ run: DecodingRun, _ options: SuperposedOptions) throws {
    guard !run.options.sampling.hasPenalties else {
      throw GenerationError.invalidOption(
        name: "decoding", value: "superposed with penalties",
        expected: "no penalties: the drafts have different histories and one distribution")
    }
    self.options = options
    ngrams = try options.ngrams.map {
      NGramInterpolation(
        model: try NGramModel(contentsOf: URL(filePath: $0), tokenizer: run.tokenizer),
        weights: options.orderWeights)
    }
    drafts = SuperposedDrafts(options, stops: run.stops)
    length = min(options.length, run.tokensLeft)
    cache = run.conversation.cache
    prompt = run.prompt
  }

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {
    cache = run.conversation.cache.fork()
    try take(run, logits)
  }

  func step(_ run: DecodingRun) throws {
    let mix = drafts.mix
    var row = [Float](repeating: 0, count: run.engine.model.configuration.hiddenSize)
    for (token, weight) in mix {
      let embedding = try run.engine.model.embedding(of: token)
      // A single token's embedding stays as it is, to the bit.
      let weight = mix.count == 1 ? 1 : Float(weight)
      for index in row.indices { row[index] += weight * embedding[index] }
    }
    var batch = ForwardBatch()
    batch.append(embeddings: row, parents: [-1], to: cache)
    let output = try run.forward(batch)
    try cache.commitAll()
    try take(run, output.logits(0))
  }

  /// Continues the drafts by one token each.
  private func take(_ run: DecodingRun, _ logits: UnsafeBufferPointer<Float>) throws {
    let kept = try run.processor.withAdjustedLogits(logits: logits, history: run.history) {
      SuperposedDrafts.kept($0, options)
    }
    guard !kept.isEmpty else { throw SamplingError.noCandidates(position: run.history.count) }
    if written == 0 {
      for (token, _) in kept {
        first[token] = try TokenLogProbabilities(
          logits: logits, token: token, topCount: run.options.logProbabilities ?? 0,
          position: run.history.count)
      }
    }
    drafts.extend(
      kept,
      known: ngrams.map { ngrams in
        { ngrams.probabilities(of: $1, after: Self.latest(self.prompt, $0.tokens)) }
      })
    written += 1
    if !run.options.stopStrings.isEmpty { drafts.finish { endsByString($0, run) } }
    if written >= length || drafts.isSettled { return try finish(run) }
    if let interval = options.resetEvery, written - resetAt >= interval { try reset(run) }
  }

  /// The latest tokens of a draft and the prompt before it, as many as n-grams look at.
  private static func latest(_ prompt: [Int32], _ draft: [Int32]) -> [Int32] {
    let count = NGramModel.maximumOrder - 1
    return prompt.suffix(max(count - draft.count, 0)) + draft.suffix(count)
  }

  private func endsByString(_ draft: SuperposedDrafts.Draft, _ run: DecodingRun) -> Bool {
    var text = run.makeText()
    return draft.tokens.contains { text.append($0, logProbabilities: nil).stop != nil }
  }

  /// Draws one draft, and lets the model read its real tokens in place of the superposed ones.
  private func reset(_ run: DecodingRun) throws {
    let noise = RandomStream(seed: run.seed, purpose: .target)
    drafts.reset(noise.uniform(position: run.history.count + written, token: 0))
    guard let draft = drafts.live.first, draft.tokens.count > resetAt else { return }
    try cache.truncate(to: prompt.count + resetAt)
    // The last token is the next step's.
    let tokens = draft.tokens[resetAt..<draft.tokens.count - 1]
    if !tokens.isEmpty {
      var batch = ForwardBatch()
      batch.append(chain: tokens, to: cache, logits: .none)
      _ = try run.forward(batch)
      try cache.commitAll()
    }
    resetAt = draft.tokens.count
  }

  // MARK: The end

  private func finish(_ run: DecodingRun) throws {
    let ranked = drafts.ranked
    let scores = try rescore(ranked, run)
    cache.release()
    run.finish(
      candidates: ranked.enumerated().map { index, draft in
        let entries = scores[index]
        return FoundText(
          tokens: draft.tokens, score: draft.score,
          logProbability: entries.reduce(0) { $0 + Double($1.chosen.logProbability) },
          reason: draft.end.map { .stopToken($0) } ?? stopString(draft, run) ?? run.limitReason,
          logProbabilities: run.options.logProbabilities == nil
            ? [] : Array(entries.prefix(draft.tokens.count)))
      }, listing: options.drafts)
  }

  private func stopString(_ draft: SuperposedDrafts.Draft, _ run: DecodingRun) -> FinishReason? {
    var text = run.makeText()
    for token in draft.tokens {
      if let stop = text.append(token, logProbabilities: nil).stop { return .stopString(stop) }
    }
    return nil
  }

  /// Log-probabilities of each draft's tokens, its end included, under the model: all drafts as one
  /// tree below the prompt.
  private func rescore(
    _ ranked: [SuperposedDrafts.Draft], _ run: DecodingRun
  ) throws -> [[TokenLogProbabilities]] {
    let texts = ranked.map { $0.tokens + ($0.end.map { [$0] } ?? []) }
    var tree = TokenTree()
    let nodes = texts.map { text in
      var path: [Int] = []
      for token in text.dropLast() {
        path.append(tree.append(token, below: path.last ?? TokenTree.root))
      }
      return path
    }
    var entries = texts.map { text in text.prefix(1).compactMap { first[$0] } }
    let topCount = run.options.logProbabilities ?? 0
    for begin in stride(from: 0, to: tree.count, by: 64) {
      let rows = begin..<min(begin + 64, tree.count)
      var batch = ForwardBatch()
      batch.append(
        tree: tree.tokens[rows], parents: tree.parents[rows], to: run.conversation.cache)
      let output = try run.forward(batch)
      for (index, path) in nodes.enumerated() {
        for (place, node) in path.enumerated() where rows.contains(node) {
          entries[index].append(
            try TokenLogProbabilities(
              logits: output.logits(node - begin), token: texts[index][place + 1],
              topCount: topCount, position: run.history.count + place + 1))
        }
      }
    }
    run.conversation.cache.rollback()
    return entries
  }
}

extension DecodingKind {
  static let superposed = DecodingKind(
    name: "superposed", abilities: [.listsCandidates],
    validate: { try $0.superposed.validate() },
    make: { try SuperposedDecoding($0, $0.options.search.superposed) })
}

/// Interpolated probabilities of the next token after the latest few, from a text's counts.
struct NGramInterpolation {
  let model: NGramModel
  /// Weights of runs of 2, 3 and so on tokens.
  let weights: [Double]

  /// Σ λ_n count(context, token) / count(context) over the lengths n whose context the text has.
  func probabilities(of tokens: [Int32], after history: [Int32]) -> [Double] {
    var sums = [Double](repeating: 0, count: tokens.count)
    for (index, weight) in weights.enumerated() where weight > 0 && history.count > index {
      let counts = model.counts(of: tokens, after: history.suffix(index + 1))
      guard counts.context > 0 else { continue }
      for (place, count) in counts.tokens.enumerated() {
        sums[place] += weight * Double(count) / Double(counts.context)
      }
    }
    return sums
  }
}
