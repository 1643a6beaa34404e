import Compute
import Transformers

/// The speculative part of one generation: drafter, planner and what is drafted in this step.
final class Speculation {
  let drafter: any Drafter
  let verifier: any Verifier
  private let planner: any Planner
  private let promptCount: Int
  private let sampling: SamplingOptions
  private let noise: RandomStream
  private let constraint: ConstraintTracker?
  private let mostNodes: Int
  private let clock = ContinuousClock()
  private var hasBegun = false
  private var draftMicroseconds = 0.0
  private(set) var tree = TokenTree()
  /// Where the pass is shared: for each drafted node the probability that it and all above it are
  /// accepted, the largest first. Empty for nodes that have to be run as they are.
  private(set) var candidates: [Float] = []

  init(
    drafter: any Drafter, verifier: any Verifier, planner: any Planner, mostNodes: Int,
    promptCount: Int, sampling: SamplingOptions, seed: UInt64, constraint: ConstraintTracker? = nil
  ) {
    self.constraint = constraint
    self.drafter = drafter
    self.verifier = verifier
    self.planner = planner
    self.mostNodes = min(mostNodes, ForwardEngine.maximumRows - 1)
    self.promptCount = promptCount
    self.sampling = sampling
    noise = RandomStream(seed: seed, purpose: verifier.needsDistributions ? .draft : .target)
  }

  /// Fills `tree` with what this step runs below the latest token, or, where the pass is shared, with
  /// what it could run (`candidates`).
  ///
  /// - Parameter room: most nodes of a path, as context and remaining tokens allow.
  func draft(_ history: TokenHistory, room: Int, load: PassLoad) throws {
    tree.removeAll()
    candidates.removeAll(keepingCapacity: true)
    draftMicroseconds = 0
    var context = context(history)
    context.remaining = room + 1
    context.load = load
    if !hasBegun {
      hasBegun = true
      try drafter.begin(context)
    }
    let limit = DraftBudget(nodes: mostNodes, depth: min(room, mostNodes))
    let budget = planner.budget(for: drafter, context: context, limit: limit)
    guard !budget.isEmpty else {
      try constraint?.appendCertain(&tree, history, limit: limit)
      return
    }
    let began = clock.now
    try drafter.propose(budget, context: context, into: &tree)
    draftMicroseconds = began.duration(to: clock.now) / .microseconds(1)
    cut(to: budget)
    try constraint?.prune(&tree, history)
    try constraint?.extend(&tree, history, limit: limit)
    cut(to: budget)
    if verifier.needsDistributions && tree.isDrawn { return }
    if load.sequences > 1, let sharing {
      sharing.offer(tree, values: &candidates)
    } else {
      planner.prune(&tree)
      // What is certain is cheaper as a row of this pass than as a pass of its own.
      try constraint?.appendCertain(&tree, history, limit: limit)
    }
  }

  /// The planner, if it lets the forest's planner decide how many of its nodes a shared pass runs.
  var sharing: (any SharingPlanner)? { planner as? any SharingPlanner }

  /// Keeps the best `count` of the candidates.
  func keep(_ count: Int) { sharing?.keep(count, of: &tree) }

  /// Hands a finished step to drafter and planner.
  func observe(
    _ verification: Verification, emitted: [Int32], share: PassShare, history: TokenHistory
  ) throws {
    let position = history.count - emitted.count
    let context = context(history)
    let isPrompt = !hasBegun
    if isPrompt {
      hasBegun = true
      try drafter.begin(context)
    }
    let began = clock.now
    try drafter.observe(
      DraftObservation(
        position: position, tree: tree, accepted: verification.accepted, emitted: emitted,
        logits: share.logits, taps: share.taps), context: context)
    // The pass of the prompt was not the planner's.
    if isPrompt { return }
    planner.observe(
      PlannedStep(
        position: position, tree: tree, accepted: verification.accepted, emitted: emitted,
        draftMicroseconds: draftMicroseconds,
        learningMicroseconds: began.duration(to: clock.now) / .microseconds(1),
        forwardMicroseconds: share.duration / .microseconds(1), load: share.load))
  }

  /// Tells the drafter that the generation is over.
  func end() throws {
    if hasBegun { try drafter.end() }
  }

  /// A drafter that overdraws its budget loses what is too much, deepest and latest first.
  private func cut(to budget: DraftBudget) {
    guard tree.count > budget.nodes || tree.depth > budget.depth else { return }
    let fitting = tree.depths.filter { Int($0) < budget.depth }.count
    let values = tree.depths.map { -Float($0) }
    tree.keep(min(fitting, budget.nodes), by: values)
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
  ///   - constraint: what drafts are filtered by, and completed.
  ///   - sampling: the options' own, as the generation uses them.
  ///   - seed: key of the noise.
  ///   - planning: what planners of the model keep.
  ///   - engine: the target's, whose passes are measured if the planner is on.
  /// - Throws: what making the drafter, or measuring, throws.
  func speculation(
    _ setup: DrafterSetup, constraint: ConstraintTracker?, promptCount: Int,
    sampling: SamplingOptions, seed: UInt64,
    planning: PlanningMemory, engine: ForwardEngine
  ) throws -> Speculation? {
    let kind = customDrafter ?? DrafterRegistry.kind(speculation.rawValue)
    guard decoding == .plain, let kind else { return nil }
    let drafter = try kind.make(setup)
    let chosen: any Planner
    switch planner {
    case .off: chosen = FixedPlanner()
    case .on:
      chosen = MeasuredPlanner(
        costs: try planning.costs(of: engine), record: planning.record(kind.name))
    }
    let nodes = maximumDraft ?? (planner == .on ? Self.plannedNodes : kind.defaultNodes)
    return Speculation(
      drafter: drafter,
      verifier: verification == .rejection ? RejectionVerifier(seed: seed) : CoupledVerifier(),
      planner: chosen, mostNodes: nodes, promptCount: promptCount, sampling: sampling, seed: seed,
      constraint: constraint)
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
