import Compute

/// Uniform-cost search for the cheapest spans: always goes on with the paths of least cost.
///
/// Costs are negative log-probabilities, so a path's never falls as it grows, and a path that costs
/// more than a whole span cannot be the beginning of a better one. That makes the result exact
/// however few paths were looked at.
struct SpanSearch {
  /// A span that was found.
  struct Found {
    var node: Int32
    /// Sum of the log-probabilities of its tokens and of the end, in this order.
    var logProbability: Double
    /// The likeliest of the tokens that may end it.
    var end: Int32
  }

  let trie: SpanTrie
  private let passage: [UInt8]
  /// The best spans so far, best first.
  private(set) var best: [Found] = []
  /// Paths that were looked at.
  private(set) var expanded = 0
  private let wanted: Int
  private let isExhaustive: Bool
  private var frontier = PathHeap()

  /// - Parameters:
  ///   - wanted: number of spans to find.
  ///   - isExhaustive: looks at every path, for comparison.
  init(_ trie: SpanTrie, passage: String, wanted: Int, isExhaustive: Bool) {
    self.trie = trie
    self.passage = Array(passage.utf8)
    self.wanted = wanted
    self.isExhaustive = isExhaustive
  }

  /// Logarithm of the probability that a path must have to matter.
  private var bar: Double {
    isExhaustive || best.count < wanted ? -.infinity : best[best.count - 1].logProbability
  }

  /// The path to look at next, the one of least cost; nil when the search is over.
  var next: PathHeap.Entry? {
    frontier.top.flatMap { $0.logProbability > bar ? $0 : nil }
  }

  /// Takes `next` off the paths to look at.
  mutating func removeNext() {
    frontier.removeTop()
    expanded += 1
  }

  /// Takes the distribution after a path (-1: after the prompt), whose own log-probability is
  /// `logProbability`.
  /// - Parameter ends: tokens that may end a span, ascending.
  mutating func look(
    at node: Int32, logProbability: Double, scores: TokenScores, ends: [Int32]
  ) {
    if node >= 0, trie.nodes[Int(node)].isSpan {
      file(node, logProbability: logProbability, scores: scores, ends: ends)
    }
    let bar = bar
    for child in trie.children(of: node) {
      let sum = logProbability + scores.logProbability(of: trie.nodes[Int(child)].token)
      if sum > bar { frontier.insert(PathHeap.Entry(node: child, logProbability: sum)) }
    }
  }

  private mutating func file(
    _ node: Int32, logProbability: Double, scores: TokenScores, ends: [Int32]
  ) {
    let end = Self.ending(scores, ends)
    let found = Found(
      node: node, logProbability: logProbability + end.logProbability, end: end.token)
    guard found.logProbability > -.infinity else { return }
    // All ways to write a text are one span: the most probable of them counts.
    let text = text(of: node)
    if let same = best.firstIndex(where: { self.text(of: $0.node) == text }) {
      guard isBetter(found, best[same]) else { return }
      best.remove(at: same)
    }
    let place = best.firstIndex { isBetter(found, $0) } ?? best.count
    best.insert(found, at: place)
    if best.count > wanted { best.removeLast() }
  }

  private func text(of node: Int32) -> ArraySlice<UInt8> {
    let node = trie.nodes[Int(node)]
    return passage[Int(node.begin)..<Int(node.end)]
  }

  /// The more probable span; of equal ones the shorter, then the earlier.
  private func isBetter(_ left: Found, _ right: Found) -> Bool {
    if left.logProbability != right.logProbability {
      return left.logProbability > right.logProbability
    }
    let (l, r) = (trie.nodes[Int(left.node)], trie.nodes[Int(right.node)])
    return (l.depth, l.begin) < (r.depth, r.begin)
  }

  /// log of the probability of all `ends` together, and the likeliest of them.
  static func ending(
    _ scores: TokenScores, _ ends: [Int32]
  ) -> (logProbability: Double, token: Int32) {
    var sum = 0.0
    var likeliest = (logProbability: -Double.infinity, token: ends.first ?? 0)
    for token in ends {
      let logProbability = scores.logProbability(of: token)
      if logProbability > likeliest.logProbability { likeliest = (logProbability, token) }
      if logProbability > -.infinity { sum += ElementaryFunctions.exp(logProbability) }
    }
    return (min(ElementaryFunctions.log(sum), 0), likeliest.token)
  }
}

/// Paths by log-probability: a binary heap, the most probable on top, of equal ones the earlier node.
struct PathHeap {
  struct Entry {
    var node: Int32
    var logProbability: Double

    static func comesFirst(_ left: Self, _ right: Self) -> Bool {
      if left.logProbability != right.logProbability {
        return left.logProbability > right.logProbability
      }
      return left.node < right.node
    }
  }

  private var entries: [Entry] = []

  var top: Entry? { entries.first }

  mutating func insert(_ entry: Entry) {
    var at = entries.count
    entries.append(entry)
    while at > 0, Entry.comesFirst(entry, entries[(at - 1) / 2]) {
      entries[at] = entries[(at - 1) / 2]
      at = (at - 1) / 2
    }
    entries[at] = entry
  }

  mutating func removeTop() {
    guard let last = entries.popLast(), !entries.isEmpty else { return }
    var at = 0
    while true {
      var child = 2 * at + 1
      guard child < entries.count else { break }
      if child + 1 < entries.count, Entry.comesFirst(entries[child + 1], entries[child]) {
        child += 1
      }
      guard Entry.comesFirst(entries[child], last) else { break }
      entries[at] = entries[child]
      at = child
    }
    entries[at] = last
  }
}
