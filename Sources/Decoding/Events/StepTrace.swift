/// One step of decoding: at most one forward pass of the target, one or more tokens of output.
///
/// The drafted tree is flat: node `i` is `draftTokens[i]` below node `draftParents[i]`. Plain
/// decoding drafts nothing, so its arrays are empty.
public struct StepTrace: Sendable, Equatable, Codable {
  /// Position of the first token that this step gave (tokens before it).
  public let position: Int
  /// Token of each drafted node.
  public var draftTokens: [Int32] = []
  /// Parent of each drafted node: an earlier node, or -1 for the committed prefix.
  public var draftParents: [Int32] = []
  /// Probability that the drafter gave each node, given its parent.
  public var draftProbabilities: [Float] = []
  /// Which drafter proposed each node: an index into `drafters`.
  public var draftOrigins: [UInt8] = []
  /// All drafters that proposed each node, where there are several: bit i for `drafters[i]`.
  public var draftProposers: [UInt32]?
  /// Names of the drafters that took part.
  public var drafters: [String] = []
  /// Drafted nodes that were accepted, root first.
  public var accepted: [Int32] = []
  /// Tokens that the step gave: the accepted ones and the target's own last one.
  public let emitted: [Int32]
  /// Why the step ended where it did.
  public let outcome: StepOutcome
  /// What the step cost.
  public let costs: StepCosts
  /// Why it drafted what it drafted; nil where nobody asked.
  public var plan: StepPlan?

  /// A trace; the drafted tree is empty unless it is set.
  public init(position: Int, emitted: [Int32], outcome: StepOutcome, costs: StepCosts) {
    self.position = position
    self.emitted = emitted
    self.outcome = outcome
    self.costs = costs
  }

  /// The trace of a verified step.
  /// - Parameter drafters: who made the tree; empty where nothing can be drafted.
  init(
    position: Int, tree: TokenTree, drafters: [String], verification: Verification,
    plan: StepPlan? = nil, costs: StepCosts
  ) {
    self.init(
      position: position, emitted: verification.emitted, outcome: verification.outcome,
      costs: costs)
    self.plan = plan
    guard !tree.isEmpty else { return }
    draftTokens = tree.tokens
    draftParents = tree.parents
    draftProbabilities = tree.probabilities
    draftOrigins = tree.origins
    self.drafters = drafters
    if drafters.count > 1 { draftProposers = tree.proposers }
    accepted = verification.accepted
  }

  private enum CodingKeys: String, CodingKey {
    case position, drafters, accepted, emitted, outcome, costs, plan
    case draftTokens = "draft_tokens"
    case draftParents = "draft_parents"
    case draftProbabilities = "draft_probabilities"
    case draftOrigins = "draft_origins"
    case draftProposers = "draft_proposers"
  }
}

/// Why a step gave as many tokens as it did.
public enum StepOutcome: String, Sendable, Codable {
  /// Nothing was drafted.
  case plain
  /// A whole path of the tree was accepted, down to a leaf.
  case allAccepted = "all_accepted"
  /// No child of the last accepted node had the target's token.
  case mismatch
  /// A rejection test of a sampling verifier failed.
  case rejected
  /// The accepted path held a stop token.
  case stopped
}

/// Cost of one step.
public struct StepCosts: Sendable, Equatable, Codable {
  /// Rows of the target's forward pass.
  public let forwardRows: Int
  /// Time spent on proposing, in microseconds.
  public let draftMicroseconds: Int
  /// Time of the target's forward pass, in microseconds.
  public let forwardMicroseconds: Int
  /// Time spent on choosing and verifying, in microseconds.
  public let verifyMicroseconds: Int

  /// The cost of a step.
  public init(
    forwardRows: Int, draftMicroseconds: Int = 0, forwardMicroseconds: Int,
    verifyMicroseconds: Int
  ) {
    self.forwardRows = forwardRows
    self.draftMicroseconds = draftMicroseconds
    self.forwardMicroseconds = forwardMicroseconds
    self.verifyMicroseconds = verifyMicroseconds
  }

  private enum CodingKeys: String, CodingKey {
    case forwardRows = "forward_rows"
    case draftMicroseconds = "draft_us"
    case forwardMicroseconds = "forward_us"
    case verifyMicroseconds = "verify_us"
  }
}
