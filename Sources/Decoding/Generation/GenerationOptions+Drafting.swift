/// Which trees, drafters and verifiers go together.
extension GenerationOptions {
  /// The drafter that these options name; nil for none.
  var drafterKind: DrafterKind? { customDrafter ?? DrafterRegistry.kind(speculation.rawValue) }

  /// The tree that drafters which tell their distributions are asked for: the one that is named, or
  /// the one that the verifier was made for.
  var chosenTree: TreeMethod { tree ?? .usual(for: verification) }

  /// The tree that a builder grows for `kind`; nil where the drafter proposes for itself.
  func shapedTree(for kind: DrafterKind) -> TreeMethod? {
    kind.givesDistributions && chosenTree != .chain ? chosenTree : nil
  }

  /// Throws `GenerationError.invalidOption` for a combination that would not be exact, or not be what
  /// it is called, and says which ones are.
  func validateDrafting() throws {
    if verification == .greedy, !sampling.isGreedy {
      throw GenerationError.invalidOption(
        name: "verification", value: "greedy at temperature \(sampling.temperature)",
        expected: "coupled or rejection, or temperature 0")
    }
    if let draftDepth, draftDepth < 1 {
      throw GenerationError.invalidOption(
        name: "draft depth", value: "\(draftDepth)", expected: "1 or more tokens")
    }
    try validateDrafter()
    guard let verification, verification.isStochastic, drafterKind?.givesDistributions == true,
      !chosenTree.verifiers.contains(verification)
    else { return }
    let fitting = chosenTree.verifiers.map(\.rawValue).joined(separator: " or ")
    let trees = TreeMethod.allCases.filter { $0.verifiers.contains(verification) }
    throw GenerationError.invalidOption(
      name: "verification", value: "\(verification.rawValue) for --tree \(chosenTree.rawValue)",
      expected: "--verify \(fitting), or coupled, with that tree, or --tree "
        + trees.map(\.rawValue).joined(separator: " or ") + " with that verifier")
  }

  /// Trees are grown, and verifiers for siblings used, where a drafter tells its distributions.
  private func validateDrafter() throws {
    guard drafterKind?.givesDistributions != true else { return }
    let drafter = customDrafter?.name ?? speculation.rawValue
    if let tree {
      throw GenerationError.invalidOption(
        name: "tree", value: "\(tree.rawValue) for drafts by \(drafter)",
        expected:
          "a drafter that tells its probabilities: --speculate draft-model with --draft MODEL")
    }
    if let verification, [.specinfer, .spectr, .recursive].contains(verification) {
      throw GenerationError.invalidOption(
        name: "verification", value: "\(verification.rawValue) for drafts by \(drafter)",
        expected: "--verify coupled or rejection, or a drafter that tells its probabilities: "
          + "--speculate draft-model with --draft MODEL")
    }
  }

  /// The system that these options select beside the drafter: of tree and verifier the one that is
  /// named after a paper.
  var shapingMethod: Method? {
    guard drafterKind?.givesDistributions == true else { return nil }
    if verification == .spectr { return MethodRegistry.method(card: "spectr") }
    switch chosenTree {
    case .dyspec, .dySpecGreedy: return MethodRegistry.method(card: "dyspec")
    case .rsdC, .rsdS: return MethodRegistry.method(card: "rsd")
    case .chain, .static, .sequoia: return nil
    }
  }
}
