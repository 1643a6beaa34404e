import Constraints
import Tokenization

/// Knows the place in the grammar of one generation's output and of every path drafted below it.
///
/// The place is a function of the tokens, like everything that the logits processor looks at: nodes
/// of a tree may be asked for in any order. Committed tokens are followed once.
final class ConstraintTracker {
  let matcher: ConstraintMatcher
  private let tokenizer: Tokenizer
  private let promptCount: Int
  private var epoch: Int32 = -1
  /// The place after the first `committedCount` tokens of the output.
  private var committed: ConstraintState?
  private var committedCount = 0
  /// The path that was asked for last, and the places after its tokens.
  private var path: [Int32] = []
  private var pathStates: [ConstraintState] = []

  /// - Parameter promptCount: tokens of the history that are not part of the text.
  init(_ matcher: ConstraintMatcher, tokenizer: Tokenizer, promptCount: Int) {
    self.matcher = matcher
    self.tokenizer = tokenizer
    self.promptCount = promptCount
  }

  /// The place after `history` and `path`.
  /// - Throws: `ConstraintError.noToken` for tokens that the constraint does not allow,
  ///   `ConstraintError.tooAmbiguous`.
  func state(
    _ history: TokenHistory, _ path: some RandomAccessCollection<Int32> = [Int32]()
  ) throws -> ConstraintState {
    var state = try root(history)
    let common = zip(path, self.path).prefix { $0 == $1 }.count
    self.path.removeSubrange(common...)
    pathStates.removeSubrange(common...)
    if let last = pathStates.last { state = last }
    for token in path.dropFirst(common) {
      state = try advance(state, token, history)
      self.path.append(token)
      pathStates.append(state)
    }
    return state
  }

  /// The place after the committed tokens.
  private func root(_ history: TokenHistory) throws -> ConstraintState {
    matcher.renewIfLarge()
    var state: ConstraintState
    if let committed, epoch == matcher.epoch, committedCount <= history.count - promptCount {
      state = committed
    } else {
      state = try matcher.start()
      committedCount = 0
      path.removeAll()
      pathStates.removeAll()
    }
    if committedCount < history.count - promptCount {
      for token in history.tokens[(promptCount + committedCount)...] {
        state = try advance(state, token, history)
      }
      // What was below the tokens before is below other tokens now.
      path.removeAll()
      pathStates.removeAll()
    }
    committed = state
    committedCount = history.count - promptCount
    epoch = matcher.epoch
    return state
  }

  private func advance(
    _ state: ConstraintState, _ token: Int32, _ history: TokenHistory
  ) throws -> ConstraintState {
    if let next = try matcher.advance(state, token) { return next }
    throw noToken(history)
  }

  /// The error for a place at which no token is left.
  func noToken(_ history: TokenHistory) -> ConstraintError {
    .noToken(text: tokenizer.decode(history.tokens.dropFirst(promptCount).suffix(40)))
  }

  /// Bans every token that the constraint does not allow at this node.
  ///
  /// - Parameter logits: [vocabulary], changed in place.
  /// - Throws: as `state(_:_:)`.
  func mask(
    _ logits: inout [Float], _ history: TokenHistory, _ path: UnsafeBufferPointer<Int32>
  ) throws {
    let state = try state(history, path)
    try matcher.withMask(state) { words in
      logits.withUnsafeMutableBufferPointer { logits in
        for token in logits.indices.dropFirst(words.count * 64) { logits[token] = -.infinity }
        for (index, word) in words.enumerated() where word != .max {
          let tokens = (index * 64)..<min(index * 64 + 64, logits.count)
          if word == 0 {
            for token in tokens { logits[token] = -.infinity }
          } else {
            for token in tokens where word >> UInt64(token & 63) & 1 == 0 {
              logits[token] = -.infinity
            }
          }
        }
      }
    }
  }
}

// MARK: - Drafts

extension ConstraintTracker {
  /// Longest run of tokens that is added to a drafted path.
  private static let mostForced = 16
  /// What a token of the only possible text counts as, whose division into tokens is a guess.
  private static let likelyProbability: Float = 0.8

  /// Drops drafted nodes that the constraint forbids, and what is below them.
  ///
  /// A forbidden node that was drawn stays, without what is below it: verifiers by rejection test
  /// draws against the distribution they came from, and refuse it for its probability of 0.
  ///
  /// - Throws: `ConstraintError.tooAmbiguous`.
  func prune(_ tree: inout TokenTree, _ history: TokenHistory) throws {
    guard !tree.isEmpty else { return }
    let root = try state(history)
    var states: [ConstraintState?] = []
    var values: [Float] = []
    for node in 0..<tree.count {
      let parent = Int(tree.parents[node])
      let above = parent < 0 ? root : states[parent]
      let state = try above.flatMap { try matcher.advance($0, tree.tokens[node]) }
      states.append(state)
      let wasDrawn = above != nil && tree.distribution(below: parent) != nil
      values.append(state != nil || wasDrawn ? 1 : 0)
    }
    tree.keep(values.count { $0 > 0 }, by: values)
  }

  /// Adds what must follow: below the root and below every leaf the tokens that are the only ones
  /// possible, and below the root, as a guess, the tokens of the only text that is possible.
  ///
  /// - Parameters:
  ///   - limit: most nodes of the tree, and its longest path.
  ///   - origin: index of the drafter that the nodes count as.
  /// - Throws: `ConstraintError.tooAmbiguous`.
  func extend(
    _ tree: inout TokenTree, _ history: TokenHistory, limit: DraftBudget, origin: UInt8 = 0
  ) throws {
    // Where children were drawn, another one would change the law of their draws.
    guard !tree.isDrawn else { return }
    let leaves = (0..<tree.count).filter { tree.firstChild(below: $0) == nil }
    for leaf in leaves {
      try appendForced(
        below: leaf, state(history, tree.path(to: leaf)), &tree, limit, origin)
    }
    let end = try appendForced(below: TokenTree.root, state(history), &tree, limit, origin)
    try appendLikely(below: end.node, end.state, &tree, limit, origin)
  }

  /// Adds only the tokens below the root that are certain.
  func appendCertain(
    _ tree: inout TokenTree, _ history: TokenHistory, limit: DraftBudget
  ) throws {
    guard !tree.isDrawn else { return }
    _ = try appendForced(below: TokenTree.root, state(history), &tree, limit, 0)
  }

  @discardableResult
  private func appendForced(
    below node: Int, _ state: ConstraintState, _ tree: inout TokenTree, _ limit: DraftBudget,
    _ origin: UInt8
  ) throws -> (node: Int, state: ConstraintState) {
    var (node, state) = (node, state)
    var level = node < 0 ? 0 : Int(tree.depths[node]) + 1
    let last = min(limit.depth, level + Self.mostForced)
    while level < last, let token = try matcher.onlyToken(state),
      let next = try matcher.advance(state, token),
      tree.count < limit.nodes || tree.child(of: node, token: token) != nil
    {
      node = tree.append(token, below: node, probability: 1, origin: origin)
      state = next
      level += 1
    }
    return (node, state)
  }

  private func appendLikely(
    below node: Int, _ state: ConstraintState, _ tree: inout TokenTree, _ limit: DraftBudget,
    _ origin: UInt8
  ) throws {
    let bytes = try matcher.forcedBytes(state, most: 64)
    guard bytes.count > 1 else { return }
    var tokens = tokenizer.encode(bytes, addSpecial: false, parseSpecial: false)
    // The last token may be written as one with what follows.
    if tokens.count > 1 { tokens.removeLast() }
    var (node, state) = (node, state)
    var level = node < 0 ? 0 : Int(tree.depths[node]) + 1
    for token in tokens {
      guard level < limit.depth, tree.count < limit.nodes,
        let next = try matcher.advance(state, token)
      else { return }
      node = tree.append(token, below: node, probability: Self.likelyProbability, origin: origin)
      state = next
      level += 1
    }
  }
}
