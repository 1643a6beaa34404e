/// The tokens before the one to be chosen: what penalties look at.
///
/// A node of a token tree has the history that plain decoding would have there: the committed
/// tokens followed by the node's own path. Both parts are given separately, so that a tree is
/// verified without copying the committed tokens for each node.
public struct TokenHistory: Sendable, Equatable {
  /// Committed tokens, prompt included.
  public private(set) var tokens: [Int32]

  /// A history that starts with `tokens`; `capacity` tokens fit without another allocation.
  public init(_ tokens: some Collection<Int32> = [], capacity: Int = 0) {
    self.tokens = []
    self.tokens.reserveCapacity(max(capacity, tokens.count))
    self.tokens.append(contentsOf: tokens)
  }

  /// Number of committed tokens: the position of the next one.
  public var count: Int { tokens.count }

  /// Commits one more token.
  public mutating func append(_ token: Int32) { tokens.append(token) }

  /// Calls `body` with each of the last `window` tokens of the committed tokens and `path`.
  func forEach(
    last window: Int?, path: UnsafeBufferPointer<Int32>, _ body: (Int32) -> Void
  ) {
    let window = min(window ?? .max, tokens.count + path.count)
    let fromPath = min(window, path.count)
    for index in (tokens.count - (window - fromPath))..<tokens.count { body(tokens[index]) }
    for index in (path.count - fromPath)..<path.count { body(path[index]) }
  }
}
