import Compute
import Foundation

/// ADED: searches a small table of tri-gram statistics, which adapts to the text as it is written,
/// for a draft tree.
///
/// The table gives the tokens that tend to follow two others. Before each draft, the tri-grams of
/// the latest tokens are reinforced; then a PUCT tree search (as in AlphaZero) explores what may
/// come next, and the paths that it visited most become the tree. The table may start from a corpus
/// (`TrigramTable`), it learns from every prompt, and it lives as long as the model.
///
/// Paper: "Adaptive Draft-Verification for Efficient LLM Decoding", arXiv 2407.12021. Guarantee:
/// bitwise; table and search only propose. Cost: 150 searches a step (the traces tell the time), and the memory
/// of a `TrigramTable`. Differs from the authors' program in these points: the search has a seed
/// and does not depend on the order of a hash map; the whole prompt is learnt, not its last 16
/// tokens; the most visited paths are kept, rather than those of the fewest distinct tokens; each
/// node's token is drawn once, so that sampling is exact.
final class ADEDDrafter: Drafter {
  let name = "aded"
  private let settings: ADEDSettings
  private let table: TrigramTable
  private let learnt: LearntPrefix
  private var search: TrigramSearch
  private var tokensUntilDecay = ADEDSettings.decayInterval

  /// - Parameters:
  ///   - table: shared by the generations of a model.
  ///   - learnt: what of the conversation the table has seen already.
  init(settings: ADEDSettings, table: TrigramTable, learnt: LearntPrefix = LearntPrefix()) {
    self.settings = settings
    self.table = table
    self.learnt = learnt
    search = TrigramSearch(settings: settings)
  }

  func begin(_ context: DraftContext) {
    guard settings.adapts else { return }
    // A turn of a conversation repeats the turns before it; they count once.
    let known = learnt.advance(to: context.tokens)
    table.reinforce(
      context.tokens[max(known - 2, 0)...], by: settings.boost, cap: settings.cap)
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    let tokens = context.tokens
    guard tokens.count > 1 else { return }
    let (first, second) = (tokens[tokens.count - 2], tokens[tokens.count - 1])
    switch settings.search {
    case .tree:
      search.run(
        table, first: first, second: second,
        noise: RandomStream(seed: context.noise.seed, purpose: .search),
        position: context.position)
      search.collect(table, budget: budget, into: &tree)
    case .bestFirst:
      search.collectBestFirst(table, first: first, second: second, budget: budget, into: &tree)
    }
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    guard settings.adapts else { return }
    table.reinforce(
      context.tokens.suffix(settings.window), by: settings.boost, cap: settings.cap)
    learnt.extend(to: context.tokens)
    guard settings.decay < 1 else { return }
    tokensUntilDecay -= step.emitted.count
    if tokensUntilDecay <= 0 {
      table.decay(by: settings.decay)
      tokensUntilDecay += ADEDSettings.decayInterval
    }
  }
}

/// How `ADED` searches and learns; the defaults are the paper's.
public struct ADEDSettings: Sendable, Equatable {
  static let decayInterval = 1000

  /// How the draft is found in the table.
  public enum Search: String, Sendable, CaseIterable {
    /// PUCT tree search: the paper's.
    case tree
    /// The paths of the largest products of weights: what the search is compared with.
    case bestFirst
  }

  /// How the draft is found.
  public var search = Search.tree
  /// Searches for each draft, 0 to 10,000.
  public var iterations = 150
  /// Weight of a node's prior in the search, above 0.
  public var priorWeight = 32.0
  /// Visits after which the weight of the prior starts to grow, above 0.
  public var priorGrowth = 8.0
  /// Depth of the search in pairs of tokens, the root's included; one token more is added greedily.
  public var depth = 4
  /// Paths that the draft tree is made of.
  public var topPaths = 24
  /// Added to the weight of each of the latest tri-grams.
  public var boost: Float = 0.04
  /// Largest weight that boosts lead to.
  public var cap: Float = 3
  /// Number of latest tokens whose tri-grams are reinforced before each draft.
  public var window = 16
  /// False for a table that stays as the corpus made it.
  public var adapts = true
  /// True to divide weights by their sum in the search. The paper's weights exceed 1 after a few
  /// boosts, and then the search visits by weight alone.
  public var normalises = false
  /// The weights' factor for each 1000 tokens of output; 1, the paper's, forgets nothing.
  public var decay: Float = 1

  /// The paper's settings.
  public init() {}

  /// Nodes of the trees in the authors' experiments.
  static let paperNodes = 64
}

extension DrafterKind {
  /// ADED with settings of one's own.
  ///
  /// - Parameters:
  ///   - settings: how it searches and learns.
  ///   - corpus: a table that `TrigramTable.save` wrote; nil to learn from prompts and output only.
  ///     Read when the first generation starts, and kept with the model.
  public static func aded(
    _ settings: ADEDSettings = ADEDSettings(), corpus: URL? = nil
  ) -> DrafterKind {
    DrafterKind(name: "aded", defaultNodes: ADEDSettings.paperNodes) { setup in
      let name = "aded.table \(corpus?.path(percentEncoded: false) ?? "")"
      let table = try setup.modelMemory.value(name) {
        try corpus.map { try TrigramTable(contentsOf: $0, tokenizer: setup.tokenizer) }
          ?? TrigramTable()
      }
      return ADEDDrafter(
        settings: settings, table: table,
        learnt: setup.conversationMemory.value("aded.learnt") { LearntPrefix() })
    }
  }
}

extension RandomStream.Purpose {
  /// Roll-outs of the search: independent of the target's choices and of verifiers' decisions.
  static let search = RandomStream.Purpose(rawValue: 0x4144_4544)
}

/// How much of a conversation has been learnt from.
///
/// Memory: the conversation's tokens.
final class LearntPrefix {
  private var tokens: [Int32] = []

  /// Takes the conversation's tokens as learnt, and returns how many of them were already.
  func advance(to current: [Int32]) -> Int {
    var common = min(tokens.count, current.count)
    // Nearly always all of it: then a comparison of whole arrays is quickest.
    if !tokens[..<common].elementsEqual(current[..<common]) {
      common = zip(tokens, current).prefix { $0 == $1 }.count
    }
    tokens.removeSubrange(common...)
    extend(to: current)
    return common
  }

  /// Takes tokens as learnt that go on from those known.
  func extend(to current: [Int32]) {
    guard current.count > tokens.count else { return }
    tokens.append(contentsOf: current[tokens.count...])
  }
}
