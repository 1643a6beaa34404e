/// Drafts what a constraint leaves no choice about: tokens that are the only ones possible, and the
/// tokens of text that must follow. A member of `--speculate auto` under a constraint.
///
/// No paper: the project's own; the like is called jump-ahead or fast-forward decoding elsewhere.
/// Guarantee: that of the verifier. Cost: a mask for each token.
final class GrammarDrafter: Drafter {
  let name = "grammar"
  private let constraint: ConstraintTracker?

  init(_ constraint: ConstraintTracker?) { self.constraint = constraint }

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    try constraint?.extend(&tree, context.history, limit: budget)
  }
}

extension DrafterKind {
  /// What the constraint leaves no choice about.
  static let grammar = DrafterKind(name: "grammar", defaultNodes: 16) {
    GrammarDrafter($0.constraint)
  }
}
