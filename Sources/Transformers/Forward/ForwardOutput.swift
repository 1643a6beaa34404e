/// Views into the engine's buffers, valid until the engine's next pass.
public struct ForwardOutput {
  let logitsBase: UnsafeMutablePointer<Float>?
  let logitsCount: Int
  let logitsStride: Int
  let tapBases: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>?
  let tapCount: Int
  let tapFloats: Int
  let owner: ForwardEngine

  /// Rows that logits were asked for.
  public let logitsRowCount: Int

  /// Logits of the `row`-th node they were asked for: [vocabulary], or [candidates] if the batch
  /// names some. Empty if there is no such row.
  public func logits(_ row: Int) -> UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(mutableLogits(row))
  }

  /// The same, to be processed in place.
  public func mutableLogits(_ row: Int) -> UnsafeMutableBufferPointer<Float> {
    guard let logitsBase, (0..<logitsRowCount).contains(row) else { return .init(_empty: ()) }
    return UnsafeMutableBufferPointer(
      start: logitsBase + row * logitsStride, count: logitsCount)
  }

  /// The `index`-th tap of the options: [rows, hiddenSize]. Empty if there is no such tap.
  public func tap(_ index: Int) -> UnsafeBufferPointer<Float> {
    guard (0..<tapCount).contains(index), let base = tapBases?[index] else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    return UnsafeBufferPointer(start: base, count: tapFloats)
  }
}

extension UnsafeMutableBufferPointer {
  fileprivate init(_empty: Void) { self.init(start: nil, count: 0) }
}

/// What an engine has done so far.
public struct ForwardStatistics: Sendable, Equatable {
  /// Forward passes.
  public var passes = 0
  /// Rows (nodes) over all passes.
  public var rows = 0
  /// Rows with logits.
  public var logitsRows = 0
  /// Nanoseconds on the clock by kind of operation, if the engine was told to profile.
  public var profile: [String: UInt64] = [:]
  /// Nanoseconds that all workers together spent inside operations, if the engine was told to
  /// profile. What is missing from threads × clock was spent waiting and between operations.
  public var workNanoseconds: UInt64 = 0
}
