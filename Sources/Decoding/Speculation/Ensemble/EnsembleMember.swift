/// A drafter that takes part in `--speculate auto`.
struct EnsembleMember: Sendable {
  /// Makes it.
  let kind: DrafterKind
  /// Most nodes that it is asked for. Chains cost next to nothing and may be long; of wide trees
  /// more nodes than pay on any machine would only take time to look at.
  var mostNodes = GenerationOptions.plannedNodes
  /// Whether it can do anything in a generation.
  var applies: @Sendable (DrafterSetup) -> Bool = { _ in true }
}

extension DrafterRegistry {
  /// The drafters of `--speculate auto`, in the order in which they are asked: the cheap ones first,
  /// so that those that run a model are asked only where these leave something to gain. To join, a
  /// drafter must
  ///
  /// - learn from steps that others drafted (`DraftObservation.tree` is the ensemble's),
  /// - propose without having been asked in the steps before.
  ///
  /// `stand` is not among them: it sums up the vocabulary in every row to learn, which took 5 to 17% of
  /// SmolLM2's time even where it drafted nothing.
  static let ensembleMembers: [EnsembleMember] =
    [
      EnsembleMember(kind: .grammar, mostNodes: 24) { $0.constraint != nil },
      // The planner decides what is run: a gate of the drafter's own would judge by others' drafts.
      EnsembleMember(kind: .copy(CopySettings(isGated: false))),
      EnsembleMember(kind: .input()),
      EnsembleMember(kind: .recycling(), mostNodes: 24),
      EnsembleMember(kind: .aded(), mostNodes: 24),
    ]
    + (kind("draft-model").map {
      [EnsembleMember(kind: $0, mostNodes: 24) { $0.draftModel != nil }]
    } ?? [])
}

extension DrafterKind {
  /// All drafters that apply, planned together.
  public static let auto = DrafterKind(name: "auto", defaultNodes: 16, keepsMemory: true) {
    try EnsembleDrafter($0)
  }
}
