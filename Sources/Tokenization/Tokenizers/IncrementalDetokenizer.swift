/// Turns a stream of tokens into text that is valid UTF-8 at every step.
///
/// A character can be spread over several tokens. The detokenizer holds back the bytes of a
/// character that may still be completed (three at most) and replaces bytes that cannot be part of
/// one with U+FFFD. What all steps return, joined, is what `Tokenizer.decode` returns at once.
///
/// ```swift
/// var detokenizer = IncrementalDetokenizer(tokenizer)
/// for token in tokens { print(detokenizer.append(token), terminator: "") }
/// print(detokenizer.finish())
/// ```
public struct IncrementalDetokenizer: Sendable {
  private let tokenizer: Tokenizer
  private let rendersSpecial: Bool
  private var stripsSpace: Bool
  private var pending: [UInt8] = []

  /// - Parameters:
  ///   - rendersSpecial: Write control tokens as their text instead of leaving them out.
  ///   - isStartOfText: Whether the first token begins a text, so that the space SentencePiece put
  ///     before it is taken away. Off for the continuation of a prompt.
  public init(_ tokenizer: Tokenizer, rendersSpecial: Bool = false, isStartOfText: Bool = false) {
    self.tokenizer = tokenizer
    self.rendersSpecial = rendersSpecial
    stripsSpace = isStartOfText && tokenizer.addsSpacePrefix
    pending.reserveCapacity(64)
  }

  /// The text that `token` completes; empty while a character is unfinished.
  public mutating func append(_ token: Int32) -> String {
    let start = pending.count
    tokenizer.appendBytes(of: token, rendersSpecial: rendersSpecial, to: &pending)
    if stripsSpace, pending.count > start, !tokenizer.isControl(token) {
      if pending[start] == UInt8(ascii: " ") { pending.remove(at: start) }
      stripsSpace = false
    }
    return take(UTF8Scanner.endOfCompleteText(pending))
  }

  /// What is still held back, unfinished characters as U+FFFD. The next token starts afresh.
  public mutating func finish() -> String { take(pending.count) }

  private mutating func take(_ count: Int) -> String {
    if count == 0 { return "" }
    let text = String(decoding: pending[..<count], as: UTF8.self)
    pending.removeSubrange(..<count)
    return text
  }
}
