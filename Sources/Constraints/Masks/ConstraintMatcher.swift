/// A place in a constrained text. Cheap to keep and to compare: going back is keeping an old one.
public struct ConstraintState: Sendable, Hashable {
  fileprivate let parserState: Int32
  /// The matcher's renewals before it was made.
  fileprivate let epoch: Int32

  /// True after a token that ended the text: nothing follows.
  public var hasEnded: Bool { parserState == ConstraintMatcher.endedState }
}

/// Follows a text token by token and says which tokens may come next.
///
/// Masks are of whole tokens: a token is possible if some valid text goes on with its bytes, also
/// if these end within a character. Tokens that end the text are possible exactly where the text is
/// complete; control tokens never are.
///
/// Not thread safe. One matcher may serve any number of texts of one grammar in turn; what it learns
/// about one makes the next faster.
public final class ConstraintMatcher {
  /// The grammar.
  public let grammar: Grammar
  /// The vocabulary.
  public let trie: VocabularyTrie

  fileprivate static let endedState: Int32 = -1
  /// What one mask may cost, in items of the parser; a second, roughly.
  private static let mostWork = 20_000_000
  private static let mostParserBytes = 96 << 20
  private static let mostPartBytes = 48 << 20
  private static let mostMasks = 256

  private var parser: Parser
  private var walk: TrieWalk
  private var parts: [[Int32]: ContextFreePart] = [:]
  private var partBytes = 0
  private var masks: [Int32: TokenSet] = [:]
  private var scratch: TokenSet
  /// Counts how often the states were dropped; those of earlier epochs are void.
  public private(set) var epoch: Int32 = 0

  /// A matcher that knows nothing yet.
  public init(grammar: Grammar, trie: VocabularyTrie) {
    self.grammar = grammar
    self.trie = trie
    parser = Parser(grammar)
    walk = TrieWalk(trie)
    scratch = TokenSet(vocabularyCount: trie.vocabularyCount)
  }

  /// Drops all states if they take too much memory. The caller makes its states anew, from the
  /// beginning of its text, when `epoch` has changed.
  public func renewIfLarge() {
    if parser.byteCount > Self.mostParserBytes { renew() }
  }

  private func renew() {
    parser = Parser(grammar)
    masks.removeAll()
    // The parts hold no states: they stay.
    epoch += 1
  }

  // MARK: Following a text

  /// The place before the first token.
  /// - Throws: `ConstraintError.tooAmbiguous`.
  public func start() throws -> ConstraintState {
    try bounded { ConstraintState(parserState: parser.start(), epoch: epoch) }
  }

  /// The place after one more token; nil if the token is not possible.
  /// - Throws: `ConstraintError.tooAmbiguous`, `ConstraintError.staleState`.
  public func advance(_ state: ConstraintState, _ token: Int32) throws -> ConstraintState? {
    try check(state)
    if state.hasEnded { return nil }
    if trie.ends.contains(token) {
      return isComplete(state)
        ? ConstraintState(parserState: Self.endedState, epoch: epoch) : nil
    }
    let bytes = trie.bytes(of: token)
    return bytes.isEmpty ? nil : try advance(state, bytes: bytes)
  }

  /// The place after more text; nil if no valid text goes on like that.
  /// - Throws: `ConstraintError.tooAmbiguous`, `ConstraintError.staleState`.
  public func advance(
    _ state: ConstraintState, bytes: some Sequence<UInt8>
  ) throws -> ConstraintState? {
    try check(state)
    if state.hasEnded { return nil }
    return try bounded {
      var at = state.parserState
      for byte in bytes {
        at = parser.step(at, byte)
        if at == Parser.dead { return nil }
      }
      return ConstraintState(parserState: at, epoch: epoch)
    }
  }

  /// Whether the text may end here.
  public func isComplete(_ state: ConstraintState) -> Bool {
    !state.hasEnded && state.epoch == epoch && parser.isComplete(state.parserState)
  }

  /// Bytes that must follow, up to where there is a choice or the text may end.
  /// - Throws: `ConstraintError.tooAmbiguous`, `ConstraintError.staleState`.
  public func forcedBytes(_ state: ConstraintState, most: Int) throws -> [UInt8] {
    try check(state)
    if state.hasEnded { return [] }
    return try bounded {
      var bytes: [UInt8] = []
      var at = state.parserState
      while bytes.count < most, !parser.isComplete(at), let next = onlyByte(at) {
        bytes.append(next)
        at = parser.step(at, next)
      }
      return bytes
    }
  }

  private func onlyByte(_ state: Int32) -> UInt8? {
    var found: UInt8?
    for byte in UInt8.min...UInt8.max where parser.step(state, byte) != Parser.dead {
      guard found == nil else { return nil }
      found = byte
    }
    return found
  }

  // MARK: Masks

  /// Calls `body` with the possible tokens: token `t` is bit `t & 63` of word `t >> 6`.
  /// - Throws: `ConstraintError.tooAmbiguous`, and what `body` throws.
  public func withMask<Result>(
    _ state: ConstraintState, _ body: (UnsafeBufferPointer<UInt64>) throws -> Result
  ) throws -> Result {
    try mask(state).words.withUnsafeBufferPointer(body)
  }

  /// The token that follows, if only one is possible.
  /// - Throws: `ConstraintError.tooAmbiguous`, `ConstraintError.staleState`.
  public func onlyToken(_ state: ConstraintState) throws -> Int32? { try mask(state).single }

  /// The possible tokens.
  func mask(_ state: ConstraintState) throws -> TokenSet {
    try check(state)
    if let known = masks[state.parserState] { return known }
    try bounded { fill(state) }
    if masks.count >= Self.mostMasks { masks.removeAll(keepingCapacity: true) }
    masks[state.parserState] = scratch
    return scratch
  }

  private func fill(_ state: ConstraintState) {
    scratch.removeAll()
    if state.hasEnded { return }
    if parser.goesOn(state.parserState) {
      let part = part(parser.grammarStates(state.parserState))
      if let set = part.acceptedSet { scratch.formUnion(set) }
      for token in part.accepted { scratch.insert(token) }
      walk.subtrees(part.open, from: state.parserState, &parser, into: &scratch)
    }
    if parser.isComplete(state.parserState) { for token in trie.ends { scratch.insert(token) } }
  }

  private func part(_ grammarStates: [Int32]) -> ContextFreePart {
    if let known = parts[grammarStates] { return known }
    let part = ContextFreePart(grammarStates, &parser, trie)
    if partBytes > Self.mostPartBytes {
      parts.removeAll()
      partBytes = 0
    }
    parts[grammarStates] = part
    partBytes += part.byteCount
    return part
  }

  private func check(_ state: ConstraintState) throws {
    if state.epoch != epoch { throw ConstraintError.staleState }
  }

  /// Runs something and throws if the parser could not follow.
  private func bounded<Result>(_ body: () throws -> Result) throws -> Result {
    parser.workLimit = parser.work + Self.mostWork
    let result = try body()
    guard !parser.isOverwhelmed else {
      // Other texts of the same grammar may be simpler.
      parts.removeAll()
      partBytes = 0
      renew()
      throw ConstraintError.tooAmbiguous(limit: Parser.mostItems)
    }
    return result
  }
}
