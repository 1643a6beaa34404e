import Compute
import Tokenization
import Transformers

/// Proposes what the target may write next.
///
/// A drafter serves one generation, on the engine's thread. Whatever it proposes, the output is the
/// target's own: a drafter can only cost time. The shortest useful one is about thirty lines
/// (CONTRIBUTING.md shows it); use it through `GenerationOptions.customDrafter`, or give it a name in
/// `DrafterRegistry`.
///
/// The order of calls is `begin`, then for each step `propose` and `observe`, where a step in which
/// the planner decodes plainly has no `propose`, then `end`.
public protocol Drafter: AnyObject {
  /// Name, as `--speculate` takes it.
  var name: String { get }

  /// What the target's passes have to hand over besides logits.
  var requirements: DrafterRequirements { get }

  /// Sees the prompt and the first token. Called once, before the first proposal.
  func begin(_ context: DraftContext) throws

  /// Adds nodes to `tree`, which is empty: at most `budget.nodes`, at most `budget.depth` deep.
  /// Adding nothing is always right.
  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws

  /// What a proposal would cost now, as far as the drafter knows; nil leaves it to the planner to
  /// find out. Worth its trouble where the cost depends on the state, as of a model that has tokens
  /// to catch up on.
  func price(_ context: DraftContext) -> DraftPrice?

  /// Learns from a step: what was run, what the target said at every node, what was accepted.
  ///
  /// - Parameter context: the state after the step; its last token is the pending one again.
  func observe(_ step: DraftObservation, context: DraftContext) throws

  /// Keeps what was learnt, if it belongs anywhere. Called once, when the generation is over, however
  /// it ended; not called for a drafter that never began.
  func end() throws
}

extension Drafter {
  /// Logits only.
  public var requirements: DrafterRequirements { .init() }
  /// Nothing to prepare.
  public func begin(_ context: DraftContext) throws {}
  /// Not known beforehand.
  public func price(_ context: DraftContext) -> DraftPrice? { nil }
  /// Nothing to learn.
  public func observe(_ step: DraftObservation, context: DraftContext) throws {}
  /// Nothing to keep.
  public func end() throws {}
}

/// What a drafter needs of the target, and what it costs.
public struct DrafterRequirements: Sendable, Equatable {
  /// Hidden states that every pass reads out for it, in this order.
  public var taps: [ForwardOptions.Tap]
  /// True if a proposal runs a model of its own, so that its time counts for the planner before
  /// anything is drafted. Table look-ups are nearly free and say false.
  public var runsModel: Bool

  /// What a drafter needs; nothing by default.
  public init(taps: [ForwardOptions.Tap] = [], runsModel: Bool = false) {
    self.taps = taps
    self.runsModel = runsModel
  }
}

/// How much may be drafted in one step.
public struct DraftBudget: Sendable, Hashable {
  /// Most nodes.
  public var nodes: Int
  /// Longest path, in nodes.
  public var depth: Int
  /// Drafters that run a model need not go on below a path whose probability, by their own
  /// account, is less than this: the planner would not run what they find there.
  public var leastPathProbability: Float = 0

  /// A budget; negative numbers count as 0.
  public init(nodes: Int, depth: Int) {
    self.nodes = max(nodes, 0)
    self.depth = max(depth, 0)
  }

  /// True if nothing may be drafted.
  public var isEmpty: Bool { nodes == 0 || depth == 0 }
}

/// What a proposal costs.
public struct DraftPrice: Sendable, Equatable {
  /// Microseconds before the first node, once.
  public var catchUp: Double
  /// Microseconds for each level of the tree.
  public var level: Double

  /// A price.
  public init(catchUp: Double, level: Double) {
    self.catchUp = catchUp
    self.level = level
  }
}

/// What a drafter may look at.
public struct DraftContext {
  /// Prompt and output so far. The last token is chosen, but not run yet: drafts go below it.
  public let history: TokenHistory
  /// Tokens of the prompt, the first ones of the history.
  public let promptCount: Int
  /// How the target's tokens are chosen.
  public let sampling: SamplingOptions
  /// Noise of drafters that draw. Under coupled verification it is the target's own, so that a
  /// drafter which draws with it (Gumbel-max at the token's position) agrees with the target as
  /// often as its distribution does; under rejection it is independent of the target's.
  public let noise: RandomStream
  /// True if the verifier tests draws against the distributions they were drawn from
  /// (`TokenTree.setDistribution`); otherwise distributions need not be set.
  public let needsDistributions: Bool
  /// Tokens that may still come, as options and context allow.
  public var remaining = Int.max
  /// Who shares the pass that is planned.
  var load = PassLoad.alone

  /// All tokens so far.
  public var tokens: [Int32] { history.tokens }
  /// Position of the first drafted token: the number of tokens before it.
  public var position: Int { history.count }
}

/// One step as a drafter sees it.
public struct DraftObservation {
  /// Number of tokens before the first that the step gave: the position of the tree's first nodes.
  public let position: Int
  /// The tree that was run: what was proposed, or the part of it that the planner kept. Empty for
  /// a plain step.
  public let tree: TokenTree
  /// Accepted nodes, root first.
  public let accepted: [Int32]
  /// Tokens that became output, in order; the accepted ones first.
  public let emitted: [Int32]
  /// The target's logits after the root and after every node. Valid during the call.
  public let logits: TreeLogits
  /// Hidden states by tap, each [1 + nodes, hiddenSize]; the root first. Valid during the call.
  public let taps: [UnsafeBufferPointer<Float>]
}

/// What a drafter is made of.
public struct DrafterSetup {
  /// The options of the generation.
  public let options: GenerationOptions
  /// Tokens of the target's vocabulary.
  public let vocabularyCount: Int
  /// Turns text into tokens and back.
  public let tokenizer: Tokenizer
  /// What drafters of this name keep between all generations of the model.
  public let modelMemory: DrafterMemory
  /// What drafters of this name keep between the turns of one conversation. One generation at a time
  /// uses it.
  public let conversationMemory: DrafterMemory
  /// What drafters of this name share with the other samples of the prompt, some of which run at
  /// the same time: tables that any text may add to, nothing that follows one text. The
  /// conversation's own memory where there are no samples.
  public let samplesMemory: DrafterMemory
  /// The smaller model that was loaded beside the target, if one was.
  public internal(set) var draftModel: DraftModel?
  /// The target's engine, for drafters that are parts of it.
  var target: ForwardEngine?
  /// What the text has to be.
  var constraint: ConstraintTracker?
}

/// State that drafters share, by name: tables that stay warm from one generation to the next.
///
/// Not Sendable: drafters of one engine run on the engine's thread.
public final class DrafterMemory {
  private var values: [String: AnyObject] = [:]

  /// An empty memory.
  public init() {}

  /// The value of this name, made on first use. Values of another type are replaced.
  public func value<Value: AnyObject>(_ name: String, make: () throws -> Value) rethrows -> Value {
    if let known = values[name] as? Value { return known }
    let value = try make()
    values[name] = value
    return value
  }

  /// Forgets everything.
  public func removeAll() { values.removeAll() }
}
