import Compute
import Transformers

/// Speculative decoding with a draft model: a smaller model of the same vocabulary writes ahead, the
/// target checks all of it in one pass.
///
/// Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding", arXiv
/// 2211.17192; Chen et al., arXiv 2302.01318. At temperature 0 the draft is the smaller model's
/// likeliest text. Above, under coupled verification, it draws with the target's own noise
/// (Gumbel-max at the same position), so that the two agree wherever their distributions lead to the
/// same maximum: the output is bit for bit that of plain sampling. Under rejection it draws with
/// noise of its own and hands over the distributions: the papers' method.
///
/// Guarantee: that of the verifier. Cost: a pass of the smaller model for each level, and one pass
/// over what it has not seen yet: the target's own token, after a full acceptance also the last
/// drafted one.
///
/// The smaller model's keys and values live as long as the conversation and follow the target's: the
/// common prefix stays, the accepted part of the last draft is committed, the rest is run.
final class DraftModelDrafter: Drafter {
  /// Drafted tokens of a step where nothing says another number.
  static let paperLength = 5

  let name = "draft-model"
  let requirements = DrafterRequirements(runsModel: true)

  private let model: DraftModel
  private let sequence: DraftSequence
  private let tokenizerEnds: Set<Int32>
  private let targetVocabulary: Int
  private var processor: LogitsProcessor?

  /// Measures the smaller model's passes if they are to be planned with.
  /// - Throws: `DraftModelError.missing`; `ForwardError` from measuring.
  init(_ setup: DrafterSetup) throws {
    guard let model = setup.draftModel else { throw DraftModelError.missing }
    self.model = model
    tokenizerEnds = Set(setup.options.stopTokens + setup.tokenizer.endOfGenerationTokens)
    targetVocabulary = setup.vocabularyCount
    sequence = setup.conversationMemory.value("draft-model") { DraftSequence(model.engine) }
    sequence.beginGeneration()
    if setup.options.planner == .on { _ = try model.costs() }
  }

  func begin(_ context: DraftContext) throws {
    let vocabulary = model.engine.model.configuration.vocabularyCount
    var sampling = context.sampling
    sampling.logitBias = sampling.logitBias.filter { $0.key < vocabulary }
    // Rows that pad the smaller model's head are no tokens of the target.
    if targetVocabulary < vocabulary {
      for token in targetVocabulary..<vocabulary { sampling.logitBias[Int32(token)] = -.infinity }
    }
    processor = try LogitsProcessor(
      options: sampling, vocabularyCount: vocabulary, seed: context.noise.seed)
  }

  func price(_ context: DraftContext) -> DraftPrice? {
    guard let costs = try? model.costs() else { return nil }
    let missing = sequence.missing(context.tokens)
    let single = costs.microseconds(rows: 1, position: context.position)
    var catchUp = -single
    for begin in stride(from: 0, to: missing, by: DraftSequence.chunk) {
      let rows = min(DraftSequence.chunk, missing - begin)
      catchUp += costs.microseconds(rows: rows, position: context.position - missing + begin)
    }
    return DraftPrice(catchUp: max(catchUp, 0), level: single)
  }

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    let room = model.engine.contextLimit - context.position
    guard let processor, room >= 0, sequence.canHold(context.tokens) else { return }
    var logits = try sequence.follow(context.tokens)
    var path: [Int32] = []
    var node = TokenTree.root
    let length = min(budget.depth, budget.nodes, room + 1)
    while path.count < length {
      let draft = try choose(logits, path, context, processor)
      if let distribution = draft.distribution { tree.setDistribution(distribution, below: node) }
      node = tree.append(draft.token, below: node, probability: draft.probability)
      path.append(draft.token)
      let isUnlikely = tree.pathProbabilities[node] < budget.leastPathProbability
      if path.count == length || isUnlikely || tokenizerEnds.contains(draft.token) { return }
      logits = try sequence.extend([(draft.token, parent: path.count - 2)])
    }
  }

  private typealias Draft = (
    token: Int32, probability: Float, distribution: DraftDistribution?
  )

  private func choose(
    _ logits: UnsafeBufferPointer<Float>, _ path: [Int32], _ context: DraftContext,
    _ processor: LogitsProcessor
  ) throws -> Draft {
    try path.withUnsafeBufferPointer { path in
      if context.needsDistributions, !context.sampling.isGreedy {
        return try draw(logits, path, context, processor)
      }
      let token = try processor.chooseToken(logits: logits, history: context.history, path: path)
      return (token, confidence(token, logits, context.sampling.temperature), nil)
    }
  }

  /// Draws from the processed distribution, which is handed over: the test needs the very numbers.
  private func draw(
    _ logits: UnsafeBufferPointer<Float>, _ path: UnsafeBufferPointer<Int32>,
    _ context: DraftContext, _ processor: LogitsProcessor
  ) throws -> Draft {
    let distribution = try processor.withDistribution(
      logits: logits, history: context.history, path: path
    ) { DraftDistribution(tokens: $0, weights: $1) }
    let position = context.position + path.count
    var left = context.noise.uniform(position: position, token: 0)
    var index = 0
    while index + 1 < distribution.tokens.count, left >= distribution.probabilities[index] {
      left -= distribution.probabilities[index]
      index += 1
    }
    return (
      distribution.tokens[index], Float(distribution.probabilities[index]), distribution
    )
  }

  /// The smaller model's probability of its token, without penalties and truncation: what the
  /// planner calibrates. At temperature 0 the one of temperature 1. Logits too small to matter are
  /// left out.
  private func confidence(
    _ token: Int32, _ logits: UnsafeBufferPointer<Float>, _ temperature: Double
  ) -> Float {
    guard logits.indices.contains(Int(token)) else { return 0 }
    let scale = Float(temperature > 0 ? 1 / temperature : 1)
    let largest = ElementaryFunctions.largest(of: logits)
    let bound = largest - 14 / scale
    var sum = 0.0
    for logit in logits where logit > bound {
      sum += ElementaryFunctions.exp(Double((logit - largest) * scale))
    }
    let own = ElementaryFunctions.exp(Double((logits[Int(token)] - largest) * scale))
    return sum > 0 ? Float(own / sum) : 0
  }
}

/// The smaller model's side of a conversation: committed tokens, and below them the nodes that were
/// run for the latest draft.
final class DraftSequence {
  /// Tokens that one pass catches up on.
  static let chunk = 256

  private let engine: ForwardEngine
  private let cache: KVCache
  private var batch = ForwardBatch()
  /// Tokens in the cache.
  private var tokens: [Int32] = []
  /// How many of them are known to be the generation's.
  private var agreed = 0
  /// Nodes below them: token and parent (-1 for the committed ones).
  private var nodes: [(token: Int32, parent: Int)] = []

  init(_ engine: ForwardEngine) {
    self.engine = engine
    cache = engine.makeCache()
  }

  /// Another generation may have another prompt.
  func beginGeneration() { agreed = 0 }

  /// False for tokens that only the target's vocabulary has, and where the context is too short.
  func canHold(_ history: [Int32]) -> Bool {
    let vocabulary = engine.model.configuration.vocabularyCount
    return history.count <= engine.contextLimit
      && history[min(agreed, history.count)...].allSatisfy { Int($0) < vocabulary }
  }

  /// Tokens that have to be run before the next draft: one at least, for its logits.
  func missing(_ history: [Int32]) -> Int {
    agreed = common(history)
    let held = agreed == tokens.count ? agreed + accepted(history).count : agreed
    return history.count - min(held, history.count - 1)
  }

  /// Brings the cache to `history` and returns the logits after its last token, valid until the
  /// engine's next pass.
  func follow(_ history: [Int32]) throws -> UnsafeBufferPointer<Float> {
    agreed = common(history)
    if agreed == tokens.count {
      // Not the last token: it is run again for its logits.
      let path = accepted(history).prefix(max(history.count - 1 - tokens.count, 0))
      try cache.commit(path: path)
      tokens.append(contentsOf: path.map { nodes[$0].token })
      agreed = tokens.count
    }
    nodes.removeAll(keepingCapacity: true)
    let begin = min(agreed, history.count - 1)
    try cache.truncate(to: begin)
    tokens.removeSubrange(begin...)
    let output = try engine.prefill(history[begin...], into: cache, chunk: Self.chunk)
    tokens.append(contentsOf: history[begin...])
    agreed = tokens.count
    return output.logits(0)
  }

  /// Runs new nodes, all of one level, and returns the logits after the last of them. A node's
  /// parent is an earlier node, or -1 for the committed tokens.
  func extend(
    _ level: [(token: Int32, parent: Int)]
  ) throws -> UnsafeBufferPointer<Float> {
    batch.removeAll()
    batch.append(
      tree: level.map(\.token), parents: level.map { Int32($0.parent) }, to: cache)
    let output = try engine.forward(batch)
    nodes.append(contentsOf: level)
    return output.logits(level.count - 1)
  }

  /// Committed tokens that `history` begins with.
  private func common(_ history: [Int32]) -> Int {
    let limit = min(tokens.count, history.count)
    var common = min(agreed, limit)
    while common < limit, tokens[common] == history[common] { common += 1 }
    return common
  }

  /// Nodes on the path that `history` takes below the committed tokens, root first.
  private func accepted(_ history: [Int32]) -> [Int] {
    var path: [Int] = []
    for token in history.dropFirst(tokens.count) {
      let parent = path.last ?? -1
      guard let next = nodes.firstIndex(where: { $0.parent == parent && $0.token == token })
      else { break }
      path.append(next)
    }
    return path
  }
}
