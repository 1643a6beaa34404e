/// Byte-level BPE (Radford et al. 2019): words are merged from single bytes by ranked pairs.
struct ByteLevelBPE: Sendable {
  let preTokenizer: PreTokenizer
  /// The token of each single byte, or -1: such bytes are dropped, as the vocabulary cannot write
  /// them.
  private let byteTokens: [Int32]
  private let merges: MergeTable
  /// Set for vocabularies that take a whole word that is a token as that token, merges or not.
  private let wholeWords: TokenIndex?

  /// - Parameters:
  ///   - index: Finds tokens by their raw bytes.
  ///   - isText: Whether a token may come out of plain text.
  init(
    _ definition: TokenizerDefinition, index: TokenIndex, isText: (Int32) -> Bool
  ) throws {
    guard let mergeList = definition.merges else {
      throw TokenizerError.missing("tokenizer.ggml.merges")
    }
    preTokenizer = try PreTokenizer(name: definition.preTokenizer)
    wholeWords = preTokenizer == .llama3 ? index : nil
    byteTokens = (0..<256).map { byte in
      let token = index.find([UInt8(byte)], 0..<1)
      return token >= 0 && isText(token) ? token : -1
    }
    merges = try Self.table(of: mergeList, index: index, isText: isText)
  }

  /// Merges whose parts or result are not tokens are left out: nothing could come of them.
  private static func table(
    of mergeList: StringTable, index: TokenIndex, isText: (Int32) -> Bool
  ) throws -> MergeTable {
    var table = MergeTable(capacity: mergeList.count)
    var raw: [UInt8] = []
    for rank in 0..<mergeList.count {
      let range = mergeList.range(of: rank)
      // A part can itself be a space in vocabularies that are not written in the byte alphabet.
      guard range.count >= 3,
        let space = mergeList.bytes[(range.lowerBound + 1)..<range.upperBound]
          .firstIndex(of: UInt8(ascii: " ")), space + 1 < range.upperBound
      else { throw TokenizerError.invalidMerge(index: rank) }
      raw.removeAll(keepingCapacity: true)
      ByteAlphabet.decode(mergeList.bytes, range.lowerBound..<space) { raw.append($0) }
      let middle = raw.count
      ByteAlphabet.decode(mergeList.bytes, space + 1..<range.upperBound) { raw.append($0) }
      let left = index.find(raw, 0..<middle)
      let right = index.find(raw, middle..<raw.count)
      let joined = index.find(raw, 0..<raw.count)
      guard left >= 0, right >= 0, joined >= 0, isText(joined) else { continue }
      table.insert(left, right, rank: UInt32(truncatingIfNeeded: rank), token: joined)
    }
    return table
  }

  /// Appends the tokens of `range` of the session's text.
  func encode(_ range: Range<Int>, session: inout EncodingSession) {
    var start = range.lowerBound
    while start < range.upperBound {
      let limit = min(range.upperBound, start + MergeEngine.longestWord)
      let end = preTokenizer.endOfWord(session.text, from: start, end: limit)
      session.appendWord(start..<end) { encodeWord(start..<end, session: &$0) }
      start = end
    }
  }

  private func encodeWord(_ range: Range<Int>, session: inout EncodingSession) {
    if let token = wholeWords?.find(session.text, range), token >= 0 {
      session.output.append(token)
      return
    }
    session.engine.beginWord()
    for position in range {
      let token = byteTokens[Int(session.text[position])]
      session.engine.appendSymbol(start: position - range.lowerBound, token: token)
    }
    session.engine.merge(session.text, base: range.lowerBound, end: range.count, rules: self)
    for token in session.engine.tokens where token >= 0 { session.output.append(token) }
  }
}

extension ByteLevelBPE: MergeRules {
  @inline(__always)
  func merge(_ left: Int32, _ right: Int32, in text: [UInt8], _ range: Range<Int>) -> Merge {
    merges.find(left, right)
  }
}
