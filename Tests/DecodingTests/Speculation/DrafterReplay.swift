import Compute
import Testing

@testable import Decoding

/// A generation without a model: a function says what the target holds likely after each context,
/// and the real verifier walks the drafts.
struct DrafterReplay {
  /// The tokens that came out.
  private(set) var output: [Int32] = []
  /// Steps after the prompt's own pass, which gives the first token.
  private(set) var steps: [(tree: TokenTree, accepted: [Int32])] = []

  /// Tokens for each forward pass after the prompt's.
  var tokensPerForward: Double { Double(output.count - 1) / Double(max(steps.count, 1)) }

  /// Generates greedily.
  ///
  /// - Parameters:
  ///   - budget: nodes of a step; every tree must keep to it.
  ///   - limit: most tokens.
  ///   - logits: of the next token after a context; all of one length.
  init(
    _ drafter: any Drafter, prompt: [Int32], budget: Int = 10, limit: Int,
    stops: Set<Int32> = [], logits: ([Int32]) -> [Float]
  ) throws {
    let vocabularyCount = logits(prompt).count
    let processor = try LogitsProcessor(
      options: .greedy, vocabularyCount: vocabularyCount, seed: 1)
    let verifier = CoupledVerifier()
    var history = TokenHistory(prompt, capacity: prompt.count + limit)
    var tree = TokenTree()
    var isFirst = true
    while output.count < limit {
      tree.removeAll()
      if !isFirst {
        let room = DraftBudget(nodes: budget, depth: min(budget, limit - output.count - 1))
        let context = Self.context(history, prompt.count)
        if !room.isEmpty { try drafter.propose(room, context: context, into: &tree) }
        try tree.checkInvariants()
        #expect(tree.count <= room.nodes && tree.depth <= room.depth)
      }
      let rows = (-1..<tree.count).flatMap { logits(history.tokens + tree.path(to: $0)) }
      let position = history.count
      let isOver = try rows.withUnsafeBufferPointer { rows in
        let view = TreeLogits(
          rows.baseAddress, rowCount: tree.count + 1, vocabularyCount: vocabularyCount)
        let found = try verifier.verify(
          VerificationInput(
            tree: tree, logits: view, history: history, stops: stops,
            limit: limit - output.count), processor: processor)
        let taken = found.emitted.prefix { !stops.contains($0) }
        for token in taken { history.append(token) }
        output += taken
        let context = Self.context(history, prompt.count)
        if isFirst { try drafter.begin(context) }
        try drafter.observe(
          DraftObservation(
            position: position, tree: tree, accepted: found.accepted, emitted: Array(taken),
            logits: view, taps: []), context: context)
        if !isFirst { steps.append((tree, found.accepted)) }
        return taken.count < found.emitted.count
      }
      isFirst = false
      if isOver { return }
    }
  }

  /// A text that is known: `output` follows the prompt, whatever is drafted.
  init(
    _ drafter: any Drafter, prompt: [Int32], output: [Int32], budget: Int = 10,
    vocabularyCount: Int
  ) throws {
    let text = prompt + output
    try self.init(drafter, prompt: prompt, budget: budget, limit: output.count) { context in
      var logits = [Float](repeating: 0, count: vocabularyCount)
      // Beyond the text only rejected nodes are asked for.
      if context.count < text.count { logits[Int(text[context.count])] = 1 }
      return logits
    }
    #expect(self.output == output)
  }

  /// What a drafter may look at after `tokens`.
  static func context(_ history: TokenHistory, _ promptCount: Int) -> DraftContext {
    DraftContext(
      history: history, promptCount: promptCount, sampling: .greedy,
      noise: RandomStream(seed: 1), needsDistributions: false)
  }

  /// What a drafter proposes after `tokens`, having begun with them.
  static func proposal(
    _ drafter: any Drafter, after tokens: [Int32], nodes: Int = 10, depth: Int = 10
  ) throws -> TokenTree {
    let context = context(TokenHistory(tokens), max(tokens.count - 1, 0))
    try drafter.begin(context)
    var tree = TokenTree()
    try drafter.propose(DraftBudget(nodes: nodes, depth: depth), context: context, into: &tree)
    try tree.checkInvariants()
    return tree
  }
}
