import Compute

/// ADED's draft maker: a PUCT tree search over a table of tri-grams.
///
/// A node is a token whose predecessor is known, so that the table says what may follow. Each
/// iteration walks down to the child of the best value + prior bonus, adds all successors of the
/// node it ends at, goes on at random in proportion to the weights, and adds the path's score to
/// every node of it. All nodes lie in one array, which is used again for the next search.
struct TrigramSearch {
  /// A node; its children are neighbours in the array.
  struct Node {
    let token: Int32
    let parent: Int32
    /// Place of (parent's token, token) in the table; -1 if the table does not have it.
    let place: Int32
    let depth: Int32
    let prior: Double
    var visits = 0.0
    var score = 0.0
    var firstChild: Int32 = 0
    /// -1 before the node is expanded.
    var childCount: Int32 = -1
  }

  private let settings: ADEDSettings
  /// The root first; parents before children.
  private(set) var nodes: [Node] = []
  private var path: [Int] = []

  init(settings: ADEDSettings) { self.settings = settings }

  /// Searches below the pair of the latest two tokens. Leaves `nodes` empty if nothing is known to
  /// follow it.
  ///
  /// - Parameters:
  ///   - noise: of the roll-outs.
  ///   - position: where the search stands, so that each has noise of its own.
  mutating func run(
    _ table: TrigramTable, first: Int32, second: Int32, noise: RandomStream, position: Int
  ) {
    nodes.removeAll(keepingCapacity: true)
    guard let place = table.place(of: first, second) else { return }
    nodes.append(
      Node(token: second, parent: -1, place: Int32(place), depth: 1, prior: 0))
    for iteration in 0..<min(max(settings.iterations, 0), 10_000) {
      var score = 1 + descend(table)
      score += rollOut(table, noise, position: position, iteration: iteration)
      for node in path {
        nodes[node].visits += 1
        nodes[node].score += score
      }
    }
  }

  /// Walks to a node that was not expanded before and expands it; returns the sum of the priors.
  private mutating func descend(_ table: TrigramTable) -> Double {
    path.removeAll(keepingCapacity: true)
    path.append(0)
    var at = 0
    var sum = 0.0
    while nodes[at].depth < settings.depth {
      let isNew = nodes[at].childCount < 0
      if isNew { expand(at, table) }
      guard nodes[at].childCount > 0 else { break }
      at = isNew ? Int(nodes[at].firstChild + nodes[at].childCount - 1) : bestChild(of: at)
      path.append(at)
      sum += nodes[at].prior
      if isNew { break }
    }
    return sum
  }

  private mutating func expand(_ at: Int, _ table: TrigramTable) {
    let node = nodes[at]
    nodes[at].firstChild = Int32(nodes.count)
    nodes[at].childCount = 0
    guard node.place >= 0 else { return }
    let place = Int(node.place)
    let scale = scale(at: place, table)
    let count = table.count(at: place)
    for rank in 0..<count {
      let token = table.token(at: place, rank)
      nodes.append(
        Node(
          token: token, parent: Int32(at),
          place: Int32(table.place(of: node.token, token) ?? -1), depth: node.depth + 1,
          prior: Double(table.weight(at: place, rank)) * scale))
    }
    nodes[at].childCount = Int32(count)
  }

  /// What weights count for in the search.
  private func scale(at place: Int, _ table: TrigramTable) -> Double {
    settings.normalises ? 1 / max(sum(at: place, table), .leastNormalMagnitude) : 1
  }

  private func sum(at place: Int, _ table: TrigramTable) -> Double {
    (0..<table.count(at: place)).reduce(0) { $0 + Double(table.weight(at: place, $1)) }
  }

  private func bestChild(of at: Int) -> Int {
    let visits = nodes[at].visits
    let growth = (visits + settings.priorGrowth + 1) / settings.priorGrowth
    let bonus =
      (settings.priorWeight + ElementaryFunctions.log(growth)) * visits.squareRoot()
    let first = Int(nodes[at].firstChild)
    var best = (value: -Double.infinity, node: first)
    for child in first..<first + Int(nodes[at].childCount) {
      let visits = nodes[child].visits
      // Every child is tried once, heaviest first, before any is compared.
      guard visits > 0 else { return child }
      let value = nodes[child].score / visits + bonus * nodes[child].prior / (1 + visits)
      if value > best.value { best = (value, child) }
    }
    return best.node
  }

  /// Goes on from the end of the path, and returns the sum of what it came by.
  private func rollOut(
    _ table: TrigramTable, _ noise: RandomStream, position: Int, iteration: Int
  ) -> Double {
    guard let end = path.last else { return 0 }
    var (token, place) = (nodes[end].token, Int(nodes[end].place))
    var sum = 0.0
    for depth in Int(nodes[end].depth)..<max(settings.depth, Int(nodes[end].depth)) {
      guard place >= 0, table.count(at: place) > 0 else { break }
      let draw = noise.uniform(position: position, token: iteration * 16 + depth)
      var left = draw * self.sum(at: place, table)
      var rank = 0
      while rank < table.count(at: place) - 1, left >= Double(table.weight(at: place, rank)) {
        left -= Double(table.weight(at: place, rank))
        rank += 1
      }
      sum += Double(table.weight(at: place, rank)) * scale(at: place, table)
      let next = table.token(at: place, rank)
      place = table.place(of: token, next) ?? -1
      token = next
    }
    return sum
  }

  // MARK: The draft

  /// Makes a trie of the most visited nodes, and of the heaviest successor below each of them.
  ///
  /// A node is visited whenever one below it is, so the order of visits puts parents first.
  func collect(_ table: TrigramTable, budget: DraftBudget, into tree: inout TokenTree) {
    guard nodes.count > 1 else { return }
    let best = nodes.indices.dropFirst().filter { nodes[$0].visits > 0 }
      .sorted { (nodes[$0].visits, $1) > (nodes[$1].visits, $0) }
      .prefix(max(settings.topPaths, 0))
    var places: [Int: Int] = [0: TokenTree.root]
    for node in best where tree.count < budget.nodes && nodes[node].depth - 1 <= budget.depth {
      let parent = Int(nodes[node].parent)
      guard let above = places[parent] else { continue }
      places[node] = tree.append(
        nodes[node].token, below: above,
        probability: confidence(nodes[node].token, at: Int(nodes[parent].place), table))
    }
    for node in best where tree.count < budget.nodes && nodes[node].depth <= budget.depth {
      guard let above = places[node] else { continue }
      let place = Int(nodes[node].place)
      guard place >= 0, table.count(at: place) > 0 else { continue }
      let token = table.token(at: place, 0)
      tree.append(token, below: above, probability: confidence(token, at: place, table))
    }
  }

  /// The draft without a search: the paths of the largest products of shares, found best first.
  func collectBestFirst(
    _ table: TrigramTable, first: Int32, second: Int32, budget: DraftBudget,
    into tree: inout TokenTree
  ) {
    typealias Candidate = (token: Int32, before: Int32, above: Int, depth: Int, product: Float)
    var open: [Candidate] = []
    func add(_ first: Int32, _ second: Int32, above: Int, depth: Int, product: Float) {
      guard depth <= min(budget.depth, settings.depth) else { return }
      guard let place = table.place(of: first, second) else { return }
      for rank in 0..<table.count(at: place) {
        let token = table.token(at: place, rank)
        open.append((token, second, above, depth, product * confidence(token, at: place, table)))
      }
    }
    add(first, second, above: TokenTree.root, depth: 1, product: 1)
    while tree.count < budget.nodes {
      // Of equal products the earliest, so that nothing depends on anything but the table.
      guard let best = open.indices.max(by: { (open[$0].product, $1) < (open[$1].product, $0) })
      else { return }
      let (token, before, above, depth, product) = open.remove(at: best)
      let share = above < 0 ? product : product / tree.pathProbabilities[above]
      let node = tree.append(token, below: above, probability: share)
      add(before, token, above: node, depth: depth + 1, product: product)
    }
  }

  /// A weight's share, with one imagined sighting of something else: a tri-gram that was seen once
  /// is not certain.
  private func confidence(_ token: Int32, at place: Int, _ table: TrigramTable) -> Float {
    guard place >= 0 else { return 0 }
    let rank = (0..<table.count(at: place)).first { table.token(at: place, $0) == token }
    guard let rank else { return 0 }
    return table.weight(at: place, rank) / (Float(sum(at: place, table)) + settings.boost)
  }
}
