@testable import Constraints

extension ConstraintMatcher {
  /// A matcher over the small vocabulary.
  convenience init(_ constraint: Constraint) throws {
    self.init(grammar: try constraint.compile(), trie: Vocabularies.small)
  }

  /// Whether a text is valid, and whether one begins with it.
  func check(_ text: String) throws -> (isComplete: Bool, isPrefix: Bool) {
    guard let state = try advance(start(), bytes: text.utf8) else { return (false, false) }
    return (isComplete(state), true)
  }

  func accepts(_ text: String) throws -> Bool { try check(text).isComplete }
}

/// What a constraint says when it is compiled: its error.
func compileError(_ constraint: Constraint) -> ConstraintError? {
  do {
    _ = try constraint.compile()
    return nil
  } catch {
    return error as? ConstraintError
  }
}
