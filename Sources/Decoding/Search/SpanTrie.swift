import Tokenization

/// The spans of a passage as paths of tokens: a trie of all beginnings of what follows each start.
///
/// A text that occurs twice is one path. A start is the beginning of a word, of a punctuation mark or
/// of any other character that does not stand inside a word. What follows it is cut into tokens as it
/// would be written after the prompt, with a space before it and without: as it stands in the
/// passage it may begin in the middle of a token.
struct SpanTrie {
  /// A token of a path.
  struct Node: Sendable {
    var token: Int32
    /// Node before it; -1 at the beginning.
    var parent: Int32
    /// Tokens of the path.
    var depth: Int32
    /// Where the first span with this path stands, in bytes of the passage.
    var begin: Int32
    var end: Int32
    /// False where the path ends within a character.
    var isSpan: Bool
    var firstChild: Int32 = -1
    var nextSibling: Int32 = -1
  }

  private(set) var nodes: [Node] = []
  /// First child of the root; -1 if the passage is empty.
  private(set) var firstRoot: Int32 = -1
  private var index: [UInt64: Int32] = [:]
  private var lastChildren: [Int32] = []
  private var lastRoot: Int32 = -1

  /// - Parameters:
  ///   - longest: most tokens of a span.
  init(passage: String, tokenizer: Tokenizer, longest: Int, starts: ExactExtractOptions.Starts) {
    let bytes = Array(passage.utf8)
    switch starts {
    case .word:
      for start in Self.wordStarts(bytes) {
        let end = Self.cut(bytes, from: start, words: longest + 1, bytes: 64 * longest)
        for prefix in [[], [UInt8(ascii: " ")]] {
          add(
            tokenizer.encode(prefix + bytes[start..<end], addSpecial: false, parseSpecial: false),
            start: start, end: end, bytes, tokenizer, longest: longest)
        }
      }
    case .token:
      let tokens = tokenizer.encode(bytes, addSpecial: false, parseSpecial: false)
      var start = 0
      for (place, token) in tokens.enumerated() {
        let part = Array(tokens[place..<min(place + longest, tokens.count)])
        add(part, start: start, end: nil, bytes, tokenizer, longest: longest)
        start += tokenizer.bytes(of: token).count
      }
    }
    index.removeAll()
    lastChildren.removeAll()
  }

  /// Children of a node (or of the root, -1) in the order they were found.
  func children(of node: Int32) -> [Int32] {
    var found: [Int32] = []
    var next = node < 0 ? firstRoot : nodes[Int(node)].firstChild
    while next >= 0 {
      found.append(next)
      next = nodes[Int(next)].nextSibling
    }
    return found
  }

  /// Tokens from the root to a node.
  func path(to node: Int32) -> [Int32] {
    var path: [Int32] = []
    var at = node
    while at >= 0 {
      path.append(nodes[Int(at)].token)
      at = nodes[Int(at)].parent
    }
    return path.reversed()
  }

  // MARK: Building

  /// Adds what follows a start as far as its tokens spell the passage.
  /// - Parameter end: where the tokens end; nil if they need not spell what is before `start`.
  private mutating func add(
    _ tokens: [Int32], start: Int, end: Int?, _ bytes: [UInt8], _ tokenizer: Tokenizer,
    longest: Int
  ) {
    let spelt = tokens.map { tokenizer.bytes(of: $0) }
    // A space before the text belongs to the first token and to no span.
    let length = spelt.reduce(0) { $0 + $1.count }
    var at = end.map { $0 - length } ?? start
    guard at == start || at == start - 1 else { return }
    var node: Int32 = -1
    for (token, part) in zip(tokens, spelt).prefix(longest) {
      let next = at + part.count
      guard next <= bytes.count, Self.spells(part, bytes, at: at, from: start) else { return }
      at = next
      node = child(token, of: node, start: start, end: at, bytes)
    }
  }

  private static func spells(_ part: [UInt8], _ bytes: [UInt8], at: Int, from start: Int) -> Bool {
    part.indices.allSatisfy { index in
      at + index < start ? part[index] == UInt8(ascii: " ") : part[index] == bytes[at + index]
    }
  }

  private mutating func child(
    _ token: Int32, of parent: Int32, start: Int, end: Int, _ bytes: [UInt8]
  ) -> Int32 {
    let key = UInt64(UInt32(bitPattern: parent)) << 32 | UInt64(UInt32(bitPattern: token))
    if let known = index[key] { return known }
    let node = Int32(nodes.count)
    let depth = parent < 0 ? 1 : nodes[Int(parent)].depth + 1
    nodes.append(
      Node(
        token: token, parent: parent, depth: depth, begin: Int32(start), end: Int32(end),
        isSpan: end > start && Self.isBoundary(bytes, end)))
    index[key] = node
    append(node, below: parent)
    return node
  }

  private mutating func append(_ node: Int32, below parent: Int32) {
    lastChildren.append(-1)
    let last = parent < 0 ? lastRoot : lastChildren[Int(parent)]
    if last >= 0 {
      nodes[Int(last)].nextSibling = node
    } else if parent < 0 {
      firstRoot = node
    } else {
      nodes[Int(parent)].firstChild = node
    }
    if parent < 0 { lastRoot = node } else { lastChildren[Int(parent)] = node }
  }

  // MARK: Words

  private static func isBoundary(_ bytes: [UInt8], _ at: Int) -> Bool {
    at >= bytes.count || bytes[at] & 0xC0 != 0x80
  }

  /// Where words, marks and single characters begin.
  static func wordStarts(_ bytes: [UInt8]) -> [Int] {
    var starts: [Int] = []
    var wasLetter = false
    var at = 0
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      let isLetter = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
      if !scalar.properties.isWhitespace, !(isLetter && wasLetter) { starts.append(at) }
      wasLetter = isLetter
      at += UTF8.width(scalar)
    }
    return starts
  }

  /// Where to cut what follows a start: behind enough words, or enough bytes.
  private static func cut(_ bytes: [UInt8], from start: Int, words: Int, bytes most: Int) -> Int {
    var left = words
    var at = start
    var wasSpace = false
    while at < bytes.count, at - start < most {
      let isSpace = bytes[at] == 0x20 || (0x09...0x0D).contains(bytes[at])
      if isSpace, !wasSpace {
        left -= 1
        if left == 0 { return at }
      }
      wasSpace = isSpace
      at += 1
    }
    while !isBoundary(bytes, at) { at += 1 }
    return at
  }
}
