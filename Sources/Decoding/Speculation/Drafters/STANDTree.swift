import Transformers

/// The shape of STAND's draft trees: which ranks of children are drafted below which node.
///
/// A node stands for a path of ranks: (0, 2) is the third child of the first child. Nodes are
/// listed by how often they are expected to be accepted, parents and elder siblings first, so that
/// the first n nodes are the tree for a budget of n.
public struct RankTree: Sendable, Equatable {
  /// Parent of each node: an earlier node, or -1 for the root.
  public private(set) var parents: [Int32] = []
  /// Rank of each node among its siblings, 0 for the first.
  public private(set) var ranks: [Int32] = []

  /// Number of nodes, the root not counted.
  public var count: Int { parents.count }

  /// A tree of given width at each depth, made of the nodes that are likeliest to be accepted if
  /// the rank of the right child is an independent draw at each node.
  ///
  /// - Parameters:
  ///   - depthCounts: nodes at depth 1, 2, and so on.
  ///   - rankRates: how often the child of each rank is the right one; falling, above 0.
  public init(depthCounts: [Int], rankRates: [Double]) {
    typealias Candidate = (ranks: [Int], rate: Double)
    var chosen: [Candidate] = []
    var level: [Candidate] = [([], 1)]
    for count in depthCounts {
      let children = level.flatMap { parent in
        rankRates.enumerated().map { (parent.ranks + [$0.offset], parent.rate * $0.element) }
      }
      level = Array(children.sorted(by: Self.precedes).prefix(max(count, 0)))
      chosen += level
    }
    append(chosen.sorted(by: Self.precedes).map(\.ranks))
  }

  /// The nodes that were accepted most often in recorded steps, at most `size` of them; fewer where
  /// fewer were ever accepted.
  ///
  /// This is the paper's optimisation: record with a large tree (`STANDSettings.tree`) and with
  /// `--planner off`, so that every rank is drafted, then keep what was used.
  public init(acceptedIn traces: some Sequence<StepTrace>, size: Int) {
    var counts: [[Int]: Int] = [:]
    for trace in traces {
      var ranks: [Int] = []
      for node in trace.accepted {
        let parent = trace.draftParents[Int(node)]
        ranks.append(trace.draftParents[..<Int(node)].count { $0 == parent })
        counts[ranks, default: 0] += 1
      }
    }
    // A node is worth as much as the best of its younger siblings, which cannot do without it.
    var values: [[Int]: Double] = [:]
    for (ranks, count) in counts {
      for rank in 0...(ranks.last ?? 0) {
        let elder: [Int] = ranks.dropLast() + [rank]
        values[elder] = max(values[elder, default: 0], Double(count))
      }
    }
    let sorted = values.map { ($0.key, $0.value) }.sorted(by: Self.precedes)
    append(sorted.prefix(max(size, 0)).map(\.0))
  }

  /// The 80 nodes (root included) of the paper: its numbers of nodes at each depth, filled by ranks
  /// of assumed rates. `init(acceptedIn:size:)` makes a measured one.
  public static let paper = RankTree(
    depthCounts: [8, 19, 16, 13, 8, 7, 2, 1, 1, 1, 1, 1, 1], rankRates: assumedRates)

  /// How often the child of each rank is taken to be the right one.
  static let assumedRates = [0.5, 0.14, 0.07, 0.04, 0.028, 0.02, 0.015, 0.012, 0.01, 0.008]

  /// Most children of one node.
  var mostChildren: Int { Int((ranks.max() ?? -1) + 1) }

  private static func precedes(
    _ left: (ranks: [Int], rate: Double), _ right: (ranks: [Int], rate: Double)
  ) -> Bool {
    if left.rate != right.rate { return left.rate > right.rate }
    if left.ranks.count != right.ranks.count { return left.ranks.count < right.ranks.count }
    return left.ranks.lexicographicallyPrecedes(right.ranks)
  }

  private mutating func append(_ paths: [[Int]]) {
    var places: [[Int]: Int32] = [[]: -1]
    for ranks in paths {
      guard let parent = places[ranks.dropLast()], let rank = ranks.last else { continue }
      places[ranks] = Int32(count)
      parents.append(parent)
      self.ranks.append(Int32(rank))
    }
  }

  /// Checks what must always hold; for tests.
  ///
  /// - Throws: `BrokenInvariant` that says what does not.
  public func checkInvariants() throws {
    var children: [Int32: Int32] = [:]
    for node in 0..<count {
      guard parents[node] >= -1, parents[node] < node else {
        throw BrokenInvariant(what: "parents come before children (node \(node))")
      }
      guard children[parents[node], default: 0] == ranks[node] else {
        throw BrokenInvariant(what: "elder siblings come before younger ones (node \(node))")
      }
      children[parents[node], default: 0] += 1
    }
  }
}
