import Checkpoints
import Foundation
import Tokenization

/// Makes the file of an `NGramModel` from texts.
public struct NGramBuilder {
  private let tokenizer: Tokenizer
  private var tokens: [UInt32] = []
  private var bytes = 0
  private var files: [String] = []

  /// - Parameter tokenizer: of the model that the counts are for.
  public init(tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// Tokens so far.
  public var tokenCount: Int { tokens.count - files.count }

  /// Adds a text as a document of its own: runs of tokens do not go beyond its ends.
  ///
  /// - Parameter name: kept in the file, without folders.
  /// - Throws: `NGramModelError.textTooLong`.
  public mutating func add(_ text: String, name: String) throws {
    let document = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
    guard tokens.count + document.count < NGramLayout.mostTokens else {
      throw NGramModelError.textTooLong(
        tokens: tokens.count + document.count, limit: NGramLayout.mostTokens)
    }
    tokens.append(contentsOf: document.lazy.map { UInt32(bitPattern: $0) })
    tokens.append(.max)
    bytes += text.utf8.count
    files.append((name as NSString).lastPathComponent)
  }

  /// Sorts, and writes the file, which appears whole or not at all.
  ///
  /// - Parameters:
  ///   - url: an existing file is replaced.
  ///   - source, license: where the text comes from and how it may be used.
  ///   - command: the command that makes the file.
  ///   - model: the model of the tokenizer.
  /// - Throws: `NGramModelError.emptyText`, `CheckpointError`.
  /// - Complexity: O(tokens log tokens).
  public func write(
    to url: URL, source: String, license: String, command: String, model: String
  ) throws {
    guard tokenCount > 0 else { throw NGramModelError.emptyText }
    let suffixes = sortedSuffixes()
    let layout = try NGramLayout(
      vocabularyCount: tokenizer.vocabularyCount,
      fingerprint: TrigramTable.fingerprint(of: tokenizer), tokenCount: tokens.count,
      suffixCount: suffixes.count,
      provenance: NGramModel.Provenance(
        source: source, license: license, command: command, model: model, files: files,
        bytes: bytes))
    let file = try AtomicFile(path: url.path(percentEncoded: false))
    var checksum = NGramLayout.checksum(UnsafeRawBufferPointer(start: nil, count: 0))
    func write(_ part: [UInt8]) throws {
      let padding = NGramLayout.aligned(part.count) - part.count
      let padded = part + [UInt8](repeating: 0, count: padding)
      checksum = padded.withUnsafeBytes { NGramLayout.checksum($0, from: checksum) }
      try file.write(padded)
    }
    try write(layout.header)
    try write(
      layout.tokenWidth == 2
        ? Self.bytes(tokens.lazy.map { UInt16(clamping: $0) })
        : Self.bytes(tokens))
    try write(Self.bytes(suffixes))
    try file.write(withUnsafeBytes(of: checksum.littleEndian) { Array($0) })
    try file.commit()
  }

  private static func bytes<Number: FixedWidthInteger>(
    _ numbers: some Collection<Number>
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(numbers.count * MemoryLayout<Number>.size)
    for number in numbers { withUnsafeBytes(of: number.littleEndian) { bytes += $0 } }
    return bytes
  }

  /// Places of all tokens in the order of what follows from there, compared as far as runs are told
  /// apart.
  private func sortedSuffixes() -> [UInt32] {
    // A token that is none follows the end, so that no comparison needs to look for it.
    let text = tokens + Array(repeating: .max, count: NGramModel.maximumOrder)
    return text.withUnsafeBufferPointer { text in
      var places: [UInt32] = tokens.indices.filter { text[$0] != .max }.map { UInt32($0) }
      places.sort { left, right in
        for depth in 0..<NGramModel.maximumOrder {
          let (one, other) = (text[Int(left) + depth], text[Int(right) + depth])
          if one != other { return one < other }
          // Behind the end of a document nothing is told apart.
          if one == .max { break }
        }
        return left < right
      }
      return places
    }
  }
}
