/// Remembers, for the length of one `encode` call, which tokens a short word gave.
///
/// Direct-mapped, and without storage of its own for words and tokens: an entry points back to an
/// earlier place in the text and in the output.
struct WordCache {
  private struct Entry {
    var hash: UInt64 = 0
    var textStart = 0
    var outputStart = 0
    var length: UInt32 = 0
    var tokenCount: UInt32 = 0
  }

  private var entries: [Entry]
  private let shift: UInt64

  /// The longest word that is remembered, in bytes.
  static let longestWord = 24

  /// A cache fit for a text of `textLength` bytes.
  init(textLength: Int) {
    var bits: UInt64 = 4
    while bits < 14, 1 << (bits + 3) < textLength { bits += 1 }
    entries = [Entry](repeating: Entry(), count: 1 << bits)
    shift = 64 - bits
  }

  /// Appends the tokens of the word `range` of `text` to `output` if it was seen before.
  @inline(__always)
  func append(_ text: [UInt8], _ range: Range<Int>, hash: UInt64, to output: inout [Int32]) -> Bool
  {
    let entry = entries[Int(hash >> shift)]
    guard entry.hash == hash, Int(entry.length) == range.count else { return false }
    for offset in 0..<range.count
    where text[entry.textStart + offset] != text[range.lowerBound + offset] {
      return false
    }
    for index in entry.outputStart..<entry.outputStart + Int(entry.tokenCount) {
      output.append(output[index])
    }
    return true
  }

  /// Remembers that `range` of the text gave the tokens of the output from `outputStart` on.
  mutating func store(_ range: Range<Int>, hash: UInt64, outputStart: Int, tokenCount: Int) {
    entries[Int(hash >> shift)] = Entry(
      hash: hash, textStart: range.lowerBound, outputStart: outputStart,
      length: UInt32(truncatingIfNeeded: range.count),
      tokenCount: UInt32(truncatingIfNeeded: tokenCount))
  }
}
