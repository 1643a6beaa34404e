import Transformers

@testable import Decoding

/// Scores whole texts, each run alone in a cache of its own, one token after another.
final class SequenceScorer {
  private let engine: ForwardEngine
  private let processor: LogitsProcessor

  init(_ engine: ForwardEngine, sampling: SamplingOptions = .greedy) throws {
    self.engine = engine
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: engine.model.configuration.vocabularyCount, seed: 0)
  }

  /// log p of each token given those before it.
  func logProbabilities(of tokens: [Int32], after prompt: [Int32]) throws -> [Double] {
    let cache = engine.makeCache()
    let history = TokenHistory(prompt)
    var output = try engine.prefill(prompt, into: cache)
    var found: [Double] = []
    for index in tokens.indices {
      let path = Array(tokens[..<index])
      found.append(
        try processor.withScores(output.logits(0), history: history, path: path) {
          $0.logProbability(of: tokens[index])
        })
      guard index + 1 < tokens.count else { break }
      var batch = ForwardBatch()
      batch.append(chain: [tokens[index]], to: cache)
      output = try engine.forward(batch)
      try cache.commitAll()
    }
    return found
  }

  /// The sum, added in the order of the tokens.
  func logProbability(of tokens: [Int32], after prompt: [Int32]) throws -> Double {
    try logProbabilities(of: tokens, after: prompt).reduce(0, +)
  }
}
