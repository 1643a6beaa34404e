import Tokenization

/// The texts of a vocabulary as a trie over bytes, in depth-first order.
///
/// Immutable, and the same for all grammars. Control tokens and tokens without text are not in it.
public final class VocabularyTrie: Sendable {
  struct Node: Sendable {
    /// The node after the last one below this.
    var end: Int32
    /// The token that ends here: its id; -1 for none; for several `-2 - i`, see `equals`.
    var token: Int32
    /// Bytes before this one.
    var depth: UInt16
    var byte: UInt8
  }

  let nodes: [Node]
  /// Bytes before the deepest node's.
  let depth: Int
  let parents: [Int32]
  /// Tokens with the same bytes.
  let equals: [[Int32]]
  /// Tokens that end a text.
  public let ends: [Int32]
  /// Number of tokens, those without text included.
  public let vocabularyCount: Int
  private let texts: [UInt8]
  private let bounds: [Int32]

  /// Longest text of a token that is used.
  private static let longestToken = 1024

  /// The trie of a tokenizer's tokens. Takes some 100 ms for a large vocabulary.
  public convenience init(_ tokenizer: Tokenizer) {
    self.init(
      vocabularyCount: tokenizer.vocabularyCount, ends: tokenizer.endOfGenerationTokens
    ) { token in
      switch tokenizer.kind(of: token) {
      case .normal, .userDefined, .byte:
        tokenizer.isEndOfGeneration(token) ? [] : tokenizer.bytes(of: token)
      default: []
      }
    }
  }

  /// - Parameters:
  ///   - ends: tokens that end a text.
  ///   - bytes: text of a token; empty for tokens that no text holds.
  public init(vocabularyCount: Int, ends: [Int32], bytes: (Int32) -> [UInt8]) {
    self.vocabularyCount = vocabularyCount
    self.ends = ends
    var texts: [UInt8] = []
    var bounds: [Int32] = [0]
    var order: [Int32] = []
    for token in 0..<Int32(vocabularyCount) {
      let text = bytes(token)
      if !text.isEmpty, text.count <= Self.longestToken {
        texts.append(contentsOf: text)
        order.append(token)
      }
      bounds.append(Int32(texts.count))
    }
    self.texts = texts
    self.bounds = bounds
    order = Self.sorted(order, texts, bounds)
    var builder = Builder()
    for token in order {
      builder.append(token, texts[Int(bounds[Int(token)])..<Int(bounds[Int(token) + 1])])
    }
    builder.close(to: 0)
    nodes = builder.nodes
    depth = builder.nodes.reduce(0) { max($0, Int($1.depth)) }
    parents = builder.parents
    equals = builder.equals
  }

  /// Tokens in the order of their texts, of equal ones by id. The first eight bytes decide nearly
  /// always.
  private static func sorted(_ tokens: [Int32], _ texts: [UInt8], _ bounds: [Int32]) -> [Int32] {
    func text(_ token: Int32) -> ArraySlice<UInt8> {
      texts[Int(bounds[Int(token)])..<Int(bounds[Int(token) + 1])]
    }
    var keyed = tokens.map { token -> (key: UInt64, token: Int32) in
      let first = text(token).prefix(8)
      let key = first.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return (key << UInt64(8 * (8 - first.count)), token)
    }
    keyed.sort { left, right in
      if left.key != right.key { return left.key < right.key }
      let (one, other) = (text(left.token), text(right.token))
      if one.lexicographicallyPrecedes(other) { return true }
      return left.token < right.token && !other.lexicographicallyPrecedes(one)
    }
    return keyed.map(\.token)
  }

  /// Text of a token; empty for tokens that no text holds.
  public func text(of token: Int32) -> [UInt8] { Array(bytes(of: token)) }

  /// Text of a token; empty for tokens that no text holds.
  func bytes(of token: Int32) -> ArraySlice<UInt8> {
    guard token >= 0, Int(token) < vocabularyCount else { return [] }
    return texts[Int(bounds[Int(token)])..<Int(bounds[Int(token) + 1])]
  }

  /// Takes tokens in the order of their texts.
  private struct Builder {
    var nodes: [Node] = []
    var parents: [Int32] = []
    var equals: [[Int32]] = []
    private var path: [Int32] = []

    mutating func append(_ token: Int32, _ text: ArraySlice<UInt8>) {
      var common = 0
      while common < path.count, common < text.count,
        nodes[Int(path[common])].byte == text[text.startIndex + common]
      { common += 1 }
      close(to: common)
      for (depth, byte) in text.enumerated().dropFirst(common) {
        parents.append(path.last ?? -1)
        path.append(Int32(nodes.count))
        nodes.append(Node(end: 0, token: -1, depth: UInt16(depth), byte: byte))
      }
      guard let last = path.last else { return }
      note(token, at: Int(last))
    }

    mutating func close(to depth: Int) {
      while path.count > depth { nodes[Int(path.removeLast())].end = Int32(nodes.count) }
    }

    private mutating func note(_ token: Int32, at node: Int) {
      switch nodes[node].token {
      case -1: nodes[node].token = token
      case let first where first >= 0:
        nodes[node].token = -2 - Int32(equals.count)
        equals.append([first, token])
      case let several: equals[Int(-2 - several)].append(token)
      }
    }
  }
}
