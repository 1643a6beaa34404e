import Checkpoints
import Foundation
import Tokenization

/// Counts of runs of tokens in a text: what Superposed Decoding filters with.
///
/// The text's tokens and the order of its suffixes by their first `maximumOrder` tokens, as
/// `foretoken train ngrams` wrote them, stay in the file, which is mapped into memory: a count is two
/// binary searches, for runs of every length up to `maximumOrder`. Documents are kept apart by a
/// token that is none.
///
/// What is read from the file is checked where it is used, so that a damaged or hostile one gives
/// wrong counts at worst.
public final class NGramModel: Sendable {
  /// What is known of the text, kept in the file.
  public struct Provenance: Sendable, Equatable, Codable {
    /// Where the text comes from, as the user said.
    public var source: String
    /// The licence of the text, as the user said.
    public var license: String
    /// The command that made the file.
    public var command: String
    /// The model whose vocabulary the tokens are of.
    public var model: String
    /// Names of the text files, without folders.
    public var files: [String]
    /// Bytes of text.
    public var bytes: Int

    /// What is known of a text.
    public init(
      source: String, license: String, command: String, model: String, files: [String], bytes: Int
    ) {
      self.source = source
      self.license = license
      self.command = command
      self.model = model
      self.files = files
      self.bytes = bytes
    }

    private enum CodingKeys: String, CodingKey {
      case source, command, model, files, bytes
      case license = "licence"
    }
  }

  /// Longest runs that are told apart.
  public static let maximumOrder = 6

  /// Where the text comes from.
  public let provenance: Provenance
  /// Tokens of the text, those between documents left out.
  public var tokenCount: Int { suffixCount }

  private let file: MappedFile
  private let width: Int
  private let count: Int
  private let suffixCount: Int
  private let tokensOffset: Int
  private let suffixesOffset: Int

  /// Maps a file that `NGramBuilder` wrote.
  ///
  /// - Parameter tokenizer: must be the one that the file was made with.
  /// - Throws: `NGramModelError`, `CheckpointError` if the file cannot be opened.
  public convenience init(contentsOf url: URL, tokenizer: Tokenizer) throws {
    try self.init(
      file: MappedFile(path: url.path(percentEncoded: false)),
      vocabularyCount: tokenizer.vocabularyCount,
      fingerprint: TrigramTable.fingerprint(of: tokenizer))
  }

  init(file: MappedFile, vocabularyCount: Int, fingerprint: UInt64) throws {
    let layout = try NGramLayout(reading: file.bytes, path: file.path)
    guard layout.vocabularyCount == vocabularyCount, layout.fingerprint == fingerprint else {
      throw NGramModelError.otherVocabulary(
        file: file.path, model: layout.provenance.model, found: layout.vocabularyCount,
        expected: vocabularyCount)
    }
    self.file = file
    provenance = layout.provenance
    width = layout.tokenWidth
    count = layout.tokenCount
    suffixCount = layout.suffixCount
    tokensOffset = layout.tokensOffset
    suffixesOffset = layout.suffixesOffset
  }

  // MARK: Counting

  /// How often `run` is in the text; the number of tokens for an empty run, 0 for one that is longer
  /// than `maximumOrder`.
  public func count(of run: some Collection<Int32>) -> Int {
    guard run.count <= Self.maximumOrder else { return 0 }
    return interval(of: run).count
  }

  /// How often each of `tokens` follows `context` in the text, and how often the context is there.
  /// - Parameter context: at most `maximumOrder` - 1 tokens.
  public func counts(
    of tokens: [Int32], after context: some Collection<Int32>
  ) -> (context: Int, tokens: [Int]) {
    guard context.count < Self.maximumOrder else {
      return (0, tokens.map { _ in 0 })
    }
    let known = interval(of: context)
    return (
      known.count,
      tokens.map { known.isEmpty ? 0 : narrowed(known, to: $0, at: context.count).count }
    )
  }

  /// Suffixes that begin with `run`, as places in their order.
  private func interval(of run: some Collection<Int32>) -> Range<Int> {
    var range = 0..<suffixCount
    for (depth, token) in run.enumerated() {
      range = narrowed(range, to: token, at: depth)
      if range.isEmpty { break }
    }
    return range
  }

  /// The part of `range`, whose suffixes agree in `depth` tokens, that goes on with `token`.
  private func narrowed(_ range: Range<Int>, to token: Int32, at depth: Int) -> Range<Int> {
    guard token >= 0 else { return 0..<0 }
    let key = UInt32(bitPattern: token)
    let lower = firstPlace(in: range, depth) { $0 >= key }
    let upper = firstPlace(in: lower..<range.upperBound, depth) { $0 > key }
    return lower..<upper
  }

  private func firstPlace(
    in range: Range<Int>, _ depth: Int, where isReached: (UInt32) -> Bool
  ) -> Int {
    var (lower, upper) = (range.lowerBound, range.upperBound)
    while lower < upper {
      let middle = lower + (upper - lower) / 2
      if isReached(token(ofSuffix: middle, depth)) { upper = middle } else { lower = middle + 1 }
    }
    return lower
  }

  /// Token `depth` of a suffix; what stands between documents is the largest number, and so is what
  /// a damaged file has outside its text.
  private func token(ofSuffix place: Int, _ depth: Int) -> UInt32 {
    let bytes = file.bytes
    let start = UInt32(
      littleEndian: bytes.loadUnaligned(
        fromByteOffset: suffixesOffset + 4 * place, as: UInt32.self))
    let index = Int(start) + depth
    guard index < count else { return .max }
    let offset = tokensOffset + width * index
    if width == 4 {
      return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    let short = UInt16(
      littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    return short == .max ? .max : UInt32(short)
  }
}

/// Why an n-gram model cannot be read or made.
public enum NGramModelError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// The file is something else.
  case notAModel(file: String)
  /// The file is a model, but not as it was written.
  case damaged(file: String, reason: String)
  /// The file's tokens are those of another model.
  case otherVocabulary(file: String, model: String, found: Int, expected: Int)
  /// The text has no tokens.
  case emptyText
  /// The text is too long.
  case textTooLong(tokens: Int, limit: Int)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .notAModel(let file):
      "\(file): this is not an n-gram model; make one with `foretoken train ngrams`"
    case .damaged(let file, let reason):
      "\(file): \(reason); make it again with `foretoken train ngrams`"
    case .otherVocabulary(let file, let model, let found, let expected):
      "\(file): made for the vocabulary of \(model) (\(found) tokens), this model has another one "
        + "(\(expected) tokens); make one with `foretoken train ngrams --model` and this model"
    case .emptyText: "the text files have no text to count"
    case .textTooLong(let tokens, let limit):
      "the text has more than \(limit) tokens (\(tokens) so far); give fewer files"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
