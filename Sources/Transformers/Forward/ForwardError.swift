/// A forward pass or cache operation that cannot be done; nothing has changed when it is thrown.
public enum ForwardError: Error, CustomStringConvertible, Sendable, Equatable {
  /// A token id outside the vocabulary.
  case unknownToken(Int32, vocabulary: Int)
  /// A node's parent is not an earlier pending node of its sequence.
  case badParent(node: Int, parent: Int)
  /// The sequence would grow past the limit the engine was made with.
  case contextFull(needed: Int, limit: Int)
  /// More rows than one pass takes.
  case tooManyRows(Int, limit: Int)
  /// A row whose logits are asked for does not exist.
  case badSelection(Int, rows: Int)
  /// The pass has no rows.
  case emptyBatch
  /// Embedding rows are not a whole number of hidden-size rows, or not as many as the parents.
  case badEmbeddings(floats: Int, expected: Int)
  /// Layers outside the model, or outside the range that runs.
  case badLayers(Range<Int>, layerCount: Int)
  /// Tokens were given to a pass that starts above layer 0, which takes hidden states.
  case tokensAboveFirstLayer(Int)
  /// The cache belongs to another engine, was released, or occurs twice in one pass.
  case foreignCache
  /// A path to commit that is not a chain of pending nodes from the committed prefix.
  case badPath([Int])
  /// A node to commit has not been through all layers.
  case unfinishedNode(Int, layers: Int, expected: Int)
  /// A length to truncate to that is longer than what is committed.
  case badLength(Int, committed: Int)
  /// The cache has pending nodes where it must have none.
  case pendingNodes(Int)
  /// Keys or values of the wrong size.
  case badKeysValues(floats: Int, expected: Int)
  /// A row mask of the wrong size.
  case badRowMask(bytes: Int, expected: Int)
  /// A candidate token that is negative or not above the one before it.
  case badCandidates(Int32)
  /// The memory for pages or buffers is not there.
  case outOfMemory(bytes: Int)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .unknownToken(let token, let vocabulary):
      "token \(token) is not in the vocabulary of \(vocabulary) tokens"
    case .badParent(let node, let parent):
      "node \(node) names node \(parent) as its parent, which is not an earlier pending node"
    case .contextFull(let needed, let limit):
      "the context is full: \(needed) tokens are needed, the limit is \(limit); "
        + "give a shorter prompt or a larger --context"
    case .tooManyRows(let rows, let limit):
      "\(rows) rows in one pass, at most \(limit) are possible; run them in chunks"
    case .badSelection(let row, let rows):
      "logits are asked for node \(row) of \(rows)"
    case .emptyBatch: "the forward pass has no tokens"
    case .badEmbeddings(let floats, let expected):
      "\(floats) floats of embeddings were given, expected \(expected)"
    case .badLayers(let range, let count):
      "layers \(range.lowerBound)..<\(range.upperBound) are outside the \(count) layers that run"
    case .tokensAboveFirstLayer(let layer):
      "a pass that starts at layer \(layer) takes hidden states, not tokens"
    case .foreignCache:
      "the cache was released, belongs to another engine or occurs twice in the pass"
    case .badPath(let path): "\(path) is not a chain of pending nodes from the committed prefix"
    case .unfinishedNode(let node, let layers, let expected):
      "node \(node) has been through \(layers) of \(expected) layers and cannot be committed"
    case .badLength(let length, let committed):
      "cannot truncate to \(length) tokens: \(committed) are committed"
    case .pendingNodes(let count): "\(count) nodes are pending: commit or roll back first"
    case .badKeysValues(let floats, let expected):
      "\(floats) floats of keys or values were given, expected \(expected)"
    case .badRowMask(let bytes, let expected):
      "the row mask has \(bytes) entries, expected layers × rows = \(expected)"
    case .badCandidates(let token):
      "candidate \(token) is not above the one before it: give tokens in ascending order, each once"
    case .outOfMemory(let bytes):
      "not enough memory for \(bytes / 1_048_576) MiB: choose a shorter --context or --kv q8"
    }
  }
}
