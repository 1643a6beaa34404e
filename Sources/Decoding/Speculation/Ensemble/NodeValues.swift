/// What the nodes of an ensemble's proposal are worth.
struct NodeValues {
  /// Siblings exclude each other: together they are not believed more than this. Not less than 1,
  /// which would take its share from every node of a long chain that is nearly certain.
  private static let mostOfSiblings: Float = 1

  /// What the best of each node's proposers is worth by its own table, given the parent.
  private(set) var own: [Float] = []
  /// The member that this is.
  private(set) var best: [UInt8] = []
  /// Whether no sibling has a better one; of equal ones the earlier is better.
  private(set) var isBest: [Bool] = []
  /// Probability that each node is accepted if its parent is.
  private(set) var estimates: [Float] = []
  /// Probability that each node and all above it are accepted.
  private(set) var paths: [Float] = []
  /// Nodes from the best on; parents come before their children.
  private(set) var order: [Int] = []

  /// How sure the members are of the next token.
  var confidence: Float { order.first.map { paths[$0] } ?? 0 }

  /// - Parameter worth: of a member's node of such a depth, rank and probability.
  mutating func load(
    _ proposal: EnsembleProposal, calibration: NodeCalibration,
    worth: (_ member: Int, _ depth: Int32, _ rank: Int32, _ probability: Float) -> Float
  ) {
    loadOwn(proposal, worth)
    let tree = proposal.tree
    var bestChild = [Int](repeating: -1, count: tree.count + 1)
    for node in 0..<tree.count {
      let above = Int(tree.parents[node]) + 1
      if bestChild[above] < 0 || own[node] > own[bestChild[above]] { bestChild[above] = node }
    }
    isBest = tree.parents.enumerated().map { bestChild[Int($1) + 1] == $0 }
    var together = [Float](repeating: 0, count: tree.count + 1)
    estimates.removeAll(keepingCapacity: true)
    for node in 0..<tree.count {
      let estimate = calibration.estimate(
        proposers: tree.proposers[node], estimate: own[node], isBest: isBest[node])
      estimates.append(estimate)
      together[Int(tree.parents[node]) + 1] += estimate
    }
    loadPaths(tree, together)
  }

  private mutating func loadOwn(
    _ proposal: EnsembleProposal, _ worth: (Int, Int32, Int32, Float) -> Float
  ) {
    own.removeAll(keepingCapacity: true)
    best.removeAll(keepingCapacity: true)
    for node in 0..<proposal.count {
      var (most, member) = (Float(-1), 0)
      for candidate in 0..<proposal.memberCount {
        guard let place = proposal.node(node, of: candidate) else { continue }
        let tree = proposal.trees[candidate]
        let value = worth(
          candidate, tree.depths[place], tree.ranks[place], tree.probabilities[place])
        if value > most { (most, member) = (value, candidate) }
      }
      own.append(max(most, 0))
      best.append(UInt8(truncatingIfNeeded: member))
    }
  }

  private mutating func loadPaths(_ tree: TokenTree, _ together: [Float]) {
    paths.removeAll(keepingCapacity: true)
    var isSorted = true
    for node in 0..<tree.count {
      let parent = Int(tree.parents[node])
      let sum = together[parent + 1]
      if sum > Self.mostOfSiblings { estimates[node] *= Self.mostOfSiblings / sum }
      paths.append(parent < 0 ? estimates[node] : estimates[node] * paths[parent])
      if node > 0, paths[node] > paths[node - 1] { isSorted = false }
    }
    order.removeAll(keepingCapacity: true)
    order.append(contentsOf: paths.indices)
    if !isSorted { order.sort { (paths[$0], $1) > (paths[$1], $0) } }
  }
}

/// A proposal that is followed along the tokens that the target gives.
struct EnsembleWalk {
  let proposal: EnsembleProposal
  let values: NodeValues
  var shadow: ShadowWalk

  init(_ proposal: EnsembleProposal, _ values: NodeValues) {
    self.proposal = proposal
    self.values = values
    shadow = ShadowWalk(tree: proposal.tree)
  }
}
