import Transformers

extension Generator {
  /// A vector for a text: the mean of the final norm's outputs at all tokens, scaled to length 1.
  ///
  /// A decoder was not trained for this; models that were give better neighbours. It is run beside the
  /// generations, 64 tokens a pass.
  ///
  /// - Parameters:
  ///   - tokens: the text, 1 token or more, at most as many as the context holds.
  ///   - cancellation: ends the work.
  /// - Returns: [hiddenSize], the same bits whatever else runs.
  /// - Throws: `GenerationError`, `ForwardError`, `CancellationError`.
  public func embedding(
    of tokens: [Int32], cancellation: GenerationCancellation? = nil
  ) async throws -> [Float] {
    guard !tokens.isEmpty else { throw GenerationError.emptyPrompt }
    guard tokens.count <= engine.contextLimit else {
      throw GenerationError.promptTooLong(tokens: tokens.count, limit: engine.contextLimit)
    }
    let cache = engine.makeCache()
    defer { cache.release() }
    let size = configuration.hiddenSize
    let options = ForwardOptions(taps: [.finalNorm])
    var sum = [Double](repeating: 0, count: size)
    var batch = ForwardBatch()
    for begin in stride(from: 0, to: tokens.count, by: 64) {
      if cancellation?.isCancelled == true { throw CancellationError() }
      batch.removeAll()
      batch.append(chain: tokens[begin..<min(begin + 64, tokens.count)], to: cache, logits: .none)
      let states = try engine.forward(batch, options: options).tap(0)
      for index in states.indices { sum[index % size] += Double(states[index]) }
      try cache.commitAll()
      // Others' passes come between.
      await Task.yield()
    }
    let length = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return sum.map { Float(length > 0 ? $0 / length : 0) }
  }
}
