import Transformers

/// The smaller model's side of a conversation: committed tokens, and below them the nodes that were
/// run for the latest draft.
final class DraftSequence {
  /// Tokens that one pass catches up on.
  static let chunk = 256

  private let engine: ForwardEngine
  private let cache: KVCache
  private var batch = ForwardBatch()
  /// Tokens in the cache.
  private var tokens: [Int32] = []
  /// How many of them are known to be the generation's.
  private var agreed = 0
  /// Nodes below them: token and parent (-1 for the committed ones).
  private var nodes: [(token: Int32, parent: Int)] = []

  init(_ engine: ForwardEngine) {
    self.engine = engine
    cache = engine.makeCache()
  }

  /// Another generation may have another prompt.
  func beginGeneration() { agreed = 0 }

  /// False for tokens that only the target's vocabulary has, and where the context is too short.
  func canHold(_ history: [Int32]) -> Bool {
    let vocabulary = engine.model.configuration.vocabularyCount
    return history.count <= engine.contextLimit
      && history[min(agreed, history.count)...].allSatisfy { Int($0) < vocabulary }
  }

  /// Tokens that have to be run before the next draft: one at least, for its logits.
  func missing(_ history: [Int32]) -> Int {
    agreed = common(history)
    let held = agreed == tokens.count ? agreed + accepted(history).count : agreed
    return history.count - min(held, history.count - 1)
  }

  /// Brings the cache to `history` and returns the logits after its last token, valid until the
  /// engine's next pass.
  func follow(_ history: [Int32]) throws -> UnsafeBufferPointer<Float> {
    agreed = common(history)
    if agreed == tokens.count {
      // Not the last token: it is run again for its logits.
      let path = accepted(history).prefix(max(history.count - 1 - tokens.count, 0))
      try cache.commit(path: path)
      tokens.append(contentsOf: path.map { nodes[$0].token })
      agreed = tokens.count
    }
    nodes.removeAll(keepingCapacity: true)
    let begin = min(agreed, history.count - 1)
    try cache.truncate(to: begin)
    tokens.removeSubrange(begin...)
    let output = try engine.prefill(history[begin...], into: cache, chunk: Self.chunk)
    tokens.append(contentsOf: history[begin...])
    agreed = tokens.count
    return output.logits(0)
  }

  /// Runs new nodes, all of one level, and returns the logits after the last of them. A node's
  /// parent is an earlier node, or -1 for the committed tokens.
  func extend(
    _ level: [(token: Int32, parent: Int)]
  ) throws -> UnsafeBufferPointer<Float> {
    try run(level).logits.logits(level.count - 1)
  }

  /// The same, with the place of the first of them and the logits after each, which are valid until
  /// the engine's next pass.
  func run(
    _ level: [(token: Int32, parent: Int)]
  ) throws -> (first: Int, logits: ForwardOutput) {
    batch.removeAll()
    batch.append(
      tree: level.map(\.token), parents: level.map { Int32($0.parent) }, to: cache)
    let output = try engine.forward(batch)
    nodes.append(contentsOf: level)
    return (nodes.count - level.count, output)
  }

  /// Committed tokens that `history` begins with.
  private func common(_ history: [Int32]) -> Int {
    let limit = min(tokens.count, history.count)
    var common = min(agreed, limit)
    while common < limit, tokens[common] == history[common] { common += 1 }
    return common
  }

  /// Nodes on the path that `history` takes below the committed tokens, root first.
  private func accepted(_ history: [Int32]) -> [Int] {
    var path: [Int] = []
    for token in history.dropFirst(tokens.count) {
      let parent = path.last ?? -1
      guard let next = nodes.firstIndex(where: { $0.parent == parent && $0.token == token })
      else { break }
      path.append(next)
    }
    return path
  }
}
