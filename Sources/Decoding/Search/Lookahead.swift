/// The futures of a few candidates for the next token, decoded greedily side by side.
struct Lookahead {
  /// A candidate and what greedy decoding writes after it.
  struct Branch {
    /// The candidate first.
    var tokens: [Int32]
    /// Node of the tree for each token that was run: all but the last, or all at a lookahead of 0.
    var nodes: [Int] = []
    /// After each token that was run.
    var outlooks: [Outlook] = []
    /// Sum of ln p over the tokens.
    var logProbability: Double
    /// True if the branch's last token ends the text. Such a branch is not added to any more.
    var isEnded: Bool

    /// Mean log-probability of the candidate and its future.
    var score: Double { logProbability / Double(tokens.count) }
  }

  /// One for each candidate, in their order.
  private(set) var branches: [Branch]
  /// The tokens that were run, below the committed text.
  private(set) var tree = TokenTree()
  private let length: Int
  private let stops: Set<Int32>

  /// - Parameters:
  ///   - candidates: likeliest first, at least one.
  ///   - length: tokens after each of them.
  init(_ candidates: [ScoredToken], length: Int, stops: Set<Int32>) {
    branches = candidates.map {
      Branch(
        tokens: [$0.token], logProbability: $0.logProbability, isEnded: stops.contains($0.token))
    }
    self.length = length
    self.stops = stops
  }

  /// The branch of the highest score; of equal ones the likelier candidate, which comes first.
  var winner: Int {
    branches.indices.reduce(0) { branches[$1].score > branches[$0].score ? $1 : $0 }
  }

  /// Runs all branches, a pass for each level.
  ///
  /// - Parameter read: gives the outlook of a row and the tokens up to it.
  mutating func play(
    model: any ForestModel,
    read: (UnsafeBufferPointer<Float>, _ path: [Int32]) throws -> Outlook
  ) throws {
    for _ in 0..<max(length, 0) {
      let begin = tree.count
      var running: [Int] = []
      for index in branches.indices where !branches[index].isEnded {
        guard let token = branches[index].tokens.last else { continue }
        branches[index].nodes.append(
          tree.append(token, below: branches[index].nodes.last ?? TokenTree.root))
        running.append(index)
      }
      guard !running.isEmpty else { return }
      let rows = try model.run(tree, from: begin)
      for (logits, index) in zip(rows, running) {
        try extend(index, with: try read(logits, branches[index].tokens))
      }
    }
  }

  private mutating func extend(_ index: Int, with outlook: Outlook) throws {
    let next = outlook.candidates[0]
    branches[index].outlooks.append(outlook)
    branches[index].tokens.append(next.token)
    branches[index].logProbability += next.logProbability
    branches[index].isEnded = stops.contains(next.token)
  }
}
