import Decoding
import TestSupport
import Testing

@Suite struct TokenTreeTests {
  @Test("drafts with a common beginning share its nodes")
  func merging() throws {
    var tree = TokenTree()
    let leaf = tree.append(chain: [5, 6, 7], probability: 0.5)
    #expect(tree.append(chain: [5, 6, 7], probability: 0.5) == leaf)
    let branch = tree.append(chain: [5, 6, 8, 9], probability: 0.25)
    tree.append(4, below: TokenTree.root, probability: 0.1)
    try tree.checkInvariants()
    #expect(tree.tokens == [5, 6, 7, 8, 9, 4])
    #expect(tree.parents == [-1, 0, 1, 1, 3, -1])
    #expect(tree.depths == [0, 1, 2, 2, 3, 0])
    #expect(tree.ranks == [0, 0, 0, 1, 0, 1])
    #expect(tree.path(to: branch) == [5, 6, 8, 9])
    #expect(tree.pathProbabilities == [0.5, 0.25, 0.125, 0.0625, 0.015625, 0.1])
    #expect(tree.depth == 4)
  }

  @Test("a node proposed twice keeps the larger probability, and its descendants know")
  func raising() throws {
    var tree = TokenTree()
    tree.append(chain: [1, 2, 3], probability: 0.5)
    tree.append(chain: [1, 2], probability: 0.25)
    #expect(tree.probabilities == [0.5, 0.5, 0.5])
    tree.append(1, below: TokenTree.root, probability: 1)
    try tree.checkInvariants()
    #expect(tree.pathProbabilities == [1, 0.5, 0.25])
  }

  @Test("a probability that is none becomes one")
  func oddProbabilities() throws {
    var tree = TokenTree()
    for (token, probability) in [Float.nan, -1, 2, .infinity].enumerated() {
      tree.append(Int32(token), below: TokenTree.root, probability: probability)
    }
    try tree.checkInvariants()
    #expect(tree.probabilities == [0, 0, 1, 1])
  }

  @Test("children come in the order they were added")
  func children() {
    var tree = TokenTree()
    let parent = tree.append(9, below: TokenTree.root)
    for token: Int32 in [3, 1, 2] { tree.append(token, below: parent) }
    var found: [Int32] = []
    var next = tree.firstChild(below: parent)
    while let child = next {
      found.append(tree.tokens[child])
      next = tree.sibling(after: child)
    }
    #expect(found == [3, 1, 2])
    #expect(tree.child(of: parent, token: 2) == 3)
    #expect(tree.child(of: parent, token: 4) == nil)
    #expect(tree.child(of: TokenTree.root, token: 9) == parent)
    #expect(tree.firstChild(below: 3) == nil)
  }

  @Test("random trees keep their invariants through merging and pruning, and paths survive")
  func randomTrees() throws {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<200 {
      var trees = [TokenTree(), TokenTree()]
      for index in trees.indices {
        for _ in 0..<Int.random(in: 0...40, using: &generator) {
          let parent = Int.random(in: -1..<trees[index].count, using: &generator)
          trees[index].append(
            Int32.random(in: 0..<6, using: &generator), below: parent,
            probability: Float.random(in: 0...1, using: &generator), origin: UInt8(index))
        }
      }
      var merged = trees[0]
      merged.merge(trees[1])
      try merged.checkInvariants()
      let paths = Set((0..<merged.count).map { merged.path(to: $0) })
      #expect(paths.count == merged.count)
      #expect(paths == Set(trees.flatMap { tree in (0..<tree.count).map { tree.path(to: $0) } }))
      let limit = Int.random(in: 0...merged.count, using: &generator)
      var pruned = merged
      pruned.keep(limit, by: merged.pathProbabilities)
      try pruned.checkInvariants()
      #expect(pruned.count == limit)
      let kept = Set((0..<pruned.count).map { pruned.path(to: $0) })
      #expect(kept.isSubset(of: paths))
      // Nothing that went was worth more than what stayed.
      let worst = pruned.pathProbabilities.min() ?? 1
      for node in 0..<merged.count where !kept.contains(merged.path(to: node)) {
        #expect(merged.pathProbabilities[node] <= worst)
      }
    }
  }

  @Test("a distribution stays with its node when others go")
  func distributions() {
    var tree = TokenTree()
    let first = tree.append(1, below: TokenTree.root, probability: 0.2)
    let second = tree.append(2, below: TokenTree.root, probability: 0.7)
    tree.append(3, below: second, probability: 0.9)
    let distribution = DraftDistribution(tokens: [3, 4, 5], weights: [3, 0, 1])
    #expect(distribution.tokens == [3, 5])
    #expect(distribution.probabilities == [0.75, 0.25])
    tree.setDistribution(distribution, below: second)
    #expect(tree.isDrawn)
    #expect(tree.distribution(below: first) == nil)
    tree.keep(2, by: tree.pathProbabilities)
    #expect(tree.tokens == [2, 3])
    #expect(tree.distribution(below: 0) == distribution)
    tree.removeAll()
    #expect(!tree.isDrawn)
  }
}
