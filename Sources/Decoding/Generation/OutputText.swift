import Tokenization

/// Turns generated tokens into final pieces of text, and finds stop strings in them.
struct OutputText {
  private var detokenizer: IncrementalDetokenizer
  private var matcher: StopStringMatcher
  private var tokens: [Int32] = []
  private var logProbabilities: [TokenLogProbabilities]?

  init(_ tokenizer: Tokenizer, options: GenerationOptions) {
    detokenizer = IncrementalDetokenizer(tokenizer)
    matcher = StopStringMatcher(options.stopStrings)
    logProbabilities = options.logProbabilities == nil ? nil : []
  }

  /// Takes one token. Returns the text that became final, if any, and the stop string that ends
  /// the text, if one does.
  mutating func append(
    _ token: Int32, logProbabilities entry: TokenLogProbabilities?
  ) -> (piece: TextPiece?, stop: String?) {
    tokens.append(token)
    if let entry { logProbabilities?.append(entry) }
    let match = matcher.append(detokenizer.append(token))
    if let stop = match.stop { return (takePiece(match.text), stop) }
    return (match.text.isEmpty ? nil : takePiece(match.text), nil)
  }

  /// What is still held back when no stop string ended the text; nil if there is nothing.
  mutating func finish() -> (piece: TextPiece?, stop: String?) {
    let match = matcher.append(detokenizer.finish())
    let text = match.stop == nil ? match.text + matcher.finish() : match.text
    return (text.isEmpty && tokens.isEmpty ? nil : takePiece(text), match.stop)
  }

  private mutating func takePiece(_ text: String) -> TextPiece {
    let piece = TextPiece(text: text, tokens: tokens, logProbabilities: logProbabilities)
    tokens.removeAll()
    logProbabilities?.removeAll()
    return piece
  }
}
