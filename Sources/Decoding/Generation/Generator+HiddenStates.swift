import Transformers

extension Generator {
  /// The final norm's output at every place of a text, at the speed of prefill: what draft heads are
  /// trained on.
  ///
  /// - Returns: [tokens, hiddenSize].
  /// - Throws: `ForwardError`, `GenerationError.promptTooLong`.
  public func hiddenStates(of tokens: [Int32]) throws -> [Float] {
    guard tokens.count <= engine.contextLimit else {
      throw GenerationError.promptTooLong(tokens: tokens.count, limit: engine.contextLimit)
    }
    let cache = engine.makeCache()
    defer { cache.release() }
    let options = ForwardOptions(taps: [.finalNorm])
    var states: [Float] = []
    states.reserveCapacity(tokens.count * configuration.hiddenSize)
    var batch = ForwardBatch()
    for begin in stride(from: 0, to: tokens.count, by: 256) {
      batch.removeAll()
      batch.append(chain: tokens[begin..<min(begin + 256, tokens.count)], to: cache, logits: .last)
      states += try engine.forward(batch, options: options).tap(0)
      try cache.commitAll()
    }
    return states
  }

  /// Rows of the model's head: [tokens, hiddenSize].
  public func headRows(of tokens: [Int32]) throws -> [Float] {
    try engine.model.headRows(of: tokens)
  }

  /// Embeddings of tokens, as the first layer gets them: [tokens, hiddenSize].
  public func embeddings(of tokens: [Int32]) throws -> [Float] {
    try tokens.flatMap { try engine.model.embedding(of: $0) }
  }
}
