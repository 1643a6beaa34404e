/// What can be said about the tokens at some states of the grammar without knowing what follows
/// their rules: those that stay within the rules are possible in every context, those that leave
/// them in the middle depend on the context.
///
/// The split is that of XGrammar (Dong et al., arXiv 2411.15100); the tokens that depend on context
/// are kept as subtrees of the vocabulary, so that one step refuses all of them that begin alike.
struct ContextFreePart {
  /// Tokens that are possible in every context: a list, or a set where there are many.
  var accepted: [Int32] = []
  var acceptedSet: TokenSet?
  /// Roots of the subtrees whose tokens depend on the context, in order.
  var open: [Int32] = []

  /// Above this a set takes less room and time than a list.
  static let mostListed = 1024

  var byteCount: Int {
    64 + (accepted.count + open.count) * 4 + (acceptedSet?.words.count ?? 0) * 8
  }
}

extension ContextFreePart {
  /// Walks the vocabulary from places that are read at the same time.
  init(_ grammarStates: [Int32], _ parser: inout Parser, _ trie: VocabularyTrie) {
    var path = Path(start: parser.start(in: grammarStates), parser, depth: trie.depth)
    var node = 0
    while node < trie.nodes.count {
      // Known steps are looked up without leaving the loop; an unknown one is made outside of it.
      node = walkKnown(from: node, &path, parser, trie)
      guard node < trie.nodes.count else { break }
      _ = parser.step(path.states[Int(trie.nodes[node].depth)], trie.nodes[node].byte)
    }
    if accepted.count > Self.mostListed {
      var set = TokenSet(vocabularyCount: trie.vocabularyCount)
      for token in accepted { set.insert(token) }
      acceptedSet = set
      accepted = []
    }
  }

  /// The way from the root to a node.
  private struct Path {
    /// Parser state before the byte of each depth.
    var states: [Int32]
    /// Whether the rule could have been over there or before.
    var isOpen: [Bool]

    init(start: Int32, _ parser: Parser, depth: Int) {
      states = Array(repeating: start, count: depth + 2)
      isOpen = Array(repeating: parser.isOpen(start), count: depth + 2)
    }
  }

  /// Walks until a step is not known yet; returns the node of that step, or the end.
  private mutating func walkKnown(
    from first: Int, _ path: inout Path, _ parser: Parser, _ trie: VocabularyTrie
  ) -> Int {
    let classCount = parser.grammar.classCount
    let (classOf, flags) = (parser.grammar.classOf, parser.flags)
    return trie.nodes.withUnsafeBufferPointer { nodes in
      parser.rows.withUnsafeBufferPointer { rows in
        path.states.withUnsafeMutableBufferPointer { states in
          path.isOpen.withUnsafeMutableBufferPointer { isOpen in
            var node = first
            while node < nodes.count {
              let (end, token, depth, byte) = nodes[node].parts
              let next = rows[Int(states[depth]) * classCount + Int(classOf[Int(byte)])]
              if next < 0 { return node }
              if next == Parser.dead {
                if isOpen[depth] { open.append(Int32(node)) }
                node = end
                continue
              }
              if token != -1 { accept(token, trie) }
              let known = flags[Int(next)]
              if known & Parser.Flag.goesOn != 0 {
                states[depth + 1] = next
                isOpen[depth + 1] = isOpen[depth] || known & Parser.Flag.open != 0
                node += 1
              } else {
                // The rule is over here for certain: what follows is another's.
                openChildren(of: node, nodes)
                node = end
              }
            }
            return node
          }
        }
      }
    }
  }

  private mutating func openChildren(
    of node: Int, _ nodes: UnsafeBufferPointer<VocabularyTrie.Node>
  ) {
    var child = node + 1
    while child < Int(nodes[node].end) {
      open.append(Int32(child))
      child = Int(nodes[child].end)
    }
  }

  private mutating func accept(_ token: Int32, _ trie: VocabularyTrie) {
    if token >= 0 {
      accepted.append(token)
    } else {
      accepted.append(contentsOf: trie.equals[Int(-2 - token)])
    }
  }
}

extension VocabularyTrie.Node {
  /// The fields as the walks use them.
  var parts: (end: Int, token: Int32, depth: Int, byte: UInt8) {
    (Int(end), token, Int(depth), byte)
  }
}
