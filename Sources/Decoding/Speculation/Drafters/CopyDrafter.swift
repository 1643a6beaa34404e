/// CopySpec: pastes what followed the last occurrence of the latest tokens.
final class CopyDrafter: Drafter {
  static let paperLength = 10
  let name = "copy"
  private let keyLength = 3

  init(_ setup: DrafterSetup) {}

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) throws {
    let tokens = context.tokens
    guard tokens.count > keyLength else { return }
    let key = tokens.suffix(keyLength)
    for end in stride(from: tokens.count - 1, through: keyLength, by: -1)
    where tokens[end - keyLength..<end].elementsEqual(key) {
      tree.append(chain: tokens[end...].prefix(min(budget.depth, budget.nodes)))
      return
    }
  }
}
