import Transformers

/// How drafts are tested against the target, by the name that `--verify` takes.
public enum VerificationMethod: String, Sendable, Codable, CaseIterable {
  /// The likeliest token at each node. For temperature 0 only.
  case greedy
  /// The target's own choice at each node, with the noise that plain decoding would use there: the
  /// same tokens as plain decoding with the same seed, whatever was drafted.
  case coupled
  /// Accepts or rejects each draft by its probability under target and drafter: a sample of the
  /// same distribution (Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318).
  case rejection
  /// Rejection for independent siblings, one after another against what is left of the target's
  /// distribution (SpecInfer, Miao et al., arXiv 2305.09781).
  case specinfer
  /// Rejection for independent siblings, of which one is accepted as often as k-sequential selection
  /// can (SpecTr, Sun et al., arXiv 2310.15141).
  case spectr
  /// Recursive rejection for siblings that were drawn without replacement (Jeon et al., arXiv
  /// 2402.14160).
  case recursive

  /// True if drafts are tested against what they were drawn from: another sample than plain
  /// decoding's, of the same distribution.
  public var isStochastic: Bool { self != .greedy && self != .coupled }

  /// How the siblings of static trees are drawn for it.
  var siblingLaw: SiblingLaw {
    self == .specinfer || self == .spectr ? .independent : .withoutReplacement
  }

  /// The verifier of this name.
  /// - Parameter seed: key of its decisions.
  func verifier(seed: UInt64) -> any Verifier {
    switch self {
    case .greedy, .coupled: CoupledVerifier()
    case .rejection, .specinfer, .recursive: RejectionVerifier(seed: seed)
    case .spectr: RejectionVerifier(seed: seed, independent: .kSequential)
    }
  }
}

/// What a verifier looks at.
public struct VerificationInput {
  /// What was drafted.
  public let tree: TokenTree
  /// The target's logits after the root and after every node.
  public let logits: TreeLogits
  /// The tokens up to the root, root included.
  public let history: TokenHistory
  /// Tokens that end the text: nothing below them is looked at.
  public let stops: Set<Int32>
  /// Most tokens to give, 1 or more.
  public let limit: Int

  /// The input of a verifier.
  public init(
    tree: TokenTree, logits: TreeLogits, history: TokenHistory, stops: Set<Int32> = [],
    limit: Int = .max
  ) {
    self.tree = tree
    self.logits = logits
    self.history = history
    self.stops = stops
    self.limit = limit
  }
}

/// What a verifier found.
public struct Verification: Sendable, Equatable {
  /// Accepted nodes, root first.
  public var accepted: [Int32] = []
  /// The accepted nodes' tokens, and one of the target's own unless the limit was reached.
  public var emitted: [Int32] = []
  /// Why it ended where it did.
  public var outcome = StepOutcome.plain
}

/// Walks a drafted tree with the target's distributions, and gives the accepted path and the
/// target's own token after it.
///
/// The distributions are the processed ones (bias, penalties, truncation, temperature), each with
/// the history that plain decoding would have at its node.
public protocol Verifier: AnyObject {
  /// What the output is, beside plain decoding with the same seed.
  var guarantee: MethodGuarantee { get }
  /// True if drafts that were drawn are tested against what they were drawn from.
  var needsDistributions: Bool { get }

  /// Tests a tree.
  /// - Throws: `SamplingError`.
  func verify(_ input: VerificationInput, processor: LogitsProcessor) throws -> Verification
}

/// Takes the target's own choice at each node for as long as it was drafted.
///
/// The choice is a pure function of logits, history, position and seed (`LogitsProcessor`), so the
/// tokens are those of plain decoding, greedy or sampled. At temperature 0 this is the greedy
/// verification of the literature; above, it is the "sample, then match" rule with counter-based
/// noise. Draws once for each node, so a token is never favoured for having been drafted.
public final class CoupledVerifier: Verifier {
  /// A verifier without state.
  public init() {}

  /// Bit for bit what plain decoding gives.
  public var guarantee: MethodGuarantee { .bitwise }
  /// Nothing is tested against a draft's distribution.
  public var needsDistributions: Bool { false }

  /// Walks down from the root.
  public func verify(
    _ input: VerificationInput, processor: LogitsProcessor
  ) throws -> Verification {
    var walk = TreeWalk(input)
    repeat {
      let token = try walk.path.withUnsafeBufferPointer {
        try processor.chooseToken(
          logits: input.logits[walk.node], history: input.history, path: $0)
      }
      walk.take(token, otherwise: .mismatch)
    } while !walk.isOver
    return walk.result
  }
}

/// The position of a verifier in its tree.
struct TreeWalk {
  private let input: VerificationInput
  private(set) var result = Verification()
  /// Where the walk is: a node, or `TokenTree.root`.
  private(set) var node = TokenTree.root
  /// Tokens from below the root down to the node.
  private(set) var path: [Int32] = []
  private(set) var isOver = false

  init(_ input: VerificationInput) { self.input = input }

  /// True if nothing is drafted below the node.
  var isAtLeaf: Bool { input.tree.firstChild(below: node) == nil }

  /// Gives `token` out and goes down to its node; the walk is over where there is none.
  mutating func take(_ token: Int32, otherwise outcome: StepOutcome) {
    result.emitted.append(token)
    let wasLeaf = isAtLeaf
    guard let child = input.tree.child(of: node, token: token) else {
      isOver = true
      result.outcome =
        input.tree.isEmpty ? .plain : wasLeaf ? .allAccepted : outcome
      if input.stops.contains(token) { result.outcome = .stopped }
      return
    }
    result.accepted.append(Int32(child))
    path.append(token)
    node = child
    if input.stops.contains(token) {
      isOver = true
      result.outcome = .stopped
    } else if result.emitted.count >= input.limit {
      isOver = true
      result.outcome = .allAccepted
    }
  }
}
