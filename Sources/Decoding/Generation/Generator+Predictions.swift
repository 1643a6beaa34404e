import Transformers

extension Generator {
  /// Bytes of the model's file.
  public var modelBytes: Int { engine.model.fileBytes }

  /// How sure the model is of the tokens of a given text, and how right: what AdaDec's threshold is
  /// learnt from.
  ///
  /// - Parameters:
  ///   - tokens: the text, at most as many as the context holds.
  ///   - first: place of the first token that is predicted, 1 or more.
  /// - Throws: `ForwardError`, `SamplingError`, `GenerationError.promptTooLong`.
  public func predictions(
    of tokens: [Int32], from first: Int
  ) throws -> [AdaDecThreshold.Step] {
    guard tokens.count <= engine.contextLimit else {
      throw GenerationError.promptTooLong(tokens: tokens.count, limit: engine.contextLimit)
    }
    guard first > 0, first < tokens.count else { return [] }
    let cache = engine.makeCache()
    defer { cache.release() }
    if first > 1 { _ = try engine.prefill(tokens[..<(first - 1)], into: cache) }
    var entropy = TokenEntropy(vocabularyCount: configuration.vocabularyCount)
    var steps: [AdaDecThreshold.Step] = []
    var batch = ForwardBatch()
    // Few rows a pass: each has logits for the whole vocabulary.
    for begin in stride(from: first - 1, to: tokens.count - 1, by: 32) {
      let rows = begin..<min(begin + 32, tokens.count - 1)
      batch.removeAll()
      batch.append(chain: tokens[rows], to: cache, logits: .all)
      let output = try engine.forward(batch)
      try cache.commitAll()
      for row in rows {
        let logits = output.logits(row - begin)
        steps.append(
          AdaDecThreshold.Step(
            entropy: try entropy.nats(logits, position: row + 1),
            rank: Self.rank(of: tokens[row + 1], logits)))
      }
    }
    return steps
  }

  /// Tokens that are likelier; of equally likely ones those of lower ids.
  private static func rank(of token: Int32, _ logits: UnsafeBufferPointer<Float>) -> Int {
    let place = Int(token)
    guard logits.indices.contains(place) else { return logits.count }
    let own = logits[place]
    return logits.indices.count { logits[$0] > own || (logits[$0] == own && $0 < place) }
  }
}
