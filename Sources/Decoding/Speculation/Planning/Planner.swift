/// Decides how much is drafted, and which of the drafted nodes are run.
///
/// A planner serves one generation. What it decides changes the time that a generation takes and
/// never, under coupled verification, its text.
public protocol Planner: AnyObject {
  /// What the drafter may propose in this step.
  ///
  /// - Parameters:
  ///   - context: what the drafter will see.
  ///   - limit: what context, remaining tokens and options allow.
  /// - Returns: at most `limit`; an empty budget for a plain step.
  func budget(
    for drafter: any Drafter, context: DraftContext, limit: DraftBudget
  ) -> DraftBudget

  /// Drops the nodes that are not worth their rows. Not called for trees whose nodes were drawn and
  /// are tested by rejection: dropping them by what they are would bias the sample.
  func prune(_ tree: inout TokenTree)

  /// Learns from a step.
  func observe(_ step: PlannedStep)

  /// Whether the reasons of each step are kept in `plan`.
  var explains: Bool { get set }

  /// Why the step under way drafts what it drafts; nil where nobody asked, or nothing was decided.
  var plan: StepPlan? { get }
}

extension Planner {
  /// Nothing to explain.
  public var explains: Bool {
    get { false }
    set {}
  }
  /// Nothing to explain.
  public var plan: StepPlan? { nil }
}

/// A step as the planner sees it.
public struct PlannedStep {
  /// Tokens of the context at the step's start.
  public let position: Int
  /// What was run, the root not counted.
  public let tree: TokenTree
  /// Accepted nodes, root first.
  public let accepted: [Int32]
  /// Tokens that the step gave, the accepted ones first.
  public let emitted: [Int32]
  /// Time spent on proposing, in microseconds; 0 where nothing was asked for.
  public let draftMicroseconds: Double
  /// Time that the drafter spent on learning from the step, in microseconds.
  public let learningMicroseconds: Double
  /// Time of the target's pass, in microseconds.
  public let forwardMicroseconds: Double
  /// Who shared the pass.
  let load: PassLoad

  /// A step.
  public init(
    position: Int, tree: TokenTree, accepted: [Int32], emitted: [Int32],
    draftMicroseconds: Double, learningMicroseconds: Double = 0, forwardMicroseconds: Double
  ) {
    self.init(
      position: position, tree: tree, accepted: accepted, emitted: emitted,
      draftMicroseconds: draftMicroseconds, learningMicroseconds: learningMicroseconds,
      forwardMicroseconds: forwardMicroseconds, load: .alone)
  }

  init(
    position: Int, tree: TokenTree, accepted: [Int32], emitted: [Int32],
    draftMicroseconds: Double, learningMicroseconds: Double, forwardMicroseconds: Double,
    load: PassLoad
  ) {
    self.position = position
    self.tree = tree
    self.accepted = accepted
    self.emitted = emitted
    self.draftMicroseconds = draftMicroseconds
    self.learningMicroseconds = learningMicroseconds
    self.forwardMicroseconds = forwardMicroseconds
    self.load = load
  }
}

/// A planner that lets another one, which sees all sequences of a pass, decide how many nodes to run.
protocol SharingPlanner: Planner {
  /// What passes cost, by its measurements.
  var costs: CostModel { get }

  /// Takes a proposal and says what its nodes are worth.
  ///
  /// - Parameter values: filled with the probability that each node and all above it are accepted,
  ///   the largest first.
  func offer(_ tree: TokenTree, values: inout [Float])

  /// Keeps the best `count` nodes of the proposal, with their parents; follows every offer.
  func keep(_ count: Int, of tree: inout TokenTree)
}

/// Whether drafts are priced, by the name that `--planner` takes.
public enum PlannerMode: String, Sendable, Codable, CaseIterable {
  /// As much is drafted as the measured cost of a pass and the measured acceptance make worthwhile.
  case on
  /// As much is drafted as the method's own settings, or `maximumDraft`, say.
  case off
}

/// Drafts as much as the limit allows, in every step: the papers' settings.
public final class FixedPlanner: Planner {
  /// A planner without state.
  public init() {}
  /// All of the limit.
  public func budget(
    for drafter: any Drafter, context: DraftContext, limit: DraftBudget
  ) -> DraftBudget { limit }
  /// Everything stays.
  public func prune(_ tree: inout TokenTree) {}
  /// Nothing to learn.
  public func observe(_ step: PlannedStep) {}
}
