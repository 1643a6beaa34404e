/// Finds the tokens that a parser accepts, by walking the vocabulary's trie.
struct TrieWalk {
  private let trie: VocabularyTrie
  /// Parser state before the byte of each depth on the current path.
  private var states: [Int32]

  init(_ trie: VocabularyTrie) {
    self.trie = trie
    states = Array(repeating: Parser.dead, count: trie.depth + 2)
  }

  /// Inserts the tokens possible at `state` that lie in the subtrees of `roots`, which ascend.
  mutating func subtrees(
    _ roots: [Int32], from state: Int32, _ parser: inout Parser, into set: inout TokenSet
  ) {
    states[0] = state
    var path: [Int32] = []
    var skipped: Int32 = 0
    for root in roots where root >= skipped {
      let depth = Int(trie.nodes[Int(root)].depth)
      if let refused = descend(to: trie.parents[Int(root)], depth: depth, &path, &parser) {
        skipped = trie.nodes[Int(refused)].end
      } else {
        walk(Int(root)..<Int(trie.nodes[Int(root)].end), &parser, &set)
      }
    }
  }

  /// Steps the parser to `node`, over what is new on the way from the path before.
  /// - Returns: the ancestor at which the parser refuses; nil if it does not.
  private mutating func descend(
    to node: Int32, depth: Int, _ path: inout [Int32], _ parser: inout Parser
  ) -> Int32? {
    var missing: [Int32] = []
    var at = node
    var level = depth - 1
    while level >= 0, !(level < path.count && path[level] == at) {
      missing.append(at)
      at = trie.parents[Int(at)]
      level -= 1
    }
    path.removeSubrange((level + 1)...)
    for next in missing.reversed() {
      let state = parser.step(states[path.count], trie.nodes[Int(next)].byte)
      if state == Parser.dead { return next }
      path.append(next)
      states[path.count] = state
    }
    return nil
  }

  private mutating func walk(
    _ range: Range<Int>, _ parser: inout Parser, _ set: inout TokenSet
  ) {
    var node = range.lowerBound
    while node < range.upperBound {
      // Known steps are looked up without leaving the loop; an unknown one is made outside of it.
      let stopped = walkKnown(node..<range.upperBound, parser, &set)
      guard stopped < range.upperBound else { return }
      let (_, _, depth, byte) = trie.nodes[stopped].parts
      _ = parser.step(states[depth], byte)
      node = stopped
    }
  }

  /// Walks until a step is not known yet; returns the node of that step, or the end.
  private mutating func walkKnown(
    _ range: Range<Int>, _ parser: Parser, _ set: inout TokenSet
  ) -> Int {
    let classCount = parser.grammar.classCount
    return trie.nodes.withUnsafeBufferPointer { nodes in
      parser.rows.withUnsafeBufferPointer { rows in
        parser.grammar.classOf.withUnsafeBufferPointer { classOf in
          states.withUnsafeMutableBufferPointer { states in
            set.withWords { words in
              var node = range.lowerBound
              while node < range.upperBound {
                let (end, token, depth, byte) = nodes[node].parts
                let next = rows[Int(states[depth]) * classCount + Int(classOf[Int(byte)])]
                if next < 0 { return node }
                if next == Parser.dead {
                  node = end
                  continue
                }
                if token >= 0 {
                  words[Int(token) >> 6] |= 1 << UInt64(token & 63)
                } else if token != -1 {
                  for equal in trie.equals[Int(-2 - token)] {
                    words[Int(equal) >> 6] |= 1 << UInt64(equal & 63)
                  }
                }
                states[depth + 1] = next
                node += 1
              }
              return node
            }
          }
        }
      }
    }
  }
}
