import Constraints
import Tokenization

/// What constrained generations of one model share: the vocabulary's trie, and the matchers of the
/// latest constraints with what they have learnt.
final class ConstraintMemory {
  private static let mostMatchers = 4

  private var trie: VocabularyTrie?
  private var matchers: [(constraint: Constraint, matcher: ConstraintMatcher)] = []

  /// The memory that lives in what a model's generations share.
  static func shared(in memory: DrafterMemory) -> ConstraintMemory {
    memory.value("constraints") { ConstraintMemory() }
  }

  /// The matcher of a constraint, made on first use.
  /// - Throws: `ConstraintError` for a constraint that cannot be compiled.
  func matcher(of constraint: Constraint, _ tokenizer: Tokenizer) throws -> ConstraintMatcher {
    if let place = matchers.firstIndex(where: { $0.constraint == constraint }) {
      // The latest is the last one.
      let known = matchers.remove(at: place)
      matchers.append(known)
      return known.matcher
    }
    let grammar = try constraint.compile()
    let trie = self.trie ?? VocabularyTrie(tokenizer)
    self.trie = trie
    let matcher = ConstraintMatcher(grammar: grammar, trie: trie)
    matchers.append((constraint, matcher))
    if matchers.count > Self.mostMatchers { matchers.removeFirst() }
    return matcher
  }
}
