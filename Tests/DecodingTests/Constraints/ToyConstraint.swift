import Compute
import Foretoken
import Testing

@testable import Decoding

/// A vocabulary of the 256 bytes, two pieces and a token that ends texts, and constraints over it.
struct ToyConstraint {
  static let end: Int32 = 258
  static let vocabularyCount = 259

  let matcher: ConstraintMatcher
  private let tokenizer: Tokenizer

  init(_ constraint: Constraint) throws {
    let alphabet = Self.alphabet
    var definition = TokenizerDefinition(
      model: "gpt2", tokens: try StringTable(alphabet + ["ab", "00", "<|endoftext|>"]),
      preTokenizer: "gpt-2")
    definition.merges = try StringTable(["a b", "0 0"])
    definition.tokenTypes = Array(repeating: 1, count: 258) + [3]
    definition.eosToken = Self.end
    tokenizer = try Tokenizer(definition)
    matcher = ConstraintMatcher(
      grammar: try constraint.compile(), trie: VocabularyTrie(tokenizer))
  }

  /// The byte alphabet of GPT-2, in the order of bytes.
  private static let alphabet: [String] = {
    var next: UInt32 = 0x100
    return (0..<256).map { (byte: UInt32) in
      let isPrintable =
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
      defer { if !isPrintable { next += 1 } }
      return String(Character(Unicode.Scalar(isPrintable ? byte : next) ?? "?"))
    }
  }()

  func tracker(promptCount: Int = 1) -> ConstraintTracker {
    ConstraintTracker(matcher, tokenizer: tokenizer, promptCount: promptCount)
  }

  func tokens(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }
}

/// A model without weights: the logits after a text are noise that depends on the whole text, with
/// the characters of `alphabet` and the end far above all others.
struct ToyWriter {
  var alphabet: String
  var seed: UInt64
  var scale: Float = 1
  /// Logit of the end after a text.
  var end: (_ text: [Int32]) -> Float

  func logits(after text: [Int32]) -> [Float] {
    let key = text.reduce(seed) { ($0 ^ UInt64(bitPattern: Int64($1))) &* 0x9E37_79B9_7F4A_7C15 }
    var random = TestRandom(key)
    var logits = random.logits(ToyConstraint.vocabularyCount, scale: 1).map { $0 - 14 }
    for (byte, logit) in zip(alphabet.utf8, random.logits(alphabet.utf8.count, scale: scale)) {
      logits[Int(byte)] = logit
    }
    logits[Int(ToyConstraint.end)] = end(text)
    return logits
  }

  /// Probability of a text and the end after it, at temperature 1.
  func probability(of text: [Int32]) -> Double {
    var product = 1.0
    for (index, token) in (text + [ToyConstraint.end]).enumerated() {
      let logits = logits(after: Array(text.prefix(index))).map(Double.init)
      let total = logits.reduce(0) { $0 + ElementaryFunctions.exp($1) }
      product *= ElementaryFunctions.exp(logits[Int(token)]) / total
    }
    return product
  }
}
