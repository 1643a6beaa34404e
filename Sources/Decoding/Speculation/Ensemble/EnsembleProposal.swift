/// What the members of an ensemble propose in a step, merged: a token that several propose at a place
/// is one node that remembers all of them.
struct EnsembleProposal {
  /// All nodes. A node's origin is the member that proposed it first.
  private(set) var tree = TokenTree()
  /// What each member proposed; empty for one that was not asked.
  private(set) var trees: [TokenTree]
  /// For each node and member the member's own node, or -1.
  private var places: [Int32] = []

  /// An empty proposal.
  init(memberCount: Int) {
    trees = Array(repeating: TokenTree(), count: memberCount)
  }

  /// Number of members.
  var memberCount: Int { trees.count }
  /// Number of different nodes.
  var count: Int { tree.count }

  /// Adds what a member proposes.
  mutating func add(_ proposed: TokenTree, from member: Int) {
    trees[member] = proposed
    var merged: [Int] = []
    merged.reserveCapacity(proposed.count)
    for node in 0..<proposed.count {
      let parent = proposed.parents[node]
      let place = tree.append(
        proposed.tokens[node], below: parent < 0 ? TokenTree.root : merged[Int(parent)],
        probability: proposed.probabilities[node], origin: UInt8(truncatingIfNeeded: member))
      if places.count < tree.count * memberCount {
        places.append(contentsOf: repeatElement(-1, count: memberCount))
      }
      places[place * memberCount + member] = Int32(node)
      merged.append(place)
    }
  }

  /// The node of a member that became `node`; nil if the member did not propose it.
  func node(_ node: Int, of member: Int) -> Int? {
    let own = places[node * memberCount + member]
    return own < 0 ? nil : Int(own)
  }

  /// True if `member` alone proposed this node, and so all that is below it.
  func isOnly(_ member: Int, at node: Int) -> Bool {
    tree.proposers[node] == 1 << UInt32(member & 31)
  }

  /// A tree of the `count` best nodes.
  ///
  /// - Parameters:
  ///   - order: all nodes, from the best on; parents before their children.
  ///   - probabilities: what each node is held to be worth, given its parent.
  ///   - origins: the member that each node is put down to.
  func best(
    _ count: Int, order: [Int], probabilities: [Float], origins: [UInt8], into best: inout TokenTree
  ) {
    best.removeAll()
    var stays = [Bool](repeating: false, count: tree.count)
    for node in order.prefix(count) { stays[node] = true }
    var kept = [Int](repeating: TokenTree.root, count: tree.count)
    for node in 0..<tree.count where stays[node] {
      let parent = tree.parents[node]
      kept[node] = best.append(
        tree.tokens[node], below: parent < 0 ? TokenTree.root : kept[Int(parent)],
        probability: probabilities[node], origin: origins[node],
        proposers: tree.proposers[node])
    }
  }
}
