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
/// By itself it drafts one path; trees of other shapes are grown from its distributions
/// (`TreeDrafter`), one pass for all nodes of a level.
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
  /// The same at temperature 1 where the text is greedy: trees ask for what is likely.
  private var treeProcessor: LogitsProcessor?
  /// Place of each node of the step's tree among the nodes that the sequence has run.
  private var places: [Int: Int] = [:]

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
    if sampling.isGreedy { sampling.temperature = 1 }
    treeProcessor = try LogitsProcessor(
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

extension DraftModelDrafter: DistributionSource {
  /// Logits this far below the largest, in units of the temperature, are left out of a
  /// distribution: it is tested as it is drawn from, so the output stays exact, and less than one
  /// draw in a thousand would have come from there.
  private static let range: Float = 16

  /// One pass of the smaller model over all nodes of the level; for the root, over what the text
  /// has that the model has not seen.
  func distributions(
    after nodes: [Int], of tree: TokenTree, context: DraftContext
  ) throws -> [DraftDistribution] {
    guard let treeProcessor else { return nodes.map { _ in .empty } }
    if nodes == [TokenTree.root] {
      places.removeAll(keepingCapacity: true)
      let room = model.engine.contextLimit - context.position
      guard room >= 0, sequence.canHold(context.tokens) else { return [.empty] }
      return [
        try distribution(try sequence.follow(context.tokens), [], context, treeProcessor)
      ]
    }
    let open = nodes.filter { canRun($0, of: tree, context) }
    guard !open.isEmpty else { return nodes.map { _ in .empty } }
    let output = try sequence.run(
      open.map { (tree.tokens[$0], parent: places[Int(tree.parents[$0])] ?? -1) })
    for (row, node) in open.enumerated() { places[node] = output.first + row }
    var row = 0
    return try nodes.map { node in
      guard row < open.count, open[row] == node else { return .empty }
      row += 1
      return try distribution(
        output.logits.logits(row - 1), tree.path(to: node), context, treeProcessor)
    }
  }

  /// False at the end of the text, at the end of the context, and below what was not run.
  private func canRun(_ node: Int, of tree: TokenTree, _ context: DraftContext) -> Bool {
    let parent = Int(tree.parents[node])
    return !tokenizerEnds.contains(tree.tokens[node])
      && context.position + Int(tree.depths[node]) < model.engine.contextLimit
      && (parent < 0 || places[parent] != nil)
  }

  private func distribution(
    _ logits: UnsafeBufferPointer<Float>, _ path: [Int32], _ context: DraftContext,
    _ processor: LogitsProcessor
  ) throws -> DraftDistribution {
    let temperature = processor.options.temperature
    return try path.withUnsafeBufferPointer { path in
      try processor.withCandidates(logits: logits, history: context.history, path: path) {
        ids, logits in
        let largest = ElementaryFunctions.largest(of: logits)
        let bound = largest - Self.range * Float(temperature)
        var tokens: [Int32] = []
        var weights: [Double] = []
        for index in ids.indices where logits[index] >= bound {
          tokens.append(ids[index])
          weights.append(
            ElementaryFunctions.exp(Double(logits[index] - largest) / temperature))
        }
        return DraftDistribution(tokens: tokens, weights: weights)
      }
    }
  }
}
