import Tokenization

/// CopySpec: when the latest tokens were in the context before, drafts what followed them there
/// (Dumitru et al., "CopySpec: Accelerating LLMs with Speculative Copy-and-Paste Without
/// Compromising Quality", arXiv 2502.08923). Prompt lookup is its simplest setting.
///
/// The context is the whole conversation. An index of its n-grams is kept between the turns: the
/// next prompt repeats what was said, so only its new tokens are indexed.
///
/// Guarantee: bitwise. Cost: O(1) amortised for each token and step, at most 16 bytes for each
/// token of the context (`NGramIndex`).
final class CopyDrafter: Drafter {
  /// Tokens copied at most where nothing else is said: the paper's C.
  static let paperLength = 10
  /// Occurrences that are compared by what precedes them, and tokens that are compared. They bound
  /// the cost of a step.
  static let mostCandidates = 16
  static let mostContext = 32

  let name = "copy"
  let index: NGramIndex
  private let settings: CopySettings
  private let isGated: Bool
  private let isControl: (Int32) -> Bool
  private let expectedTokens: Int
  private var gate = Int.max
  private var proposedCount = 0

  /// - Parameters:
  ///   - index: of this conversation; its key length and occurrence are those of the settings.
  ///   - isGated: false for the paper's fixed length.
  ///   - expectedTokens: tokens that may still come, for which room is made at once.
  ///   - isControl: true for the tokens that separate turns.
  init(
    settings: CopySettings, index: NGramIndex, isGated: Bool = true, expectedTokens: Int = 0,
    isControl: @escaping (Int32) -> Bool = { _ in false }
  ) {
    self.settings = settings
    self.index = index
    self.isGated = isGated && settings.isGated
    self.expectedTokens = expectedTokens
    self.isControl = isControl
  }

  convenience init(_ setup: DrafterSetup, settings: CopySettings) {
    let occurrence = settings.pick == .first ? NGramIndex.Occurrence.first : .last
    let index = setup.conversationMemory.value("copy \(settings.keyLength) \(occurrence)") {
      NGramIndex(length: settings.keyLength, occurrence: occurrence)
    }
    let tokenizer = setup.tokenizer
    self.init(
      settings: settings, index: index, isGated: setup.options.planner == .on,
      expectedTokens: min(setup.options.maxTokens ?? 8192, 8192),
      isControl: { tokenizer.isControl($0) })
  }

  func begin(_ context: DraftContext) {
    index.follow(context.tokens)
    index.reserve(index.count + expectedTokens)
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    proposedCount = 0
    guard let (entry, shared) = match() else { return }
    let tokens = index.tokens
    // Beyond the end of the context the copy goes on with itself: the text has this period.
    let period = tokens.count - entry
    let room = min(budget.nodes, budget.depth, settings.length ?? .max, gate)
    // Laplace's rule: `shared` agreements in a row, no disagreement seen.
    let probability = Float(shared + 1) / Float(shared + 2)
    var node = TokenTree.root
    for offset in 0..<(settings.isCyclic ? room : min(room, period)) {
      let token = tokens[entry + offset % period]
      node = tree.append(token, below: node, probability: probability)
      if !settings.crossesTurns, isControl(token) { break }
    }
    proposedCount = tree.count
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    for position in index.count..<max(context.tokens.count, index.count) {
      index.append(context.tokens[position])
    }
    guard isGated, !step.tree.isEmpty else { return }
    if step.accepted.isEmpty {
      gate = max(1, min(gate, proposedCount) / 2)
    } else if step.accepted.count >= proposedCount, gate < .max {
      gate += 1
    }
  }

  /// Where to copy from, and how many tokens before it agree with the latest ones.
  private func match() -> (entry: Int, shared: Int)? {
    guard var entry = index.entryOfTail() else { return nil }
    var shared = index.sharedContext(of: entry, limit: Self.mostContext)
    guard settings.pick == .longestContext else { return (entry, shared) }
    var next = index.entry(before: entry)
    for _ in 1..<Self.mostCandidates {
      guard let candidate = next, shared < Self.mostContext else { break }
      let context = index.sharedContext(of: candidate, limit: Self.mostContext)
      if context > shared { (entry, shared) = (candidate, context) }
      next = index.entry(before: candidate)
    }
    return (entry, shared)
  }
}

/// How `copy` drafts.
public struct CopySettings: Sendable, Equatable {
  /// Which of several earlier occurrences is copied.
  public enum Pick: String, Sendable, CaseIterable {
    /// The first of the conversation: the paper's.
    case first
    /// The latest.
    case last
    /// Of the latest 16 the one before which most tokens agree, at most 32; of equal ones the
    /// latest.
    case longestContext
  }

  /// Tokens that must have occurred before: gamma.
  public var keyLength: Int
  /// Most tokens copied in a step: C. nil for as many as the step's budget has, which is 10 unless
  /// planner or `maximumDraft` say another number.
  public var length: Int?
  /// Which occurrence is copied.
  public var pick: Pick
  /// True to go on with the copy itself where the copied text reaches the end of the context.
  public var isCyclic: Bool
  /// True to halve the length after a draft of which nothing was accepted, and to add one after a
  /// draft of which all was. Only where a planner runs: without one the length is fixed.
  public var isGated: Bool
  /// False to end a draft at a control token, so that it never goes on into another turn.
  public var crossesTurns: Bool

  /// The paper's key, and our choice of the occurrence.
  public init(
    keyLength: Int = 3, length: Int? = nil, pick: Pick = .longestContext, isCyclic: Bool = true,
    isGated: Bool = true, crossesTurns: Bool = true
  ) {
    self.keyLength = min(max(keyLength, 1), 16)
    self.length = length.map { max($0, 1) }
    self.pick = pick
    self.isCyclic = isCyclic
    self.isGated = isGated
    self.crossesTurns = crossesTurns
  }

  /// The paper's settings.
  public static let paper = CopySettings(length: 10, pick: .first, isCyclic: false, isGated: false)
  /// Prompt lookup with keys of two tokens.
  public static let promptLookup = CopySettings(
    keyLength: 2, length: 10, pick: .first, isCyclic: false, isGated: false)
}

extension DrafterKind {
  /// CopySpec (arXiv 2502.08923): copies what followed the latest tokens before.
  public static func copy(_ settings: CopySettings = .init()) -> DrafterKind {
    DrafterKind(name: "copy", defaultNodes: settings.length ?? CopyDrafter.paperLength) {
      CopyDrafter($0, settings: settings)
    }
  }
}
