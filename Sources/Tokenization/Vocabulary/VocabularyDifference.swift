/// The first place where two vocabularies are not the same.
public enum VocabularyDifference: Equatable, Sendable, CustomStringConvertible {
  /// A token stands for different text, or for text in one and structure in the other.
  case token(Int32, String, String)
  /// One has tokens that the other lacks; their numbers.
  case count(Int, Int)
  /// A token with a role is another one; the role, and the ids.
  case role(String, Int32?, Int32?)

  /// What differs, the first vocabulary's side first.
  public var description: String {
    switch self {
    case .token(let id, let left, let right): "token \(id) is \(left) in one, \(right) in the other"
    case .count(let left, let right): "one has \(left) tokens, the other \(right)"
    case .role(let role, let left, let right):
      "the \(role) token is \(left.map(String.init) ?? "missing") in one, "
        + "\(right.map(String.init) ?? "missing") in the other"
    }
  }
}

extension Tokenizer {
  /// The first difference from another vocabulary, token by token, then the tokens with a role;
  /// nil if texts made of ids of one mean the same with the other. Unused tokens at the end of the
  /// longer one are no difference.
  public func firstDifference(from other: Tokenizer) -> VocabularyDifference? {
    var left: [UInt8] = []
    var right: [UInt8] = []
    let common = min(vocabularyCount, other.vocabularyCount)
    for token in 0..<Int32(common) {
      left.removeAll(keepingCapacity: true)
      right.removeAll(keepingCapacity: true)
      appendBytes(of: token, rendersSpecial: true, to: &left)
      other.appendBytes(of: token, rendersSpecial: true, to: &right)
      if left != right || isControl(token) != other.isControl(token) {
        return .token(token, shown(token, left), other.shown(token, right))
      }
    }
    let longer = vocabularyCount > common ? self : other
    for token in Int32(common)..<Int32(longer.vocabularyCount)
    where longer.kind(of: token) != .unused {
      return .count(vocabularyCount, other.vocabularyCount)
    }
    if eosToken != other.eosToken { return .role("end", eosToken, other.eosToken) }
    if addsBOS || other.addsBOS, bosToken != other.bosToken {
      return .role("beginning", bosToken, other.bosToken)
    }
    return nil
  }

  private func shown(_ token: Int32, _ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes.prefix(40), as: UTF8.self).debugDescription
    return isControl(token) ? "control \(text)" : text
  }
}
