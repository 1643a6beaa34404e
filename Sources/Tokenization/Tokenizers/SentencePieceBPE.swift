/// SentencePiece BPE (Kudo and Richardson 2018, arXiv 1808.06226): symbols start as characters, the
/// joined text with the best score merges first, and what is no token is written byte by byte.
struct SentencePieceBPE: Sendable {
  private let index: TokenIndex
  /// Lower merges first; `UInt32.max` for tokens that never come out of plain text.
  private let priorities: [UInt32]
  /// The token of each byte, or the unknown token, or -1.
  private let byteTokens: [Int32]
  /// The last bytes that come before a `▁` inside some token. After any other byte a `▁` starts a
  /// word of its own, because no merge can reach across.
  private let joinsNextWord: [Bool]

  /// `▁` (U+2581), which stands for a space.
  static let space: [UInt8] = [0xE2, 0x96, 0x81]

  init(
    _ definition: TokenizerDefinition, index: TokenIndex, isText: (Int32) -> Bool
  ) throws {
    let tokens = definition.tokens
    guard definition.scores.count == tokens.count else {
      throw TokenizerError.countMismatch(
        field: "tokenizer.ggml.scores", found: definition.scores.count, expected: tokens.count)
    }
    self.index = index
    var priorities = [UInt32](repeating: .max, count: tokens.count)
    var joins = [Bool](repeating: false, count: 256)
    for token in 0..<tokens.count where isText(Int32(truncatingIfNeeded: token)) {
      priorities[token] = Self.priority(of: definition.scores[token])
      Self.noteInnerSpaces(tokens.bytes, tokens.range(of: token), in: &joins)
    }
    self.priorities = priorities
    joinsNextWord = joins
    let unknown = definition.unknownToken ?? -1
    byteTokens = (0..<256).map { Self.token(ofByte: UInt8($0), index) ?? unknown }
  }

  private static func token(ofByte byte: UInt8, _ index: TokenIndex) -> Int32? {
    let digits = Array("0123456789ABCDEF".utf8)
    let name = Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]] + [0x3E]
    let named = index.find(name, 0..<name.count)
    if named >= 0 { return named }
    let bare = index.find([byte], 0..<1)
    return bare >= 0 ? bare : nil
  }

  /// Higher scores give lower priorities; a score that is not a number comes last.
  private static func priority(of score: Float) -> UInt32 {
    if score.isNaN { return .max - 1 }
    // Adding zero turns -0 into +0, which compare as equal.
    let bits = (score + 0).bitPattern
    let ascending = bits >> 31 == 1 ? ~bits : bits | 0x8000_0000
    return min(~ascending, .max - 1)
  }

  private static func noteInnerSpaces(
    _ bytes: [UInt8], _ range: Range<Int>, in joins: inout [Bool]
  ) {
    var position = range.lowerBound + 1
    while position + 3 <= range.upperBound {
      if isSpace(bytes, position), !isEndOfSpace(bytes, position, from: range.lowerBound) {
        joins[Int(bytes[position - 1])] = true
      }
      position += 1
    }
  }

  @inline(__always)
  private static func isSpace(_ text: [UInt8], _ position: Int) -> Bool {
    text[position] == space[0] && text[position + 1] == 0x96 && text[position + 2] == 0x81
  }

  private static func isEndOfSpace(_ text: [UInt8], _ position: Int, from start: Int) -> Bool {
    position >= start + 3 && isSpace(text, position - 3)
  }

  /// Appends `range` of `text` to `escaped`, every space written as `▁`.
  static func escape(_ text: [UInt8], _ range: Range<Int>, into escaped: inout [UInt8]) {
    for position in range {
      let byte = text[position]
      if byte == UInt8(ascii: " ") {
        escaped.append(0xE2)
        escaped.append(0x96)
        escaped.append(0x81)
      } else {
        escaped.append(byte)
      }
    }
  }

  /// Appends the tokens of `range` of the session's text, which is escaped.
  func encode(_ range: Range<Int>, session: inout EncodingSession) {
    var start = range.lowerBound
    while start < range.upperBound {
      let limit = min(range.upperBound, start + MergeEngine.longestWord)
      let end = endOfWord(session.text, start..<limit)
      session.appendWord(start..<end) { encodeWord(start..<end, session: &$0) }
      start = end
    }
  }

  /// The first place in `range` where a `▁` starts a new word.
  private func endOfWord(_ text: [UInt8], _ range: Range<Int>) -> Int {
    var position = range.lowerBound + 1
    while position + 3 <= range.upperBound {
      if text[position] == 0xE2, Self.isSpace(text, position),
        !joinsNextWord[Int(text[position - 1])],
        !Self.isEndOfSpace(text, position, from: range.lowerBound)
      {
        return position
      }
      position += 1
    }
    return range.upperBound
  }

  private func encodeWord(_ range: Range<Int>, session: inout EncodingSession) {
    session.engine.beginWord()
    var position = range.lowerBound
    while position < range.upperBound {
      let (_, width) = UTF8Scanner.scalar(session.text, at: position, end: range.upperBound)
      let end = position + width
      let token = index.find(session.text, position..<end)
      session.engine.appendSymbol(
        start: position - range.lowerBound,
        token: token >= 0 && priorities[Int(token)] != .max ? token : -1)
      position = end
    }
    session.engine.merge(session.text, base: range.lowerBound, end: range.count, rules: self)
    for (symbol, token) in session.engine.tokens.enumerated() {
      if token >= 0 {
        session.output.append(token)
      } else {
        let first = range.lowerBound + Int(session.engine.starts[symbol])
        let last = range.lowerBound + Int(session.engine.starts[symbol + 1])
        for byte in session.text[first..<last] where byteTokens[Int(byte)] >= 0 {
          session.output.append(byteTokens[Int(byte)])
        }
      }
    }
  }
}

extension SentencePieceBPE: MergeRules {
  @inline(__always)
  func merge(_ left: Int32, _ right: Int32, in text: [UInt8], _ range: Range<Int>) -> Merge {
    let token = index.find(text, range)
    guard token >= 0 else { return .none }
    return Merge(priority: priorities[Int(token)], token: token)
  }
}
