/// The mutable state of one `encode` call: its text, its output, and room to work in.
struct EncodingSession {
  /// The text words are cut from; for SentencePiece it is escaped and grows as the call goes on.
  var text: [UInt8]
  var output: [Int32] = []
  var engine = MergeEngine()
  private var cache: WordCache

  init(text: [UInt8], length: Int) {
    self.text = text
    cache = WordCache(textLength: length)
    output.reserveCapacity(length / 3 + 8)
  }

  /// Appends the tokens of the word `range`, from the cache or else by `encode`.
  @inline(__always)
  mutating func appendWord(_ range: Range<Int>, encode: (inout EncodingSession) -> Void) {
    guard range.count <= WordCache.longestWord else { return encode(&self) }
    let hash = TokenIndex.hash(text, range)
    if cache.append(text, range, hash: hash, to: &output) { return }
    let outputStart = output.count
    encode(&self)
    cache.store(
      range, hash: hash, outputStart: outputStart, tokenCount: output.count - outputStart)
  }
}
