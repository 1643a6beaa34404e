extension ForwardEngine {
  /// Microseconds of a pass of `rows` new tokens, each with logits, at the beginning of a sequence.
  ///
  /// Leaves no trace but buffers of that size: the sequence is given back and the statistics are
  /// as they were.
  ///
  /// - Throws: `ForwardError`, for more rows than a pass or the context holds.
  public func timePass(rows: Int) throws -> Double {
    let before = statistics
    defer { statistics = before }
    let cache = makeCache()
    defer { cache.release() }
    var batch = ForwardBatch()
    batch.append(chain: repeatElement(0, count: rows), to: cache, logits: .all)
    let clock = ContinuousClock()
    let began = clock.now
    _ = try forward(batch)
    return began.duration(to: clock.now) / .microseconds(1)
  }
}
