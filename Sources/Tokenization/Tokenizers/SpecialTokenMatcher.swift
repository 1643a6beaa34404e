/// Finds special and user-defined tokens in raw text.
///
/// Where matches overlap, the longest token of the whole text wins over shorter ones, and of equally
/// long ones the leftmost; that is the order llama.cpp cuts in. The text is walked once; only groups
/// of matches that overlap are looked at again, once per distinct token length at most.
struct SpecialTokenMatcher: Sendable {
  /// A token and the bytes it covers.
  struct Match: Equatable {
    var range: Range<Int>
    var token: Int32
  }

  /// Which tokens count.
  enum Scope {
    /// Only user-defined tokens.
    case userDefined
    /// Control and unknown tokens too.
    case all
  }

  /// A trie in one hash table: `(node << 8 | byte) + 1` to the node that follows; zero is free.
  private var edgeKeys: [UInt64]
  private var edgeTargets: [Int32]
  private let shift: UInt64
  /// The token that ends at each node, or -1.
  private var tokenAtNode: [Int32] = [-1]
  private var isUserDefined: [Bool] = [false]
  /// Whether some token starts with this byte, by scope.
  private var startsUserDefined = [Bool](repeating: false, count: 256)
  private var startsAny = [Bool](repeating: false, count: 256)

  /// Indexes `tokens` of `strings`; empty strings and all but the first of equal ones are left out.
  init(_ strings: StringTable, tokens: [(token: Int32, isUserDefined: Bool)]) {
    let edges = tokens.reduce(0) { $0 + strings.range(of: Int($1.token)).count }
    var bits: UInt64 = 4
    while 1 << bits < 2 * edges { bits += 1 }
    edgeKeys = [UInt64](repeating: 0, count: 1 << bits)
    edgeTargets = [Int32](repeating: 0, count: 1 << bits)
    shift = 64 - bits
    for (token, isUserDefined) in tokens {
      insert(strings.bytes, strings.range(of: Int(token)), token, isUserDefined: isUserDefined)
    }
  }

  private mutating func insert(
    _ bytes: [UInt8], _ range: Range<Int>, _ token: Int32, isUserDefined user: Bool
  ) {
    guard let first = range.first.map({ Int(bytes[$0]) }) else { return }
    var node = 0
    for index in range {
      let slot = slot(node, bytes[index])
      if edgeKeys[slot] == 0 {
        edgeKeys[slot] = Self.key(node, bytes[index])
        edgeTargets[slot] = Int32(truncatingIfNeeded: tokenAtNode.count)
        tokenAtNode.append(-1)
        isUserDefined.append(false)
      }
      node = Int(edgeTargets[slot])
    }
    guard tokenAtNode[node] < 0 else { return }
    tokenAtNode[node] = token
    isUserDefined[node] = user
    startsAny[first] = true
    if user { startsUserDefined[first] = true }
  }

  /// The tokens to cut out of `text`, in order, none overlapping.
  func matches(in text: [UInt8], scope: Scope) -> [Match] {
    let starts = scope == .all ? startsAny : startsUserDefined
    var result: [Match] = []
    var position = 0
    while position < text.count {
      guard starts[Int(text[position])],
        let first = longestMatch(in: text, position..<text.count, scope)
      else {
        position += 1
        continue
      }
      // Everything that overlaps with the match, directly or through others, is settled together.
      var end = first.range.upperBound
      var isAlone = true
      var next = position + 1
      while next < end {
        if starts[Int(text[next])],
          let other = longestMatch(in: text, next..<text.count, scope)
        {
          isAlone = false
          end = max(end, other.range.upperBound)
        }
        next += 1
      }
      if isAlone {
        result.append(first)
      } else {
        settle(text, position..<end, scope, into: &result)
      }
      position = end
    }
    return result
  }

  /// Takes the longest matches of `region` from left to right, then does the same in what is left
  /// between them. As deep as there are distinct lengths.
  private func settle(
    _ text: [UInt8], _ region: Range<Int>, _ scope: Scope, into result: inout [Match]
  ) {
    var longest = 0
    for position in region {
      if let match = longestMatch(in: text, position..<region.upperBound, scope) {
        longest = max(longest, match.range.count)
      }
    }
    if longest == 0 { return }
    var rest = region.lowerBound
    var position = region.lowerBound
    while position + longest <= region.upperBound {
      guard let match = longestMatch(in: text, position..<region.upperBound, scope),
        match.range.count == longest
      else {
        position += 1
        continue
      }
      settle(text, rest..<position, scope, into: &result)
      result.append(match)
      position = match.range.upperBound
      rest = position
    }
    settle(text, rest..<region.upperBound, scope, into: &result)
  }

  /// The longest token at the start of `region`.
  private func longestMatch(in text: [UInt8], _ region: Range<Int>, _ scope: Scope) -> Match? {
    var node = 0
    var best: Match?
    for position in region {
      let slot = slot(node, text[position])
      if edgeKeys[slot] == 0 { break }
      node = Int(edgeTargets[slot])
      if tokenAtNode[node] >= 0, scope == .all || isUserDefined[node] {
        best = Match(range: region.lowerBound..<position + 1, token: tokenAtNode[node])
      }
    }
    return best
  }

  /// The slot of an edge, or the free one where it belongs.
  private func slot(_ node: Int, _ byte: UInt8) -> Int {
    let key = Self.key(node, byte)
    let mask = edgeKeys.count - 1
    var slot = Int((key &* 0x9E37_79B9_7F4A_7C15) >> shift)
    while edgeKeys[slot] != 0, edgeKeys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }

  private static func key(_ node: Int, _ byte: UInt8) -> UInt64 {
    (UInt64(node) << 8 | UInt64(byte)) + 1
  }
}
