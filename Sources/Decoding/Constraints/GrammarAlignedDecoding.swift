import Compute
import Constraints

/// How samples under a constraint are distributed, by the name that `--align` takes.
public enum AlignmentMethod: String, Sendable, Codable, CaseIterable {
  /// Each token from what the model says of the possible ones. Texts whose beginning is likely but
  /// whose rest is not come too often.
  case none
  /// Grammar-Aligned Decoding: the samples of a run follow, more and more, the model's own
  /// distribution of the texts that satisfy the constraint.
  case asap
}

/// What samples of one prompt under one constraint have shown of how likely each beginning is to be
/// completed: ASAp of Grammar-Aligned Decoding (Park et al., arXiv 2405.21047).
///
/// With P(v | u) the model's probability of token v after u over the whole vocabulary, and c(u) the
/// probability that a text which begins with u goes on to satisfy the constraint, tokens are drawn in
/// proportion to P(v | u) c(uv): that is the model's distribution under the condition of the
/// constraint. c is not known. `expectation` holds an estimate that is never below it: 1 for what
/// no sample went through, else
///
///   c(u) = A(u) - sum over explored v of P(v | u) (1 - c(uv)),
///
/// A(u) being the probability of all possible tokens after u. Samples make it exact, text by text.
/// The first sample is that of plain constrained decoding. Different tokens of the same characters
/// are different texts, as in the paper.
final class PriorSamples {
  /// One token of a sample.
  struct Step {
    var token: Int32
    /// P(token | what is before it).
    var probability: Double
    /// A(what is before it).
    var possible: Double
  }

  /// How a sample ended.
  enum End {
    /// With a text that satisfies the constraint.
    case complete
    /// At its longest length, short of one: nothing longer is a text.
    case outside
    /// Otherwise: what comes next is not known.
    case unknown
  }

  private struct Node {
    var possible: Double
    var expectation: Double
    var children: [Int32: Child] = [:]
  }

  private struct Child {
    var probability: Double
    var node: Int
  }

  /// More nodes than this are not kept; what is not kept counts as unexplored.
  static let mostNodes = 1_000_000

  private var nodes: [Node] = []

  /// An estimate of the probability that the model, left alone, satisfies the constraint. Never too
  /// small, and 1 before the first sample.
  var expectation: Double { nodes.first?.expectation ?? 1 }

  /// The estimates of the explored tokens after `path`; every other possible token has 1.
  func expectations(
    after path: some Sequence<Int32>
  ) -> [(token: Int32, expectation: Double)] {
    guard !nodes.isEmpty else { return [] }
    var node = 0
    for token in path {
      guard let child = nodes[node].children[token] else { return [] }
      node = child.node
    }
    return nodes[node].children.map { ($0.key, nodes[$0.value.node].expectation) }
  }

  /// Learns from a sample.
  func add(_ sample: [Step], end: End) {
    guard let first = sample.first, nodes.count + sample.count < Self.mostNodes else { return }
    if nodes.isEmpty { nodes.append(Node(possible: first.possible, expectation: first.possible)) }
    var path = [0]
    for (index, step) in sample.enumerated() {
      let isLast = index + 1 == sample.count
      // Complete texts need no node: their 1 is what unexplored tokens have.
      if isLast, end != .outside { break }
      let possible = isLast ? 0 : sample[index + 1].possible
      path.append(child(of: path[path.count - 1], step, possible: possible))
    }
    if end == .outside, let last = path.last { nodes[last].expectation = 0 }
    for node in path.reversed() { estimate(node) }
  }

  private func child(of parent: Int, _ step: Step, possible: Double) -> Int {
    if let known = nodes[parent].children[step.token] { return known.node }
    nodes.append(Node(possible: possible, expectation: possible))
    nodes[parent].children[step.token] = Child(
      probability: step.probability, node: nodes.count - 1)
    return nodes.count - 1
  }

  private func estimate(_ node: Int) {
    let missing = nodes[node].children.values.reduce(0.0) {
      $0 + $1.probability * (1 - nodes[$1.node].expectation)
    }
    nodes[node].expectation = min(max(nodes[node].possible - missing, 0), nodes[node].expectation)
  }
}

/// One sample that is drawn with the estimates of those before it.
final class AlignedSample {
  private let tracker: ConstraintTracker
  private let prior: PriorSamples
  private let temperature: Double
  private let promptCount: Int
  private var steps: [PriorSamples.Step] = []

  init(
    _ tracker: ConstraintTracker, prior: PriorSamples, temperature: Double, promptCount: Int
  ) {
    self.tracker = tracker
    self.prior = prior
    self.temperature = temperature
    self.promptCount = promptCount
  }

  /// Weighs the tokens of a node by the estimates: as logits at the temperature of the sample.
  func align(_ logits: inout [Float], _ history: TokenHistory, _ path: UnsafeBufferPointer<Int32>) {
    let text = [history.tokens.dropFirst(promptCount), path[...].map { $0 }[...]].joined()
    for (token, expectation) in prior.expectations(after: text) {
      logits[Int(token)] =
        expectation > 0
        ? logits[Int(token)] + Float(temperature * ElementaryFunctions.log(expectation))
        : -.infinity
    }
  }

  /// Notes the tokens of a step.
  ///
  /// - Parameter history: committed tokens before the step.
  /// - Throws: as `ConstraintTracker.state`.
  func note(_ step: Verification, _ logits: TreeLogits, _ history: TokenHistory) throws {
    for (index, token) in step.emitted.enumerated() {
      let node = index == 0 ? TokenTree.root : Int(step.accepted[index - 1])
      try note(token, logits: logits[node], history, Array(step.emitted.prefix(index)))
    }
  }

  /// Notes a token that was drawn.
  ///
  /// - Parameters:
  ///   - logits: the model's own, of the node the token was drawn at.
  ///   - history: committed tokens before the step.
  ///   - path: tokens of the step before this one.
  /// - Throws: as `ConstraintTracker.state`.
  func note(
    _ token: Int32, logits: UnsafeBufferPointer<Float>, _ history: TokenHistory, _ path: [Int32]
  ) throws {
    let best = Double(ElementaryFunctions.largest(of: logits))
    var (total, possible) = (0.0, 0.0)
    try tracker.matcher.withMask(tracker.state(history, path)) { words in
      for index in logits.indices {
        let weight = ElementaryFunctions.exp((Double(logits[index]) - best) / temperature)
        total += weight
        if index >> 6 < words.count, words[index >> 6] >> UInt64(index & 63) & 1 == 1 {
          possible += weight
        }
      }
    }
    let own = ElementaryFunctions.exp((Double(logits[Int(token)]) - best) / temperature)
    steps.append(
      .init(token: token, probability: own / total, possible: min(possible / total, 1)))
  }

  /// Hands the sample over, when it is over.
  func finish(_ reason: FinishReason) {
    let end: PriorSamples.End =
      switch reason {
      case .stopToken(let token) where tracker.matcher.trie.ends.contains(token): .complete
      case .length: .outside
      default: .unknown
      }
    prior.add(steps, end: end)
    steps.removeAll()
  }
}
