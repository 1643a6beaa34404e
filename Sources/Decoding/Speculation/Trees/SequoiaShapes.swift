/// A shape for trees: how many children each node gets, by its place.
public struct TreeShape: Sendable, Equatable {
  /// Parent of each place, -1 for the root; parents first.
  public var parents: [Int] = []
  /// Which child of its parent each place is, 0 for the first.
  public var ranks: [Int] = []

  /// An empty shape.
  public init() {}

  /// Expected number of accepted nodes: each place counts with the product of `acceptance[rank]`
  /// along its path.
  public func value(acceptance: [Double]) -> Double {
    var reach: [Double] = []
    for place in parents.indices {
      let above = parents[place] < 0 ? 1 : reach[parents[place]]
      reach.append(above * (ranks[place] < acceptance.count ? acceptance[ranks[place]] : 0))
    }
    return reach.reduce(0, +)
  }
}

/// Sequoia's tree of the largest expected number of accepted tokens, by dynamic programming from
/// how often the first, second, … child of a node is the accepted one (Chen et al., "Sequoia:
/// Scalable, Robust, and Hardware-aware Speculative Decoding", arXiv 2402.12374).
public struct SequoiaShapes {
  /// Probability that the child of each rank is the accepted one.
  public let acceptance: [Double]
  /// Longest path.
  public let depth: Int
  private let most: Int
  // best[d][n]: largest value below a node with n nodes below it, at most d levels.
  // forest[d][r][n]: the same for the children from rank r on.
  private var best: [[Double]]
  private var forest: [[[Double]]]

  /// Solves for all sizes up to `nodes`.
  /// - Complexity: O(depth × ranks × nodes²).
  public init(acceptance: [Double], nodes: Int, depth: Int) {
    self.acceptance = acceptance
    self.depth = max(depth, 0)
    most = max(nodes, 0)
    let ranks = acceptance.count
    best = Array(repeating: Array(repeating: 0, count: most + 1), count: self.depth + 1)
    forest = Array(
      repeating: Array(repeating: Array(repeating: 0, count: most + 1), count: ranks + 1),
      count: self.depth + 1)
    for level in stride(from: 1, through: self.depth, by: 1) {
      for rank in stride(from: ranks - 1, through: 0, by: -1) {
        for count in stride(from: 1, through: most, by: 1) {
          var most = 0.0
          for size in 1...count { most = max(most, split(level, rank, count, size)) }
          forest[level][rank][count] = most
        }
      }
      best[level] = forest[level][0]
    }
  }

  /// Value of giving the child of `rank` a subtree of `size` nodes, itself included.
  private func split(_ level: Int, _ rank: Int, _ count: Int, _ size: Int) -> Double {
    acceptance[rank] * (1 + best[level - 1][size - 1]) + forest[level][rank + 1][count - size]
  }

  /// Largest expected number of accepted nodes of a tree of `nodes` nodes.
  public func value(nodes: Int) -> Double { best[depth][min(max(nodes, 0), most)] }

  /// A tree of that value. It may have fewer nodes where more are of no use.
  ///
  /// - Parameter limit: longest path; nil for the one that was solved for.
  public func shape(nodes: Int, depth limit: Int? = nil) -> TreeShape {
    var shape = TreeShape()
    let level = min(max(limit ?? depth, 0), depth)
    fill(&shape, parent: -1, level: level, count: min(max(nodes, 0), most))
    return shape
  }

  private func fill(_ shape: inout TreeShape, parent: Int, level: Int, count: Int) {
    var left = count
    var rank = 0
    while left > 0, level > 0, rank < acceptance.count {
      let sizes = 1...left
      guard
        let size = sizes.first(where: {
          split(level, rank, left, $0) >= forest[level][rank][left]
        })
      else { return }
      let place = shape.parents.count
      shape.parents.append(parent)
      shape.ranks.append(rank)
      fill(&shape, parent: place, level: level - 1, count: size - 1)
      left -= size
      rank += 1
    }
  }
}
