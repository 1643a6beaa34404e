import Decoding

// The drafter that CONTRIBUTING.md shows. ExampleDrafterTests compares the two texts.

/// Drafts what followed the latest token the last time it was written.
final class LastSuccessorDrafter: Drafter {
  let name = "last-successor"
  private var successors: [Int32: Int32] = [:]
  private var seen = 1

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    learn(context.tokens)
    var node = TokenTree.root
    var token = context.tokens[context.tokens.count - 1]
    for _ in 0..<min(budget.nodes, budget.depth) {
      guard let next = successors[token] else { return }
      node = tree.append(next, below: node, probability: 0.5)
      token = next
    }
  }

  private func learn(_ tokens: [Int32]) {
    while seen < tokens.count {
      successors[tokens[seen - 1]] = tokens[seen]
      seen += 1
    }
  }
}
