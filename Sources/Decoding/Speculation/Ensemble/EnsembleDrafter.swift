import Compute
import Transformers

/// `--speculate auto`: several drafters propose together, and what is worth its price is run.
///
/// The cheap members (copies, tables) are asked first and their trees merged into one trie. Those
/// that run a model are asked only where that is worth more than it costs, given what the cheap ones
/// found already (`EnsemblePlanner`). All members see every step, whoever drafted it, so those that
/// learn do so at the same pace as alone. A member that throws is dropped for the rest of the
/// generation, with a warning.
///
/// No paper: the project's own. Guarantee: that of the verifier, bitwise with coupled verification.
/// Cost: the members' own, and 10-40 µs a step for merging and planning.
///
/// Under verification by rejection the members' draws are tested as chosen tokens: a member draws
/// with noise that is independent of the verifier's and of the target's, so given the draw the test
/// is exact, and trees may be merged and cut by what they hold.
final class EnsembleDrafter: Drafter {
  let name = "auto"
  let requirements: DrafterRequirements
  /// The members in order; a node's origin is an index into them.
  let members: [Member]
  /// Decides who is asked; nil to ask everybody.
  var planner: EnsemblePlanner?
  /// Drops what a constraint forbids from what the members propose.
  private var constraint: ConstraintTracker?

  private let now: () -> Double
  private(set) var proposal: EnsembleProposal
  private var failures: [GenerationWarning] = []

  /// A drafter of the ensemble.
  final class Member {
    let drafter: any Drafter
    let mostNodes: Int
    let runsModel: Bool
    /// Its hidden states among those of the ensemble.
    let taps: Range<Int>
    fileprivate(set) var isDropped = false

    fileprivate init(_ drafter: any Drafter, mostNodes: Int, firstTap: Int) {
      self.drafter = drafter
      self.mostNodes = mostNodes
      let requirements = drafter.requirements
      runsModel = requirements.runsModel
      taps = firstTap..<(firstTap + requirements.taps.count)
    }
  }

  /// - Parameters:
  ///   - drafters: the members, the cheap ones first, with the most nodes each is asked for.
  ///   - now: a clock, in microseconds.
  init(_ drafters: [(drafter: any Drafter, mostNodes: Int)], now: (() -> Double)? = nil) {
    var taps: [ForwardOptions.Tap] = []
    members = drafters.prefix(32).map { drafter, mostNodes in
      defer { taps += drafter.requirements.taps }
      return Member(drafter, mostNodes: mostNodes, firstTap: taps.count)
    }
    requirements = DrafterRequirements(taps: taps)
    proposal = EnsembleProposal(memberCount: members.count)
    let clock = ContinuousClock()
    let start = clock.now
    self.now = now ?? { start.duration(to: clock.now) / .microseconds(1) }
  }

  /// All members of the registry that apply.
  /// - Throws: what making a member throws.
  convenience init(_ setup: DrafterSetup) throws {
    let applying = DrafterRegistry.ensembleMembers.filter { $0.applies(setup) }
    self.init(try applying.map { (try $0.kind.make(setup), $0.mostNodes) })
    constraint = setup.constraint
  }

  /// Names of the members, in order.
  var memberNames: [String] { members.map(\.drafter.name) }

  /// Members that failed since the last call.
  func takeFailures() -> [GenerationWarning] {
    defer { failures.removeAll() }
    return failures
  }

  // MARK: The calls of a generation

  func begin(_ context: DraftContext) {
    let context = context.forChosenDrafts
    for index in members.indices {
      attempt(index, .begin) { try $0.begin(context) }
    }
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    let context = context.forChosenDrafts
    proposal = EnsembleProposal(memberCount: members.count)
    for (index, member) in members.enumerated() where !member.isDropped {
      let limit = DraftBudget(nodes: min(budget.nodes, member.mostNodes), depth: budget.depth)
      guard let planner else {
        // As its paper would draft: a model has a pass for each level.
        let depth = member.runsModel ? DraftModelDrafter.paperLength : limit.depth
        ask(index, DraftBudget(nodes: limit.nodes, depth: min(depth, limit.depth)), context)
        continue
      }
      let planned =
        member.runsModel
        ? planner.budget(ofModel: index, member.drafter, proposal, context, limit)
        : planner.budget(ofTable: index, limit)
      guard let planned, !planned.isEmpty else { continue }
      let began = now()
      ask(index, planned, context)
      planner.learnPrice(
        index, microseconds: now() - began, proposed: proposal.trees[index])
    }
    tree = proposal.tree
    // Nobody else cuts what is too much, and everything is a guess of its drafter.
    if planner == nil { tree.keep(budget.nodes, by: tree.pathProbabilities) }
  }

  private func ask(_ index: Int, _ budget: DraftBudget, _ context: DraftContext) {
    var tree = TokenTree()
    attempt(index, .propose) { try $0.propose(budget, context: context, into: &tree) }
    guard !members[index].isDropped else { return }
    tree.cut(to: budget)
    do {
      try constraint?.prune(&tree, context.history)
    } catch {
      // The verifier meets the same error and reports it.
      tree.removeAll()
    }
    proposal.add(tree, from: index)
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    let context = context.forChosenDrafts
    for (index, member) in members.enumerated()
    where member.runsModel || planner?.isWorking(index) ?? true {
      let own = DraftObservation(
        position: step.position, tree: step.tree, accepted: step.accepted, emitted: step.emitted,
        logits: step.logits,
        taps: member.taps.compactMap { step.taps.indices.contains($0) ? step.taps[$0] : nil })
      let began = now()
      attempt(index, .observe) { try $0.observe(own, context: context) }
      planner?.learnLearning(index, microseconds: now() - began, nodes: step.tree.count)
    }
  }

  func end() {
    for index in members.indices { attempt(index, .end) { try $0.end() } }
  }

  /// Lets a member do something; drops it if it throws.
  private func attempt(
    _ index: Int, _ stage: GenerationWarning.Stage, _ action: (any Drafter) throws -> Void
  ) {
    let member = members[index]
    guard !member.isDropped else { return }
    do {
      try action(member.drafter)
    } catch {
      member.isDropped = true
      failures.append(
        GenerationWarning(drafter: member.drafter.name, stage: stage, reason: "\(error)"))
    }
  }
}

extension DraftContext {
  /// The same for drafters whose draws are tested as chosen tokens.
  fileprivate var forChosenDrafts: DraftContext {
    guard needsDistributions else { return self }
    return DraftContext(
      history: history, promptCount: promptCount, sampling: sampling, noise: noise,
      needsDistributions: false, remaining: remaining, load: load)
  }
}

extension TokenTree {
  /// A drafter that overdraws its budget loses what is too much, deepest and latest first.
  mutating func cut(to budget: DraftBudget) {
    guard count > budget.nodes || depth > budget.depth else { return }
    let fitting = depths.count { Int($0) < budget.depth }
    keep(min(fitting, budget.nodes), by: depths.map { -Float($0) })
  }
}
