import CKernels

/// What one forward pass computes: new nodes of any number of sequences. Keep one and reuse it:
/// after the first passes it allocates nothing.
public struct ForwardBatch {
  /// Which nodes of an append call get logits.
  public enum LogitsChoice: Sendable {
    /// None.
    case none
    /// The last node.
    case last
    /// All nodes, in order.
    case all
    /// The nodes at these places of the call.
    case nodes([Int])
  }

  struct Segment {
    var cache: KVCache
    var begin: Int
    var count: Int
    var resumes: Bool
  }

  private(set) var segments: [Segment] = []
  /// Per row: a token, or -1 - r for row r of `embeddings`.
  private(set) var tokens: [Int32] = []
  /// Per row: the pending node that is its parent; for resumed rows the node itself.
  private(set) var parents: [Int32] = []
  private(set) var selected: [Int32] = []
  private(set) var embeddings: [Float] = []
  /// Rows that skip halves of layers: [layer, row], 1 to skip; empty for none. Keys and values are
  /// still stored. Set after the rows are appended.
  public var rowSkips = RowSkips()

  /// Tokens whose logits are computed, in ascending order, each once; nil for the whole vocabulary.
  /// Rows of logits then hold one value per candidate, in this order, with the bits they have in the
  /// whole vocabulary. The head is computed in groups of eight tokens, so neighbours cost less.
  /// Stays when the rows are forgotten.
  public var candidates: [Int32]? { didSet { findGroups() } }
  /// Groups of vocabulary rows that hold candidates, ascending.
  private(set) var candidateGroups: [Int32] = []
  /// The first candidate that is not above the one before it, if any.
  private(set) var unorderedCandidate: Int32?

  /// Row masks of a pass.
  public struct RowSkips: Sendable {
    /// [layers × rows], 1 where the row skips attention; or empty.
    public var attention: [UInt8] = []
    /// [layers × rows], 1 where the row skips the feed-forward half; or empty.
    public var feedForward: [UInt8] = []
  }

  /// An empty batch.
  public init() {}

  /// Rows of the pass.
  public var rowCount: Int { tokens.count }

  /// Forgets all rows and keeps the memory.
  public mutating func removeAll() {
    segments.removeAll(keepingCapacity: true)
    tokens.removeAll(keepingCapacity: true)
    parents.removeAll(keepingCapacity: true)
    selected.removeAll(keepingCapacity: true)
    embeddings.removeAll(keepingCapacity: true)
    rowSkips.attention.removeAll(keepingCapacity: true)
    rowSkips.feedForward.removeAll(keepingCapacity: true)
  }

  /// Appends a chain after the committed prefix, or after pending node `parent`.
  public mutating func append(
    chain tokens: some Sequence<Int32>, to cache: KVCache, parent: Int = -1,
    logits: LogitsChoice = .last
  ) {
    let begin = rowCount
    var previous = Int32(clamping: parent)
    for token in tokens {
      self.tokens.append(token)
      parents.append(previous)
      previous = Int32(cache.pendingCount + rowCount - begin - 1)
    }
    close(begin, cache: cache, logits: logits)
  }

  /// Appends a token tree.
  ///
  /// - Parameter parents: for each node the index of a pending node of the cache, or -1 for the
  ///   committed prefix. The nodes of this call are pending nodes `cache.pendingCount` and on;
  ///   parents come before children.
  public mutating func append(
    tree tokens: some Collection<Int32>, parents: some Collection<Int32>, to cache: KVCache,
    logits: LogitsChoice = .all
  ) {
    let begin = rowCount
    self.tokens.append(contentsOf: tokens)
    self.parents.append(contentsOf: parents)
    matchParents()
    close(begin, cache: cache, logits: logits)
  }

  /// Appends nodes whose input is given as rows of [hiddenSize] instead of tokens: embeddings as
  /// `Transformer.embedding(of:)` gives them, or hidden states where the pass starts above layer 0.
  public mutating func append(
    embeddings rows: [Float], parents: some Collection<Int32>, to cache: KVCache,
    logits: LogitsChoice = .last
  ) {
    let begin = rowCount
    appendEmbeddingTokens(rows, count: parents.count)
    self.parents.append(contentsOf: parents)
    close(begin, cache: cache, logits: logits)
  }

  /// Runs pending nodes of `cache` through further layers, from hidden states (a tap of the pass
  /// that ran them so far): rows of [hiddenSize], one per node.
  public mutating func resume(
    nodes: some Collection<Int>, of cache: KVCache, hiddenStates rows: [Float],
    logits: LogitsChoice = .last
  ) {
    let begin = rowCount
    appendEmbeddingTokens(rows, count: nodes.count)
    parents.append(contentsOf: nodes.lazy.map { Int32(clamping: $0) })
    close(begin, cache: cache, logits: logits)
    segments[segments.count - 1].resumes = true
  }

  /// A mismatch of tokens and parents becomes a bad parent that `forward` reports.
  private mutating func matchParents() {
    while parents.count < tokens.count { parents.append(.max) }
    while tokens.count < parents.count { tokens.append(.max) }
  }

  private mutating func findGroups() {
    candidateGroups.removeAll(keepingCapacity: true)
    unorderedCandidate = nil
    var last: Int32 = -1
    for token in candidates ?? [] {
      if token <= last && unorderedCandidate == nil { unorderedCandidate = token }
      let group = token / Int32(FT_GROUP_ROWS)
      if group != candidateGroups.last { candidateGroups.append(group) }
      last = token
    }
  }

  private mutating func appendEmbeddingTokens(_ rows: [Float], count: Int) {
    let first = tokens.lazy.filter { $0 < 0 }.count
    for row in 0..<count { tokens.append(Int32(-1 - first - row)) }
    embeddings.append(contentsOf: rows)
  }

  private mutating func close(_ begin: Int, cache: KVCache, logits: LogitsChoice) {
    let count = rowCount - begin
    segments.append(Segment(cache: cache, begin: begin, count: count, resumes: false))
    switch logits {
    case .none: break
    case .last: if count > 0 { selected.append(Int32(rowCount - 1)) }
    case .all: for row in begin..<rowCount { selected.append(Int32(row)) }
    case .nodes(let nodes):
      for node in nodes {
        selected.append((0..<count).contains(node) ? Int32(begin + node) : .max)
      }
    }
  }
}
