import Tokenization

/// What a generated text has to be.
///
/// All kinds are compiled to one `Grammar`. The dialects and what of them is supported are in
/// `Docs/Constraints.md`.
public indirect enum Constraint: Sendable, Hashable {
  /// A text of the rule `root` of a GBNF grammar.
  case grammar(String)
  /// A JSON document that is valid under this JSON Schema (draft 2020-12, a subset).
  case jsonSchema(String)
  /// A text that this regular expression matches from beginning to end.
  case regex(String)
  /// A JSON object.
  case jsonObject
  /// A text of another constraint between two fixed texts, such as the marks of a tool call.
  case framed(String, Constraint, String)

  /// Largest source that is taken.
  public static let mostBytes = 4 << 20

  /// Translates and compiles the constraint.
  ///
  /// - Throws: `ConstraintError` with line and column, or JSON pointer, of the first mistake.
  /// - Complexity: linear in the source for usual grammars; bounded for all.
  public func compile() throws -> Grammar { try Grammar(rules()) }

  private func rules() throws -> GrammarRules {
    switch self {
    case .grammar(let text):
      try Self.checkSize(text, "grammar")
      return try GBNFParser.parse(text)
    case .jsonSchema(let text):
      try Self.checkSize(text, "JSON schema")
      return try SchemaTranslator.translate(text)
    case .regex(let text):
      try Self.checkSize(text, "regular expression")
      var rules = GrammarRules()
      rules.root = rules.add("regex", try RegexParser.parse(text).wholeMatch)
      return rules
    case .jsonObject: return SchemaTranslator.anyObject()
    case .framed(let prefix, let body, let suffix):
      try Self.checkSize(prefix, "text before the constraint")
      try Self.checkSize(suffix, "text after the constraint")
      var rules = try body.rules()
      rules.root = rules.add(
        "frame", .sequence([.text(prefix), .rule(rules.root), .text(suffix)]))
      return rules
    }
  }

  private static func checkSize(_ text: String, _ what: String) throws {
    guard text.utf8.count <= mostBytes else {
      throw ConstraintError.tooLarge(
        "the \(what) has \(text.utf8.count) bytes; at most \(mostBytes) are taken")
    }
  }
}
