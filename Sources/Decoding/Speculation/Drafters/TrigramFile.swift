import Foundation
import Tokenization

/// Counting a corpus, and keeping the table in a file.
///
/// The file is little-endian: the magic number, vocabulary size and fingerprint, number of pairs;
/// then each pair in ascending order with its successors, 6 bytes each; a checksum at the end.
/// Weights are kept in steps of 2^-14. Reading checks everything, and allocates no more than the
/// file's own size justifies.
extension TrigramTable {
  /// Most bytes of text that a corpus may have: counting takes about 8 bytes for each token.
  public static let maximumCorpusBytes = 1 << 28

  private static let magic: [UInt8] = Array("FTTRIGR1".utf8)
  private static let headerBytes = 32
  private static let weightUnit: Float = 16_384
  // Three tokens of a tri-gram in one sortable word.
  private static let tokenBits = 21
  private static let tokenMask = UInt64(1 << tokenBits - 1)

  /// Counts the tri-grams of documents: weights are count(a, b, c) / count(a, b).
  ///
  /// If there are more pairs than fit, the most frequent stay.
  ///
  /// - Parameters:
  ///   - documents: token ids of each, at least 0 and below 2^21; others break a tri-gram.
  ///   - successorLimit: 1 to 64.
  ///   - maximumPairs: at least 1.
  /// - Complexity: O(tokens log tokens).
  public convenience init(
    counting documents: some Sequence<[Int32]>,
    successorLimit: Int = TrigramTable.defaultSuccessorLimit,
    maximumPairs: Int = TrigramTable.defaultMaximumPairs
  ) {
    self.init(successorLimit: successorLimit, maximumPairs: maximumPairs)
    var grams: [UInt64] = []
    for document in documents where document.count > 2 {
      for last in 2..<document.count {
        let run = document[last - 2...last]
        guard run.allSatisfy({ $0 >= 0 && $0 < 1 << Self.tokenBits }) else { continue }
        grams.append(run.reduce(0) { $0 << Self.tokenBits | UInt64(UInt32(bitPattern: $1)) })
      }
    }
    grams.sort()
    let pairs = Self.pairs(ofSorted: grams)
    let kept =
      pairs.count <= maximumPairs
      ? pairs
      : pairs.sorted { ($0.range.count, $1.key) > ($1.range.count, $0.key) }
        .prefix(maximumPairs).sorted { $0.key < $1.key }
    for pair in kept { set(pair.key, Self.successors(grams[pair.range])) }
  }

  /// Counts the tri-grams of text files.
  ///
  /// - Throws: `TrigramTableError` for a file that cannot be read and for too large a corpus.
  public convenience init(
    corpus files: [URL], tokenizer: Tokenizer,
    successorLimit: Int = TrigramTable.defaultSuccessorLimit,
    maximumPairs: Int = TrigramTable.defaultMaximumPairs
  ) throws {
    var documents: [[Int32]] = []
    var room = Self.maximumCorpusBytes
    for file in files {
      let text = try Self.read(file, limit: room, what: "the corpus")
      room -= text.count
      documents.append(tokenizer.encode(Array(text), addSpecial: false, parseSpecial: false))
    }
    self.init(counting: documents, successorLimit: successorLimit, maximumPairs: maximumPairs)
  }

  private static func pairs(
    ofSorted grams: [UInt64]
  ) -> [(key: UInt64, range: Range<Int>)] {
    var pairs: [(key: UInt64, range: Range<Int>)] = []
    var start = 0
    while start < grams.count {
      var end = start
      while end < grams.count, grams[end] >> tokenBits == grams[start] >> tokenBits { end += 1 }
      let first = grams[start] >> (2 * tokenBits)
      let second = (grams[start] >> tokenBits) & tokenMask
      pairs.append((first << 32 | second, start..<end))
      start = end
    }
    return pairs
  }

  private static func successors(
    _ grams: ArraySlice<UInt64>
  ) -> [(token: Int32, weight: Float)] {
    var successors: [(token: Int32, weight: Float)] = []
    for gram in grams {
      let token = Int32(truncatingIfNeeded: gram & tokenMask)
      if successors.last?.token != token { successors.append((token, 0)) }
      successors[successors.count - 1].weight += 1
    }
    for index in successors.indices { successors[index].weight /= Float(grams.count) }
    return successors.sorted { ($0.weight, $1.token) > ($1.weight, $0.token) }
  }

  // MARK: Files

  /// Writes the table to a file, which appears whole or not at all.
  ///
  /// - Parameters:
  ///   - url: an existing file is replaced.
  ///   - tokenizer: the one that the tokens come from; the file works with no other.
  /// - Throws: `TrigramTableError.inaccessible`.
  public func save(to url: URL, tokenizer: Tokenizer) throws {
    let contents = contents
    var bytes = Self.magic
    bytes.append(littleEndian: UInt32(truncatingIfNeeded: tokenizer.vocabularyCount))
    bytes.append(littleEndian: UInt32(successorLimit))
    bytes.append(littleEndian: Self.fingerprint(of: tokenizer))
    bytes.append(littleEndian: UInt64(contents.count))
    for (key, successors) in contents {
      bytes.append(littleEndian: key)
      bytes.append(UInt8(successors.count))
      for (token, weight) in successors {
        let steps = max((weight * Self.weightUnit).rounded(), 1)
        bytes.append(littleEndian: UInt32(bitPattern: token))
        bytes.append(littleEndian: UInt16(min(steps, Self.maximumWeight * Self.weightUnit)))
      }
    }
    bytes.append(littleEndian: Self.hash(bytes[...]))
    do {
      try Data(bytes).write(to: url, options: .atomic)
    } catch {
      throw TrigramTableError.inaccessible(
        file: url.path(percentEncoded: false),
        reason: "cannot be written: \(error.localizedDescription)")
    }
  }

  /// Reads a table that `save` wrote.
  ///
  /// - Parameters:
  ///   - tokenizer: must be the one that the table was saved with.
  ///   - maximumPairs: a larger table is refused.
  /// - Throws: `TrigramTableError`.
  public convenience init(
    contentsOf url: URL, tokenizer: Tokenizer,
    maximumPairs: Int = TrigramTable.defaultMaximumPairs
  ) throws {
    let largest = Self.headerBytes + 8 + max(maximumPairs, 1) * (9 + 64 * 6)
    let data = try Self.read(url, limit: largest, what: "the table")
    var reader = TrigramReader(bytes: Array(data), file: url.path(percentEncoded: false))
    try reader.expect(Self.magic)
    let end = data.count - 8
    guard end >= Self.headerBytes, Self.hash(reader.bytes[..<end]) == reader.word(at: end) else {
      throw reader.damage("the checksum at the end does not fit: the file is cut off or damaged")
    }
    let vocabularyCount = Int(try reader.read(UInt32.self))
    let successorLimit = Int(try reader.read(UInt32.self))
    guard vocabularyCount == tokenizer.vocabularyCount,
      try reader.read(UInt64.self) == Self.fingerprint(of: tokenizer)
    else {
      throw TrigramTableError.otherVocabulary(
        file: reader.file, found: vocabularyCount, expected: tokenizer.vocabularyCount)
    }
    guard (1...64).contains(successorLimit) else {
      throw reader.damage("\(successorLimit) successors for each pair, expected 1 to 64")
    }
    let pairCount = try reader.read(UInt64.self)
    guard pairCount <= UInt64(max(maximumPairs, 1)) else {
      throw reader.damage("\(pairCount) pairs, expected at most \(maximumPairs)")
    }
    self.init(successorLimit: successorLimit, maximumPairs: maximumPairs)
    var last: UInt64?
    for _ in 0..<pairCount {
      let (key, successors) = try reader.pair(
        after: last, vocabularyCount: vocabularyCount, limit: successorLimit,
        unit: Self.weightUnit)
      set(key, successors)
      last = key
    }
    guard reader.offset == end else {
      throw reader.damage("\(end - reader.offset) bytes after the last pair")
    }
  }

  /// The bytes of a regular file: never a device or a pipe, which might have no end.
  private static func read(_ url: URL, limit: Int, what: String) throws -> Data {
    let path = url.resolvingSymlinksInPath().path(percentEncoded: false)
    func failure(_ reason: String) -> TrigramTableError {
      .inaccessible(file: url.path(percentEncoded: false), reason: reason)
    }
    do {
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      guard attributes[.type] as? FileAttributeType == .typeRegular else {
        throw failure("is not a regular file")
      }
      let size = (attributes[.size] as? NSNumber)?.intValue ?? 0
      guard size <= limit else {
        throw failure("has \(size) bytes, and \(what) may have \(limit) more")
      }
      return try Data(contentsOf: url)
    } catch let error as TrigramTableError {
      throw error
    } catch {
      throw failure("cannot be read: \(error.localizedDescription)")
    }
  }

  /// Tells vocabularies apart: a hash of every token's bytes.
  static func fingerprint(of tokenizer: Tokenizer) -> UInt64 {
    var hash = hash([])
    for token in 0..<Int32(truncatingIfNeeded: tokenizer.vocabularyCount) {
      hash = self.hash(tokenizer.bytes(of: token)[...] + [0xFF], from: hash)
    }
    return hash
  }

  /// FNV-1a.
  static func hash(
    _ bytes: ArraySlice<UInt8>, from start: UInt64 = 0xCBF2_9CE4_8422_2325
  ) -> UInt64 {
    bytes.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }
}

/// Why a table of tri-grams cannot be read or written.
public enum TrigramTableError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// The operating system refused, or the file is of a kind or size that is not read.
  case inaccessible(file: String, reason: String)
  /// The file is something else.
  case notATable(file: String)
  /// The file is a table, but not as it was written.
  case damaged(file: String, offset: Int, reason: String)
  /// The table's tokens are those of another model.
  case otherVocabulary(file: String, found: Int, expected: Int)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .inaccessible(let file, let reason): "\(file): \(reason)"
    case .notATable(let file):
      "\(file): this is not a table of tri-grams; make one with TrigramTable.save"
    case .damaged(let file, let offset, let reason):
      "\(file): at byte \(offset): \(reason); make the table again"
    case .otherVocabulary(let file, let found, let expected):
      "\(file): the table was made with another vocabulary (\(found) tokens, the model has "
        + "\(expected)); make one with this model's tokenizer"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}

/// Reads the fields of a table's file one after the other.
private struct TrigramReader {
  let bytes: [UInt8]
  let file: String
  private(set) var offset = 0

  init(bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  func damage(_ reason: String) -> TrigramTableError {
    .damaged(file: file, offset: offset, reason: reason)
  }

  mutating func expect(_ magic: [UInt8]) throws {
    guard bytes.starts(with: magic) else { throw TrigramTableError.notATable(file: file) }
    offset += magic.count
  }

  mutating func read<Value: FixedWidthInteger>(_ type: Value.Type) throws -> Value {
    let size = MemoryLayout<Value>.size
    guard bytes.count - offset >= size else { throw damage("the file ends within a number") }
    let value = bytes.withUnsafeBytes {
      Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
    offset += size
    return value
  }

  func word(at offset: Int) -> UInt64 {
    bytes.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
  }

  mutating func pair(
    after last: UInt64?, vocabularyCount: Int, limit: Int, unit: Float
  ) throws -> (UInt64, [(token: Int32, weight: Float)]) {
    let key = try read(UInt64.self)
    guard last.map({ $0 < key }) ?? true else { throw damage("the pairs are not in order") }
    guard key >> 32 < vocabularyCount, key & 0xFFFF_FFFF < vocabularyCount else {
      throw damage("a pair of tokens beyond the vocabulary's \(vocabularyCount)")
    }
    let count = Int(try read(UInt8.self))
    guard (1...limit).contains(count) else {
      throw damage("\(count) successors of a pair, expected 1 to \(limit)")
    }
    var successors: [(token: Int32, weight: Float)] = []
    for _ in 0..<count {
      let token = try read(UInt32.self)
      let steps = Float(try read(UInt16.self))
      guard token < vocabularyCount, !successors.contains(where: { $0.token == Int32(token) }),
        steps >= 1, steps <= TrigramTable.maximumWeight * unit
      else { throw damage("token \(token) of weight \(steps / unit) cannot follow a pair") }
      successors.append((Int32(token), steps / unit))
    }
    // Rounding to steps may have made weights equal; then the lower id comes first.
    return (key, successors.sorted { ($0.weight, $1.token) > ($1.weight, $0.token) })
  }
}

extension [UInt8] {
  fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}
