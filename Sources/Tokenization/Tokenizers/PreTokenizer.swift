/// Cuts text into the words that byte-level BPE merges within.
///
/// Hand-written scanners for the regular expressions that models were trained with; each function
/// below names its own. They look at most two scalars ahead of a word, run in linear time, and take
/// bytes that are not UTF-8 as punctuation.
enum PreTokenizer: Sendable {
  /// GPT-2 (Radford et al. 2019).
  case gpt2
  /// GPT-2 with every number character cut off by itself first.
  case smollm
  /// Qwen 2 and later.
  case qwen2
  /// Llama 3.
  case llama3

  /// The GGUF names this type knows.
  static let names = ["gpt-2", "default", "smollm", "qwen2", "llama-bpe", "llama3"]

  /// The pre-tokenizer a GGUF file names, GPT-2's if it names none.
  init(name: String?) throws {
    switch name ?? "default" {
    case "gpt-2", "gpt2", "default": self = .gpt2
    case "smollm": self = .smollm
    case "qwen2": self = .qwen2
    case "llama-bpe", "llama3", "llama-v3": self = .llama3
    case let unknown: throw TokenizerError.unsupportedPreTokenizer(unknown)
    }
  }

  /// Where the word that starts at `start` ends, in `text[..<end]`. Always beyond `start`.
  func endOfWord(_ text: [UInt8], from start: Int, end: Int) -> Int {
    let cursor = ScalarCursor(text: text, end: end)
    switch self {
    case .gpt2: return Self.endOfGPT2Word(cursor, start, cutsNumbers: false)
    case .smollm: return Self.endOfGPT2Word(cursor, start, cutsNumbers: true)
    case .qwen2: return Self.endOfLlama3Word(cursor, start, longestNumber: 1)
    case .llama3: return Self.endOfLlama3Word(cursor, start, longestNumber: 3)
    }
  }

  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`; with
  /// `cutsNumbers`, as if every `\p{N}` were a text of its own.
  private static func endOfGPT2Word(
    _ cursor: ScalarCursor, _ start: Int, cutsNumbers: Bool
  ) -> Int {
    if let end = endOfContraction(cursor, start, ignoresCase: false) { return end }
    var first = start
    if cursor.text[start] == UInt8(ascii: " "), start + 1 < cursor.end { first += 1 }
    switch cursor.classAndWidth(at: first) {
    case (.letter, _):
      return cursor.end(of: .letter, from: first)
    case (.other, _):
      return cursor.end(of: .other, from: first)
    case (.number, let width):
      if !cutsNumbers { return cursor.end(of: .number, from: first) }
      if first == start { return start + width }
    case (.whitespace, _):
      break
    }
    return endOfWhitespace(
      cursor, start,
      isTextEnd: { at in
        at == cursor.end || cutsNumbers && cursor.classAndWidth(at: at).class == .number
      })
  }

  /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|`
  /// `\s*[\r\n]+|\s+(?!\S)|\s+` with n = `longestNumber`.
  private static func endOfLlama3Word(
    _ cursor: ScalarCursor, _ start: Int, longestNumber: Int
  ) -> Int {
    if let end = endOfContraction(cursor, start, ignoresCase: true) { return end }
    let (firstClass, width) = cursor.classAndWidth(at: start)
    if firstClass == .letter { return cursor.end(of: .letter, from: start) }
    if firstClass == .number {
      var position = start
      for _ in 0..<longestNumber where position < cursor.end {
        let (nextClass, nextWidth) = cursor.classAndWidth(at: position)
        if nextClass != .number { break }
        position += nextWidth
      }
      return position
    }
    let second = start + width
    let secondClass = second < cursor.end ? cursor.classAndWidth(at: second).class : nil
    if secondClass == .letter, !cursor.isLineBreak(at: start) {
      return cursor.end(of: .letter, from: second)
    }
    if firstClass == .other || cursor.text[start] == UInt8(ascii: " ") && secondClass == .other {
      let wordEnd = cursor.end(of: .other, from: firstClass == .other ? start : second)
      return cursor.endOfLineBreaks(from: wordEnd)
    }
    let whitespaceEnd = cursor.end(of: .whitespace, from: start)
    if let afterBreak = cursor.endOfLastLineBreak(start..<whitespaceEnd) { return afterBreak }
    return endOfWhitespace(cursor, start, isTextEnd: { $0 == cursor.end })
  }

  /// `\s+(?!\S)|\s+`: all whitespace, but the last character is left to the word after it.
  private static func endOfWhitespace(
    _ cursor: ScalarCursor, _ start: Int, isTextEnd: (Int) -> Bool
  ) -> Int {
    var position = start
    var last = start
    while position < cursor.end {
      let (nextClass, width) = cursor.classAndWidth(at: position)
      if nextClass != .whitespace { break }
      last = position
      position += width
    }
    return last == start || isTextEnd(position) ? position : last
  }

  /// The end of an English contraction after an apostrophe, if one stands at `start`.
  private static func endOfContraction(
    _ cursor: ScalarCursor, _ start: Int, ignoresCase: Bool
  ) -> Int? {
    let text = cursor.text
    guard text[start] == UInt8(ascii: "'"), start + 1 < cursor.end else { return nil }
    let caseBit: UInt8 = ignoresCase ? 0x20 : 0
    let first = text[start + 1]
    switch first | caseBit {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
      return start + 2
    default:
      break
    }
    guard start + 2 < cursor.end else { return nil }
    switch (first | caseBit, text[start + 2] | caseBit) {
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    default:
      return nil
    }
  }
}

/// Reads classes of scalars from `text[..<end]`.
private struct ScalarCursor {
  let text: [UInt8]
  let end: Int
  private let ascii = CharacterClass.ascii

  init(text: [UInt8], end: Int) {
    self.text = text
    self.end = end
  }

  @inline(__always)
  func classAndWidth(at position: Int) -> (class: CharacterClass, width: Int) {
    let lead = text[position]
    if lead < 0x80 { return (ascii[Int(lead)], 1) }
    return classAndWidthBeyondASCII(at: position)
  }

  private func classAndWidthBeyondASCII(at position: Int) -> (class: CharacterClass, width: Int) {
    let (scalar, width) = UTF8Scanner.scalar(text, at: position, end: end)
    return (scalar.map { CharacterClass($0) } ?? .other, width)
  }

  /// The end of the run of `wanted` that starts at `position`.
  @inline(__always)
  func end(of wanted: CharacterClass, from position: Int) -> Int {
    var position = position
    while position < end {
      let (nextClass, width) = classAndWidth(at: position)
      if nextClass != wanted { break }
      position += width
    }
    return position
  }

  func isLineBreak(at position: Int) -> Bool {
    text[position] == UInt8(ascii: "\n") || text[position] == UInt8(ascii: "\r")
  }

  func endOfLineBreaks(from position: Int) -> Int {
    var position = position
    while position < end, isLineBreak(at: position) { position += 1 }
    return position
  }

  /// The position after the last line break of `range`.
  func endOfLastLineBreak(_ range: Range<Int>) -> Int? {
    range.last(where: isLineBreak).map { $0 + 1 }
  }
}
