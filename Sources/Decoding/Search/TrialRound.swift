import Compute

/// One round of trials of Cautious Next Token Prediction: drawn side by side, level by level.
struct TrialRound {
  /// A continuation that was drawn.
  struct Trial {
    /// Tokens, the punctuation mark or the token that ended it included.
    var tokens: [Int32] = []
    /// Node of the tree for each token that was run: all but the last.
    var nodes: [Int] = []
    /// Sum of ln p over the tokens.
    var logProbability = 0.0
    /// One for each token, if they were asked for.
    var logProbabilities: [TokenLogProbabilities] = []
    var isEnded = false

    /// ln of the perplexity.
    var meanSurprise: Double { -logProbability / Double(max(tokens.count, 1)) }
  }

  private let options: CNTPOptions
  private let processor: LogitsProcessor
  private let history: TokenHistory
  private let stops: Set<Int32>
  private let noises: [RandomStream]
  private let length: Int
  /// How many of the likeliest tokens log-probabilities list; nil for none.
  var logProbabilities: Int?
  /// The trials, in the order of their numbers.
  private(set) var trials: [Trial]
  /// The trials' tokens that were run, as a trie below the committed text.
  private(set) var tree = TokenTree()

  /// - Parameters:
  ///   - count: of trials, at least one.
  ///   - room: nodes that may be pending.
  ///   - left: tokens that may still become output.
  init(
    options: CNTPOptions, processor: LogitsProcessor, history: TokenHistory, seed: UInt64,
    stops: Set<Int32>, count: Int, room: Int, left: Int
  ) {
    self.options = options
    self.processor = processor
    self.history = history
    self.stops = stops
    noises = (0..<count).map { Self.noise(seed: seed, trial: $0, start: history.count) }
    length = max(min(options.trialLength, room / count, left), 1)
    trials = Array(repeating: Trial(), count: count)
  }

  /// Noise of a trial of the round that begins at `start`. A round does not see what lost trials of
  /// the rounds before were drawn with at the same positions: that they lost says something of it.
  static func noise(seed: UInt64, trial: Int, start: Int) -> RandomStream {
    let purpose = RandomStream.Purpose(rawValue: 0x7472_0000 | UInt32(truncatingIfNeeded: trial))
    return RandomStream(seed: seed, purpose: purpose).forStep(at: start)
  }

  /// Draws all trials and returns the one of the lowest perplexity, of equal ones the first.
  ///
  /// - Parameters:
  ///   - first: logits after the committed text.
  ///   - endsClause: whether a token ends a trial.
  mutating func play(
    first: UnsafeBufferPointer<Float>, model: any ForestModel, endsClause: (Int32) -> Bool
  ) throws -> Trial {
    try draw(trials.indices.map { $0 }, below: TokenTree.root, first, endsClause)
    while true {
      let begin = tree.count
      let groups = growTree()
      guard !groups.isEmpty else { break }
      let logits = try model.run(tree, from: begin)
      for node in begin..<tree.count {
        try draw(groups[node - begin], below: node, logits[node - begin], endsClause)
      }
    }
    // `min` keeps the first of equal ones.
    return trials.min { $0.meanSurprise < $1.meanSurprise } ?? Trial()
  }

  /// Adds the running trials' latest tokens to the tree; returns the trials of each new node.
  private mutating func growTree() -> [[Int]] {
    let begin = tree.count
    var groups: [[Int]] = []
    for index in trials.indices where !trials[index].isEnded {
      guard let token = trials[index].tokens.last else { continue }
      let node = tree.append(token, below: trials[index].nodes.last ?? TokenTree.root)
      trials[index].nodes.append(node)
      if node - begin == groups.count { groups.append([]) }
      groups[node - begin].append(index)
    }
    return groups
  }

  /// Draws the next token of trials that have the same tokens so far.
  private mutating func draw(
    _ group: [Int], below node: Int, _ logits: UnsafeBufferPointer<Float>,
    _ endsClause: (Int32) -> Bool
  ) throws {
    let path = group.first.map { trials[$0].tokens } ?? []
    let position = history.count + path.count
    let drawn = try path.withUnsafeBufferPointer { path in
      try processor.withDistribution(logits: logits, history: history, path: path) {
        tokens, probabilities in
        group.map { trial in
          let index = Self.draw(
            probabilities, noises[trial].uniform(position: position, token: 0))
          return (tokens[index], probabilities[index])
        }
      }
    }
    for (index, (token, probability)) in zip(group, drawn) {
      try take(token, probability, logits, position, index, endsClause)
    }
  }

  /// Index of the outcome that a uniform number selects.
  private static func draw(_ probabilities: UnsafeBufferPointer<Double>, _ number: Double) -> Int {
    var left = number
    var index = 0
    while index + 1 < probabilities.count, left >= probabilities[index] {
      left -= probabilities[index]
      index += 1
    }
    return index
  }

  private mutating func take(
    _ token: Int32, _ probability: Double, _ logits: UnsafeBufferPointer<Float>, _ position: Int,
    _ index: Int, _ endsClause: (Int32) -> Bool
  ) throws {
    trials[index].tokens.append(token)
    switch options.score {
    case .warped: trials[index].logProbability += ElementaryFunctions.log(probability)
    case .raw:
      let entry = try TokenLogProbabilities(
        logits: logits, token: token, topCount: 0, position: position)
      trials[index].logProbability += Double(entry.chosen.logProbability)
    }
    if let topCount = logProbabilities {
      trials[index].logProbabilities.append(
        try TokenLogProbabilities(
          logits: logits, token: token, topCount: topCount, position: position))
    }
    let count = trials[index].tokens.count
    trials[index].isEnded =
      count >= length || stops.contains(token)
      || (count >= options.leastTrialLength && endsClause(token))
  }
}
