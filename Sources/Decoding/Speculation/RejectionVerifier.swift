import Compute

/// Speculative sampling: accepts each draft with a probability that makes the output a sample of
/// the target's own distribution, and draws from what is left of it where none is accepted.
///
/// At a node with target distribution P and children drawn from Q, how they are tested depends on
/// how they were drawn:
///
/// - **One child**, or several **without replacement**: x is accepted with probability
///   min(1, P(x) / Q(x)); on rejection P becomes (P - Q)+ and Q loses x, both renormalised, and the
///   next is tested. With one child this is speculative sampling (Leviathan et al., arXiv
///   2211.17192; Chen et al., arXiv 2302.01318), with several recursive rejection sampling (Jeon et
///   al., arXiv 2402.14160).
/// - **Independent** draws: by `IndependentRule`, as SpecInfer or as SpecTr.
/// - Children that were **chosen**, not drawn, have one point of Q each: accepted with probability
///   P(x), else taken out of P.
///
/// Exact for the processed distribution; another sample than plain decoding with the same seed,
/// except at temperature 0. Decisions, draws after a rejection and the drafters' own draws use
/// independent streams of noise.
///
/// Cost: O(support of P) for each node that is looked at.
public final class RejectionVerifier: Verifier {
  /// How independent draws are tested.
  public enum IndependentRule: Sendable {
    /// One after another against what is left of P, the multi-round rule of SpecInfer (Miao et al.,
    /// arXiv 2305.09781).
    case multiRound
    /// k-sequential selection of SpecTr (Sun et al., arXiv 2310.15141).
    case kSequential
  }

  private let rule: IndependentRule
  private let decisions: RandomStream
  private let draws: RandomStream
  private var target = TargetWeights()

  /// A verifier whose decisions depend on `seed`.
  public init(seed: UInt64, independent rule: IndependentRule = .multiRound) {
    self.rule = rule
    decisions = RandomStream(seed: seed, purpose: .verification)
    draws = RandomStream(seed: seed, purpose: .target)
  }

  /// A sample of the same distribution.
  public var guarantee: MethodGuarantee { .distribution }
  /// The ratio needs the probabilities that drafts were drawn with.
  public var needsDistributions: Bool { true }

  /// Walks down from the root.
  public func verify(
    _ input: VerificationInput, processor: LogitsProcessor
  ) throws -> Verification {
    var walk = TreeWalk(input)
    repeat {
      try target.load(input, walk, processor)
      let position = input.history.count + walk.path.count
      let accepted = test(walk.node, in: input.tree, position: position)
      walk.take(accepted ?? target.draw(draws, position: position), otherwise: .rejected)
    } while !walk.isOver
    return walk.result
  }

  /// The token of the child that is accepted; nil if none is, and P is what is left then.
  private func test(_ node: Int, in tree: TokenTree, position: Int) -> Int32? {
    guard tree.law(below: node) == .independent, let draft = tree.distribution(below: node) else {
      return testOneByOne(node, in: tree, position: position)
    }
    let drawn = tree.independentDraws(below: node).map { tree.tokens[Int($0)] }
    switch rule {
    case .multiRound: return testRounds(drawn, draft, position: position)
    case .kSequential:
      return KSequentialSelection(target, draft, count: drawn.count).select(
        drawn, target: &target
      ) { decisions.uniform(position: position, token: $0) }
    }
  }

  private func testOneByOne(_ node: Int, in tree: TokenTree, position: Int) -> Int32? {
    var draft = tree.distribution(below: node).map { ShrinkingDistribution($0) }
    var next = tree.firstChild(below: node)
    while let child = next {
      let token = tree.tokens[child]
      let chance = decisions.uniform(position: position, token: Int(tree.ranks[child]))
      // u < P / Q without the division. Chosen children stand for a Q of one point.
      if chance * (draft?.probability(of: token) ?? 1) < target.probability(of: token) {
        return token
      }
      let isLeft =
        draft.map { q in target.subtract(q.tokens) { q.weights[$0] / q.total } }
        ?? target.remove(token)
      guard isLeft, draft?.remove(token) ?? true else { return nil }
      next = tree.sibling(after: child)
    }
    return nil
  }

  private func testRounds(
    _ drawn: [Int32], _ draft: DraftDistribution, position: Int
  ) -> Int32? {
    let q = ShrinkingDistribution(draft)
    for (round, token) in drawn.enumerated() {
      let chance = decisions.uniform(position: position, token: round)
      if chance * q.probability(of: token) < target.probability(of: token) { return token }
      guard target.subtract(q.tokens, { q.weights[$0] }) else { return nil }
    }
    return nil
  }
}
