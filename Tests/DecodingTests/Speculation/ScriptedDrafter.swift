import Decoding

/// Drafts a text that is known beforehand, among wrong siblings: at every level of the chain first
/// come `decoys` tokens that are not the script's.
final class ScriptedDrafter: Drafter {
  let name = "scripted"
  private let script: [Int32]
  private let decoys: Int

  /// - Parameter script: what the generation will write, from its first token on.
  init(_ script: [Int32], decoys: Int) {
    self.script = script
    self.decoys = decoys
  }

  /// The kind to put into `GenerationOptions.customDrafter`.
  static func kind(_ script: [Int32], decoys: Int = 0, nodes: Int = 16) -> DrafterKind {
    DrafterKind(name: "scripted", defaultNodes: nodes) { _ in
      ScriptedDrafter(script, decoys: decoys)
    }
  }

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    var node = TokenTree.root
    let written = context.tokens.count - context.promptCount
    for token in script.dropFirst(written).prefix(budget.depth) {
      guard tree.count + decoys < budget.nodes else { return }
      for offset in 0..<decoys {
        tree.append(token ^ Int32(1 + offset), below: node, probability: 0.1)
      }
      node = tree.append(token, below: node, probability: 0.9)
    }
  }
}
