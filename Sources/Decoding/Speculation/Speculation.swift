import Compute
import Transformers

/// The speculative part of one generation: drafter, planner and what is drafted in this step.
///
/// A drafter that throws is dropped: the generation goes on without it, with the same text.
final class Speculation {
  let drafter: any Drafter
  let verifier: any Verifier
  private let planner: any Planner
  private let promptCount: Int
  private let sampling: SamplingOptions
  private let noise: RandomStream
  private let limit: DraftBudget
  private let constraint: ConstraintTracker?
  private let clock = ContinuousClock()
  private var hasBegun = false
  private var isDropped = false
  private var draftMicroseconds = 0.0
  private var warnings: [GenerationWarning] = []
  private(set) var tree = TokenTree()
  /// Where the pass is shared: for each drafted node the probability that it and all above it are
  /// accepted, the largest first. Empty for nodes that have to be run as they are.
  private(set) var candidates: [Float] = []

  init(
    drafter: any Drafter, verifier: any Verifier, planner: any Planner, limit: DraftBudget,
    promptCount: Int, sampling: SamplingOptions, seed: UInt64, constraint: ConstraintTracker? = nil
  ) {
    self.constraint = constraint
    self.drafter = drafter
    self.verifier = verifier
    self.planner = planner
    let nodes = min(limit.nodes, ForwardEngine.maximumRows - 1)
    self.limit = DraftBudget(nodes: nodes, depth: min(limit.depth, nodes))
    self.promptCount = promptCount
    self.sampling = sampling
    noise = RandomStream(seed: seed, purpose: verifier.needsDistributions ? .draft : .target)
  }

  /// Fills `tree` with what this step runs below the latest token, or, where the pass is shared, with
  /// what it could run (`candidates`).
  ///
  /// - Parameter room: most nodes of a path, as context and remaining tokens allow.
  func draft(_ history: TokenHistory, room: Int, load: PassLoad) {
    tree.removeAll()
    candidates.removeAll(keepingCapacity: true)
    draftMicroseconds = 0
    guard !isDropped else { return }
    var context = context(history)
    context.remaining = room + 1
    context.load = load
    begin(context)
    let most = DraftBudget(nodes: limit.nodes, depth: min(room, limit.depth))
    let budget = planner.budget(for: drafter, context: context, limit: most)
    guard !budget.isEmpty else { return addCertain(history, most) }
    let began = clock.now
    attempt(.propose) { try drafter.propose(budget, context: context, into: &tree) }
    guard !isDropped else { return tree.removeAll() }
    if !(drafter is EnsembleDrafter) { tree.cut(to: budget) }
    draftMicroseconds = began.duration(to: clock.now) / .microseconds(1)
    // The members of an ensemble are filtered one by one.
    if !(drafter is EnsembleDrafter) { constrain(history, budget) }
    if verifier.needsDistributions && tree.isDrawn { return }
    if load.sequences > 1, let sharing {
      sharing.offer(tree, values: &candidates)
    } else {
      planner.prune(&tree)
      addCertain(history, most)
    }
  }

  /// Drops what the constraint forbids, and adds what it leaves no choice about. An error of the
  /// constraint is the verifier's to report.
  private func constrain(_ history: TokenHistory, _ budget: DraftBudget) {
    guard let constraint else { return }
    do {
      try constraint.prune(&tree, history)
      try constraint.extend(&tree, history, limit: budget)
    } catch {
      tree.removeAll()
    }
  }

  /// What is certain is cheaper as a row of this pass than as a pass of its own.
  private func addCertain(_ history: TokenHistory, _ limit: DraftBudget) {
    try? constraint?.appendCertain(&tree, history, limit: limit)
  }

  /// The planner, if it lets the forest's planner decide how many of its nodes a shared pass runs.
  var sharing: (any SharingPlanner)? { planner as? any SharingPlanner }

  /// Keeps the best `count` of the candidates.
  func keep(_ count: Int) { sharing?.keep(count, of: &tree) }

  private func begin(_ context: DraftContext) {
    guard !hasBegun else { return }
    hasBegun = true
    attempt(.begin) { try drafter.begin(context) }
  }

  /// Lets the drafter do something; drops it if it throws.
  private func attempt(_ stage: GenerationWarning.Stage, _ action: () throws -> Void) {
    guard !isDropped else { return }
    do {
      try action()
    } catch {
      isDropped = true
      warnings.append(
        GenerationWarning(drafter: drafter.name, stage: stage, reason: "\(error)"))
    }
    if let ensemble = drafter as? EnsembleDrafter { warnings += ensemble.takeFailures() }
  }

  /// What went wrong since the last call.
  func takeWarnings() -> [GenerationWarning] {
    defer { warnings.removeAll() }
    return warnings
  }

  /// Names of the drafters that the origins of the tree's nodes mean.
  var drafterNames: [String] { (drafter as? EnsembleDrafter)?.memberNames ?? [drafter.name] }

  /// Why this step drafts what it drafts; nil if nobody asked.
  var plan: StepPlan? { isDropped ? nil : planner.plan }

  /// Hands a finished step to drafter and planner.
  func observe(
    _ verification: Verification, emitted: [Int32], share: PassShare, history: TokenHistory
  ) {
    guard !isDropped else { return }
    let position = history.count - emitted.count
    let context = context(history)
    let isPrompt = !hasBegun
    begin(context)
    let began = clock.now
    attempt(.observe) {
      try drafter.observe(
        DraftObservation(
          position: position, tree: tree, accepted: verification.accepted, emitted: emitted,
          logits: share.logits, taps: share.taps), context: context)
    }
    // The pass of the prompt was not the planner's.
    if isPrompt || isDropped { return }
    planner.observe(
      PlannedStep(
        position: position, tree: tree, accepted: verification.accepted, emitted: emitted,
        draftMicroseconds: draftMicroseconds,
        learningMicroseconds: began.duration(to: clock.now) / .microseconds(1),
        forwardMicroseconds: share.duration / .microseconds(1), load: share.load))
  }

  /// Tells the drafter that the generation is over.
  func end() {
    if hasBegun { attempt(.end) { try drafter.end() } }
  }

  private func context(_ history: TokenHistory) -> DraftContext {
    DraftContext(
      history: history, promptCount: promptCount, sampling: sampling, noise: noise,
      needsDistributions: verifier.needsDistributions)
  }
}

extension GenerationOptions {
  /// Most nodes of a step where the planner decides: more than pays on most machines.
  static let plannedNodes = 64

  /// The speculation that these options ask for; nil for plain decoding.
  ///
  /// - Parameters:
  ///   - sampling: the options' own, as the generation uses them.
  ///   - seed: key of the noise.
  ///   - planning: what planners of the model keep.
  ///   - engine: the target's, whose passes are measured if the planner is on.
  /// - Throws: what making the drafter, or measuring, throws.
  func speculation(
    _ setup: DrafterSetup, promptCount: Int,
    sampling: SamplingOptions, seed: UInt64, planning: PlanningMemory, engine: ForwardEngine
  ) throws -> Speculation? {
    guard decoding == .plain, let kind = drafterKind else { return nil }
    let drafter = try kind.drafter(setup)
    let tree = shapedTree(for: kind)
    let verification = verification ?? .coupled
    // Trees of another shape are accepted in another way.
    let shape = tree.map { " \($0.rawValue) \(verification.rawValue)" } ?? ""
    let chosen = try makePlanner(drafter, record: kind.name + shape, planning, engine)
    chosen.explains = explainsDrafts
    let record = planning.record(kind.name + shape)
    if let tree, record.proposals == 0 {
      record.width = tree.plannedWidth(maximumDraft, draftDepth)
    }
    let paperNodes = tree?.paperNodes ?? kind.defaultNodes
    let nodes = maximumDraft ?? (planner == .on ? Self.plannedNodes : paperNodes)
    return Speculation(
      drafter: drafter, verifier: verification.verifier(seed: seed), planner: chosen,
      limit: DraftBudget(nodes: nodes, depth: draftDepth ?? nodes), promptCount: promptCount,
      sampling: sampling, seed: seed, constraint: setup.constraint)
  }
}

extension GenerationOptions {
  /// The planner of a drafter that is known by this name.
  private func makePlanner(
    _ drafter: any Drafter, record name: String, _ planning: PlanningMemory,
    _ engine: ForwardEngine
  ) throws -> any Planner {
    guard planner == .on else { return FixedPlanner() }
    let costs = try planning.costs(of: engine)
    guard let ensemble = drafter as? EnsembleDrafter else {
      return MeasuredPlanner(costs: costs, record: planning.record(name))
    }
    let planner = EnsemblePlanner(
      ensemble, costs: costs, record: planning.ensemble, memberRecord: planning.record)
    ensemble.planner = planner
    return planner
  }
}

extension ForwardBatch {
  /// Appends the latest token and the nodes drafted below it: pending node 0, then node `i` of the
  /// tree as node `i + 1`.
  mutating func append(root: Int32, tree: TokenTree?, to cache: KVCache) {
    guard let tree, !tree.isEmpty else {
      append(chain: CollectionOfOne(root), to: cache, logits: .last)
      return
    }
    append(tree: [root] + tree.tokens, parents: [-1] + tree.parents.map { $0 + 1 }, to: cache)
  }
}
