import Compute

/// STAND: drafts from the probabilities that the target itself gave after the same few tokens.
///
/// Every accepted position adds the model's own distribution to a table under the latest 4, 3 and 2
/// tokens. A draft looks the longest known context up and draws children from what is stored,
/// without replacement, by the Gumbel-Top-K trick; the shape of the tree is a list of rank paths
/// that was optimised for acceptance (`RankTree`). The table is kept for a conversation, so that
/// many samples of one prompt (best of n, self-consistency) become quicker one after another.
///
/// Paper: "Accelerated Test-Time Scaling with Model-Free Speculative Sampling", arXiv 2506.04708.
/// Guarantee: bitwise with coupled verification, where children are drawn with the target's own
/// noise; the distribution with rejection, where they are drawn with noise of their own and tested
/// recursively. Cost: one pass over the logits of each accepted position for the ten likeliest and
/// the normaliser, and at most 15 MB for a conversation.
final class STANDDrafter: Drafter {
  let name = "stand"
  private let settings: STANDSettings
  private let store: ProbabilityStore
  private let longest: Int
  private var draw = STANDDraw()
  private var recent: [Int32] = []
  private var learnt: [(token: Int32, probability: Float)] = []

  /// - Parameter store: shared by the samples of a prompt.
  init(settings: STANDSettings, store: ProbabilityStore) {
    self.settings = settings
    self.store = store
    longest = settings.orders.max() ?? 0
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    draw.begin(context, isStochastic: settings.drafting == .stochastic)
    let template = settings.tree
    // Tree node of each node of the template, and what was drawn below it.
    var places = [Int](repeating: -1, count: template.count)
    var drawn = [STANDDraw.Children?](repeating: nil, count: template.count + 1)
    for node in 0..<template.count where tree.count < budget.nodes {
      let parent = Int(template.parents[node])
      guard parent < 0 || places[parent] >= 0 else { continue }
      let above = parent < 0 ? TokenTree.root : places[parent]
      let depth = above < 0 ? 0 : Int(tree.depths[above]) + 1
      guard depth < budget.depth else { continue }
      if drawn[parent + 1] == nil {
        let children = children(below: above, in: tree, context, depth: depth, salt: parent + 1)
        drawn[parent + 1] = children
        if let distribution = children.distribution, !children.tokens.isEmpty {
          tree.setDistribution(distribution, below: above)
        }
      }
      guard let children = drawn[parent + 1] else { continue }
      let rank = Int(template.ranks[node])
      // The order of the draw is the order of the test: it must not be changed afterwards.
      guard rank < children.tokens.count else { continue }
      places[node] = tree.append(
        children.tokens[rank], below: above, probability: children.confidences[rank])
    }
  }

  private func children(
    below node: Int, in tree: TokenTree, _ context: DraftContext, depth: Int, salt: Int
  ) -> STANDDraw.Children {
    collectContext(of: node, in: tree, context.tokens[...])
    for order in settings.orders where order > 0 && order <= recent.count {
      if let record = store.record(ProbabilityStore.key(recent, order: order)) {
        return draw.children(
          of: record, sampling: context.sampling, position: context.position + depth, salt: salt)
      }
    }
    return STANDDraw.Children()
  }

  /// Sets `recent` to the tokens before what follows `node`, as many as the longest key has.
  private func collectContext(of node: Int, in tree: TokenTree, _ history: ArraySlice<Int32>) {
    recent.removeAll(keepingCapacity: true)
    var at = node
    while at >= 0, recent.count < longest {
      recent.append(tree.tokens[at])
      at = Int(tree.parents[at])
    }
    recent.append(contentsOf: history.suffix(longest - recent.count).reversed())
    recent.reverse()
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    // The pending token's row, and those of the accepted nodes that became output.
    let before = context.tokens[..<min(step.position, context.tokens.count)]
    learn(step, node: TokenTree.root, before)
    if settings.learnsFromRejected {
      for node in 0..<step.tree.count { learn(step, node: node, before) }
    } else {
      for node in step.accepted.prefix(step.emitted.count) { learn(step, node: Int(node), before) }
    }
  }

  private func learn(_ step: DraftObservation, node: Int, _ before: ArraySlice<Int32>) {
    let logits = step.logits[node]
    guard let normaliser = ElementaryFunctions.logSumExp(logits), normaliser.isFinite else {
      return
    }
    learnt.removeAll(keepingCapacity: true)
    for token in TopTokens.largest(store.width, of: logits) {
      let probability = ElementaryFunctions.exp(Double(logits[Int(token)]) - normaliser)
      if probability > 0 { learnt.append((token, Float(probability))) }
    }
    collectContext(of: node, in: step.tree, before)
    for order in settings.orders where order > 0 && order <= recent.count {
      store.learn(ProbabilityStore.key(recent, order: order), learnt)
    }
  }
}

/// How `STAND` stores and draws; the defaults are the paper's.
public struct STANDSettings: Sendable, Equatable {
  /// How the children of a node are chosen.
  public enum Drafting: String, Sendable, CaseIterable {
    /// Drawn from the stored probabilities, without replacement.
    case stochastic
    /// The likeliest ones: what the paper compares with.
    case deterministic
  }

  /// For how long what was learnt is kept.
  public enum Sharing: String, Sendable, CaseIterable {
    /// One generation.
    case request
    /// A conversation: the samples of one prompt.
    case conversation
    /// As long as the model.
    case model
  }

  /// Lengths of the contexts that probabilities are kept for, looked up in this order.
  public var orders = [4, 3, 2]
  /// Tokens kept for a context.
  public var storedTokens = 10
  /// Most contexts.
  public var maximumKeys = 1 << 17
  /// How children are chosen; at temperature 0 always the likeliest.
  public var drafting = Drafting.stochastic
  /// For how long the table is kept.
  public var sharing = Sharing.conversation
  /// Shape of the trees; a smaller budget takes its first nodes.
  public var tree = RankTree.paper
  /// True to learn from the rows of rejected drafts too: right conditionals for contexts that did
  /// not happen.
  public var learnsFromRejected = false

  /// The paper's settings.
  public init() {}
}

extension DrafterKind {
  /// STAND with settings of one's own.
  public static func stand(_ settings: STANDSettings = STANDSettings()) -> DrafterKind {
    DrafterKind(name: "stand", defaultNodes: max(settings.tree.count, 1)) { setup in
      let memory =
        switch settings.sharing {
        case .request: DrafterMemory()
        case .conversation: setup.samplesMemory
        case .model: setup.modelMemory
        }
      let name = "stand.table \(settings.storedTokens) \(settings.maximumKeys)"
      return STANDDrafter(
        settings: settings,
        store: memory.value(name) {
          ProbabilityStore(width: settings.storedTokens, maximumKeys: settings.maximumKeys)
        })
    }
  }
}

/// Draws the children of a node from a stored distribution.
struct STANDDraw {
  /// What was drawn, in order, and what from.
  struct Children {
    var tokens: [Int32] = []
    /// How likely each is to be the right one.
    var confidences: [Float] = []
    /// nil where children were chosen, not drawn.
    var distribution: DraftDistribution?
  }

  private var isStochastic = false
  private var noise = RandomStream(seed: 0)
  private var isCoupled = false

  /// Begins a tree.
  mutating func begin(_ context: DraftContext, isStochastic: Bool) {
    self.isStochastic = isStochastic && !context.sampling.isGreedy
    isCoupled = !context.needsDistributions
    // Tested drafts need noise that no earlier tree used: positions are drafted more than once.
    noise =
      isCoupled
      ? context.noise : context.noise.forStep(at: context.position)
  }

  /// All tokens of the record that may follow, in the order of the draw.
  ///
  /// - Parameters:
  ///   - position: of the drawn token.
  ///   - salt: tells the nodes of the tree apart.
  func children(
    of record: ProbabilityStore.Record, sampling: SamplingOptions, position: Int, salt: Int
  ) -> Children {
    let kept = Self.warp(record, sampling)
    guard isStochastic else {
      return Children(
        tokens: kept.map(\.token), confidences: kept.map { Float($0.probability) })
    }
    let ascending = kept.sorted { $0.token < $1.token }
    let distribution = DraftDistribution(
      tokens: ascending.map(\.token), weights: ascending.map(\.probability))
    let scored = zip(distribution.tokens, distribution.probabilities).map { token, probability in
      (
        token: token, probability: probability,
        score: ElementaryFunctions.log(probability)
          + noise.gumbel(position: isCoupled ? position : salt, token: Int(token))
      )
    }.sorted { ($0.score, $1.token) > ($1.score, $0.token) }
    return Children(
      tokens: scored.map(\.token), confidences: confidences(scored.map { ($0.1, $0.2) }),
      distribution: isCoupled ? nil : distribution)
  }

  /// Under rejection a child's probability; under coupling its share of the perturbed weights: the
  /// target adds the same noise to nearly the same logarithms.
  private func confidences(_ scored: [(probability: Double, score: Double)]) -> [Float] {
    guard isCoupled, let best = scored.first?.score else {
      return scored.map { Float($0.probability) }
    }
    let weights = scored.map { ElementaryFunctions.exp($0.score - best) }
    let total = weights.reduce(0, +)
    return weights.map { Float($0 / total) }
  }

  /// What the sampling options leave of stored probabilities, likeliest first: truncation in the
  /// order of `LogitsProcessor`, then the temperature. Penalties are left to the target.
  static func warp(
    _ record: ProbabilityStore.Record, _ sampling: SamplingOptions
  ) -> [(token: Int32, probability: Double)] {
    var kept: [(token: Int32, probability: Double)] = []
    var mass = 0.0
    let best = Double(record.probabilities.first ?? 0)
    for (token, probability) in zip(record.tokens, record.probabilities.lazy.map(Double.init)) {
      guard sampling.topK == 0 || kept.count < sampling.topK else { break }
      guard mass < sampling.topP || kept.isEmpty, probability >= sampling.minP * best else { break }
      guard probability > 0, sampling.logitBias[token] != -.infinity else { continue }
      mass += probability
      kept.append((token, probability))
    }
    guard sampling.temperature > 0, sampling.temperature != 1, best > 0 else { return kept }
    return kept.map { token, probability in
      let scaled = ElementaryFunctions.log(probability / best) / sampling.temperature
      return (token, ElementaryFunctions.exp(scaled))
    }
  }
}

extension RandomStream {
  /// A stream of the same purpose that no other step of the generation uses.
  func forStep(at position: Int) -> RandomStream {
    let mixed = (UInt64(bitPattern: Int64(position)) &+ 1) &* 0x9E37_79B9_7F4A_7C15
    return RandomStream(seed: seed ^ (mixed ^ mixed >> 31), purpose: purpose)
  }
}
