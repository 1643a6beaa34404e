import Transformers

/// Drafted tokens as a trie below the token that was chosen last.
///
/// Flat arrays, parents before children: node `i` is `tokens[i]` below node `parents[i]`, and -1
/// stands for the root, the latest token of the history, which is not part of the tree. Siblings
/// have different tokens. A drafter adds nodes with `append`, which gives back the node that is
/// there already where two drafts share a beginning, so that any number of chains and trees merge
/// into one trie as they are added.
///
/// Siblings keep the order in which they were added: their rank, 0 for the first.
public struct TokenTree: Sendable, Equatable {
  /// The parent of a node below the root.
  public static let root = -1

  /// Token of each node.
  public private(set) var tokens: [Int32] = []
  /// Parent of each node: an earlier node, or -1 for the root.
  public private(set) var parents: [Int32] = []
  /// What the drafter holds to be the probability of each node, given its parent; in 0...1.
  public private(set) var probabilities: [Float] = []
  /// Product of the probabilities from the root to each node.
  public private(set) var pathProbabilities: [Float] = []
  /// Number of ancestors of each node, 0 below the root.
  public private(set) var depths: [Int32] = []
  /// Place of each node among its siblings, 0 for the first.
  public private(set) var ranks: [Int32] = []
  /// Which drafter proposed each node first: an index into the drafters of the step.
  public private(set) var origins: [UInt8] = []
  /// All drafters that proposed each node: bit i for origin i (modulo 32).
  public private(set) var proposers: [UInt32] = []

  private var firstChildren: [Int32] = []  // per node, -1 for none; likewise below
  private var nextSiblings: [Int32] = []
  private var firstRoot: Int32 = -1
  private var draws: [Int32: SiblingDraws] = [:]

  /// An empty tree.
  public init() {}

  /// Number of nodes, the root not counted.
  public var count: Int { tokens.count }
  /// True if nothing is drafted.
  public var isEmpty: Bool { tokens.isEmpty }
  /// Nodes of the longest path.
  public var depth: Int { depths.max().map { Int($0) + 1 } ?? 0 }

  /// Forgets all nodes and keeps the memory.
  public mutating func removeAll() {
    tokens.removeAll(keepingCapacity: true)
    parents.removeAll(keepingCapacity: true)
    probabilities.removeAll(keepingCapacity: true)
    pathProbabilities.removeAll(keepingCapacity: true)
    depths.removeAll(keepingCapacity: true)
    ranks.removeAll(keepingCapacity: true)
    origins.removeAll(keepingCapacity: true)
    proposers.removeAll(keepingCapacity: true)
    firstChildren.removeAll(keepingCapacity: true)
    nextSiblings.removeAll(keepingCapacity: true)
    firstRoot = -1
    draws.removeAll(keepingCapacity: true)
  }

  // MARK: Adding

  /// Adds a token below `parent`, or finds it there.
  ///
  /// - Parameters:
  ///   - parent: a node of this tree, or `TokenTree.root`.
  ///   - probability: of the token given its parent, as far as the drafter can tell; brought into
  ///     0...1, and 0 if it is not a number. A node that is there already keeps the larger one.
  ///   - origin: index of the drafter.
  ///   - proposers: the drafters that propose it, as bits; nil for `origin` alone.
  /// - Returns: the node.
  /// - Complexity: O(siblings), and O(nodes) where an earlier node's probability grows.
  @discardableResult
  public mutating func append(
    _ token: Int32, below parent: Int, probability: Float = 1, origin: UInt8 = 0,
    proposers bits: UInt32? = nil
  ) -> Int {
    let bits = bits ?? 1 << UInt32(origin & 31)
    let probability = probability > 0 ? min(probability, 1) : 0
    var last: Int32 = -1
    var next = firstChild(of: parent)
    while next >= 0 {
      if tokens[Int(next)] == token {
        raise(Int(next), to: probability)
        proposers[Int(next)] |= bits
        return Int(next)
      }
      last = next
      next = nextSiblings[Int(next)]
    }
    let node = Int32(count)
    tokens.append(token)
    parents.append(Int32(parent))
    probabilities.append(probability)
    pathProbabilities.append(probability * (parent < 0 ? 1 : pathProbabilities[parent]))
    depths.append(parent < 0 ? 0 : depths[parent] + 1)
    ranks.append(last < 0 ? 0 : ranks[Int(last)] + 1)
    origins.append(origin)
    proposers.append(bits)
    firstChildren.append(-1)
    nextSiblings.append(-1)
    if last >= 0 {
      nextSiblings[Int(last)] = node
    } else if parent >= 0 {
      firstChildren[parent] = node
    } else {
      firstRoot = node
    }
    return Int(node)
  }

  /// Adds tokens one below the other and returns the last node; `parent` if there are none.
  @discardableResult
  public mutating func append(
    chain tokens: some Sequence<Int32>, below parent: Int = TokenTree.root, probability: Float = 1,
    origin: UInt8 = 0
  ) -> Int {
    tokens.reduce(parent) { append($1, below: $0, probability: probability, origin: origin) }
  }

  /// Adds another tree's nodes, node by node in its order. Nodes that both have stay as they are
  /// here, with the larger of the two probabilities.
  ///
  /// - Parameters:
  ///   - parent: the node that stands for the other tree's root.
  ///   - origin: index of the drafter of the other's nodes; nil to keep theirs.
  public mutating func merge(
    _ other: TokenTree, below parent: Int = TokenTree.root, origin: UInt8? = nil
  ) {
    var places: [Int] = []
    places.reserveCapacity(other.count)
    for node in 0..<other.count {
      let above = other.parents[node] < 0 ? parent : places[Int(other.parents[node])]
      places.append(
        append(
          other.tokens[node], below: above, probability: other.probabilities[node],
          origin: origin ?? other.origins[node],
          proposers: origin == nil ? other.proposers[node] : nil))
    }
  }

  private mutating func raise(_ node: Int, to probability: Float) {
    guard probability > probabilities[node] else { return }
    probabilities[node] = probability
    for below in node..<count {
      let parent = Int(parents[below])
      guard below == node || parent >= node else { continue }
      pathProbabilities[below] =
        probabilities[below] * (parent < 0 ? 1 : pathProbabilities[parent])
    }
  }

  // MARK: Looking

  /// The child of `node` (or of the root) that holds `token`; nil if there is none.
  public func child(of node: Int, token: Int32) -> Int? {
    var next = firstChild(of: node)
    while next >= 0 {
      if tokens[Int(next)] == token { return Int(next) }
      next = nextSiblings[Int(next)]
    }
    return nil
  }

  /// The first child of `node` (or of the root), then `sibling(after:)`, in order of rank.
  public func firstChild(below node: Int) -> Int? {
    let first = firstChild(of: node)
    return first < 0 ? nil : Int(first)
  }

  /// The next child of the same parent; nil after the last.
  public func sibling(after node: Int) -> Int? {
    nextSiblings[node] < 0 ? nil : Int(nextSiblings[node])
  }

  /// Tokens from below the root down to `node`.
  public func path(to node: Int) -> [Int32] {
    var path: [Int32] = []
    var at = node
    while at >= 0 {
      path.append(tokens[at])
      at = Int(parents[at])
    }
    return path.reversed()
  }

  private func firstChild(of node: Int) -> Int32 { node < 0 ? firstRoot : firstChildren[node] }

  // MARK: Draft distributions

  /// Says that the children of `node` were drawn from `distribution`. Verifiers by rejection need
  /// it; where there is none, children count as chosen, not drawn.
  ///
  /// - Parameter law: how they were drawn. Without replacement the order of the draws is that of
  ///   the ranks; independent draws are told one by one with `noteDraw`, repeated ones as well.
  public mutating func setDistribution(
    _ distribution: DraftDistribution, below node: Int, law: SiblingLaw = .withoutReplacement
  ) {
    draws[Int32(node)] = SiblingDraws(distribution: distribution, law: law)
  }

  /// Notes that one more independent draw below the parent of `child` gave `child`.
  public mutating func noteDraw(of child: Int) { draws[parents[child]]?.order.append(Int32(child)) }

  /// What the children of `node` were drawn from; nil if they were chosen deterministically.
  public func distribution(below node: Int) -> DraftDistribution? {
    draws[Int32(node)]?.distribution
  }

  /// How the children of `node` were drawn; nil if they were chosen deterministically.
  public func law(below node: Int) -> SiblingLaw? { draws[Int32(node)]?.law }

  /// The independent draws below `node` in their order: children, each as often as it was drawn.
  public func independentDraws(below node: Int) -> [Int32] { draws[Int32(node)]?.order ?? [] }

  /// True if children of some node were drawn: such a tree must be verified as it was drawn.
  public var isDrawn: Bool { !draws.isEmpty }

  // MARK: Pruning

  /// Keeps the `limit` nodes of the largest `values`, and only those whose parents stay.
  ///
  /// - Parameters:
  ///   - values: one for each node, not larger than its parent's; of equal values the earlier node
  ///     stays.
  ///   - limit: number of nodes to keep.
  /// - Complexity: O(n log n).
  public mutating func keep(_ limit: Int, by values: [Float]) {
    guard limit < count else { return }
    let order = values.indices.sorted { (values[$0], $1) > (values[$1], $0) }
    var stays = [Bool](repeating: false, count: count)
    for node in order.prefix(max(limit, 0)) { stays[node] = true }
    let old = self
    removeAll()
    var places = [Int](repeating: -1, count: old.count)
    for node in 0..<old.count where stays[node] {
      let parent = Int(old.parents[node])
      guard parent < 0 || places[parent] >= 0 else { continue }
      places[node] = append(
        old.tokens[node], below: parent < 0 ? Self.root : places[parent],
        probability: old.probabilities[node], origin: old.origins[node],
        proposers: old.proposers[node])
    }
    for (node, kept) in old.draws where node < 0 || places[Int(node)] >= 0 {
      var kept = kept
      kept.order = kept.order.compactMap { places[Int($0)] < 0 ? nil : Int32(places[Int($0)]) }
      draws[node < 0 ? node : Int32(places[Int(node)])] = kept
    }
  }

  /// Checks what must always hold; for tests.
  ///
  /// - Throws: `BrokenInvariant` that says what does not.
  public func checkInvariants() throws {
    func require(_ condition: Bool, _ what: String) throws {
      if !condition { throw BrokenInvariant(what: what) }
    }
    let counts = [
      parents.count, probabilities.count, pathProbabilities.count, depths.count, ranks.count,
      origins.count, proposers.count, firstChildren.count, nextSiblings.count,
    ]
    try require(counts.allSatisfy { $0 == count }, "every array has one entry for each node")
    var siblings: [Int32: [Int32]] = [:]
    for node in 0..<count {
      let parent = Int(parents[node])
      try require(parent >= -1 && parent < node, "parents come before children (node \(node))")
      try require((0...1).contains(probabilities[node]), "node \(node) has a probability")
      let above = parent < 0 ? 1 : pathProbabilities[parent]
      try require(
        pathProbabilities[node] == probabilities[node] * above,
        "the path's probability of node \(node) is the product of its probabilities")
      try require(
        depths[node] == (parent < 0 ? 0 : depths[parent] + 1),
        "node \(node) is one deeper than its parent")
      let before = siblings[Int32(parent), default: []]
      try require(!before.contains(tokens[node]), "siblings of node \(node) differ in tokens")
      try require(Int(ranks[node]) == before.count, "node \(node) has the rank of its order")
      siblings[Int32(parent), default: []].append(tokens[node])
      try require(child(of: parent, token: tokens[node]) == node, "node \(node) is found")
    }
    for (node, drawn) in draws {
      try require(node >= -1 && node < count, "distributions belong to nodes")
      try require(
        drawn.order.allSatisfy { $0 >= 0 && Int($0) < count && parents[Int($0)] == node },
        "draws below node \(node) are its children")
    }
  }
}

/// How the children of a node were drawn.
public enum SiblingLaw: Sendable {
  /// One after another, each from the distribution without the ones before.
  case withoutReplacement
  /// Each from the whole distribution, so that tokens may repeat.
  case independent
}

private struct SiblingDraws: Sendable, Equatable {
  var distribution: DraftDistribution
  var law: SiblingLaw
  var order: [Int32] = []
}

/// A distribution that a drafter drew tokens from: the ones of probability above zero.
public struct DraftDistribution: Sendable, Equatable {
  /// Token ids, ascending.
  public let tokens: [Int32]
  /// Probability of each token, above 0; they sum to 1.
  public let probabilities: [Double]

  /// A distribution over `tokens`, which must ascend.
  ///
  /// Weights that are not above 0 leave their token out; the others are divided by their sum.
  public init(tokens: some Collection<Int32>, weights: some Collection<Double>) {
    let kept = zip(tokens, weights).filter { $0.1 > 0 && $0.1.isFinite }
    let total = kept.reduce(0) { $0 + $1.1 }
    self.tokens = kept.map(\.0)
    probabilities = kept.map { $0.1 / total }
  }

  /// Nothing to draw from.
  public static let empty = DraftDistribution(
    tokens: EmptyCollection<Int32>(), weights: EmptyCollection<Double>())

  /// True if there is nothing to draw from.
  public var isEmpty: Bool { tokens.isEmpty }
}
