import Foretoken

/// A method as the benchmark runs it.
struct SpecVariant: Sendable, Hashable, Codable {
  /// Name, as `--speculate` takes it.
  let method: String
  /// Whether drafts are priced.
  let planner: PlannerMode
  /// Shape and size of its trees, and how they are tested, in the suite of trees; nil elsewhere.
  var tree: SpecTree?

  static let plain = SpecVariant(method: "none", planner: .on)

  /// Name in tables.
  var name: String {
    let name = planner == .on ? method : "\(method), planner off"
    return tree.map { "\(name), \($0.name), \($0.size)" } ?? name
  }

  /// False for what is another variant under another name: at temperature 0 every verifier is the
  /// greedy one.
  func isRun(at temperature: Double) -> Bool {
    temperature > 0 || tree.map { !$0.verification.isStochastic } ?? true
  }
}

/// One step, as far as it has to be known to price it anew.
///
/// Nodes are ranked by the probability of their path, likeliest first, so that keeping the first n
/// keeps a tree; a step with n nodes kept gives one token more than accepted nodes have ranks
/// below n.
struct SpecStep: Sendable, Equatable {
  /// Probabilities of a path above which nodes are counted.
  static let thresholds: [Float] = [0.8, 0.6, 0.4, 0.2, 0.1, 0.05, 0.02]

  /// Time of drafting, forward pass and verification, in microseconds.
  var draft = 0
  var forward = 0
  var verify = 0
  /// Drafted nodes.
  var nodes = 0
  /// For each threshold the nodes whose path is at least that probable.
  var likely: [Int] = []
  /// Ranks of the accepted nodes, ascending.
  var accepted: [Int] = []

  init(_ trace: StepTrace) {
    draft = trace.costs.draftMicroseconds
    forward = trace.costs.forwardMicroseconds
    verify = trace.costs.verifyMicroseconds
    nodes = trace.draftTokens.count
    var paths: [Float] = []
    for node in 0..<nodes {
      let parent = Int(trace.draftParents[node])
      paths.append(trace.draftProbabilities[node] * (parent < 0 ? 1 : paths[parent]))
    }
    likely = Self.thresholds.map { limit in paths.count { $0 >= limit } }
    var ranks = [Int](repeating: 0, count: nodes)
    let order = paths.indices.sorted { (paths[$0], $1) > (paths[$1], $0) }
    for (rank, node) in order.enumerated() { ranks[node] = rank }
    accepted = trace.accepted.map { ranks[Int($0)] }.sorted()
  }

  /// A step by its parts, for simulations.
  init(
    draft: Int = 0, forward: Int = 0, verify: Int = 0, nodes: Int, likely: [Int] = [],
    accepted: [Int]
  ) {
    self.draft = draft
    self.forward = forward
    self.verify = verify
    self.nodes = nodes
    self.likely = likely.isEmpty ? Self.thresholds.map { _ in nodes } : likely
    self.accepted = accepted
  }
}

extension SpecStep: Codable {
  /// Reads a list of numbers: a benchmark has tens of thousands of steps.
  init(from decoder: any Decoder) throws {
    let numbers = try [Int](from: decoder)
    let fixed = 4 + Self.thresholds.count
    guard numbers.count >= fixed else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "a step has \(fixed) numbers"))
    }
    (draft, forward, verify, nodes) = (numbers[0], numbers[1], numbers[2], numbers[3])
    likely = Array(numbers[4..<fixed])
    accepted = Array(numbers[fixed...])
  }

  /// Writes the list.
  func encode(to encoder: any Encoder) throws {
    try ([draft, forward, verify, nodes] + likely + accepted).encode(to: encoder)
  }
}

/// One prompt answered by one method, all its turns together.
struct SpecRun: Sendable, Codable {
  let variant: SpecVariant
  var guarantee = MethodGuarantee.bitwise
  /// Tokens that decoding gave, without each turn's first, which the prompt's pass gives.
  var tokens = 0
  var decodeMilliseconds = 0.0
  var drafted = 0
  var accepted = 0
  /// Index of the first token that differs from plain decoding's; nil if none does.
  var mismatch: Int?
  /// Steps after each turn's first.
  var steps: [SpecStep] = []

  init(variant: SpecVariant) { self.variant = variant }
}

/// One prompt answered by all methods, one after another.
struct SpecCell: Sendable, Codable {
  let model: String
  let temperature: Double
  let prompt: String
  let category: String
  var runs: [SpecRun] = []
  /// Why the prompt was left out; nil if it was not.
  var skipped: String?
}
