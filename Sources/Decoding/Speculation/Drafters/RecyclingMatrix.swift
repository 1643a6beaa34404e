import Checkpoints
import Foundation

/// The successors that a model held likeliest after each token, as last seen.
///
/// Row `t` holds up to `successorCount` tokens, the likeliest first; it is empty until something is
/// known of `t`. Size: 4 · successorCount + 1 bytes for each token of the vocabulary, 1.6 MB for
/// SmolLM2 and 5 MB for Qwen2.5; it never grows.
public final class RecyclingMatrix {
  /// Tokens of the model.
  public let vocabularyCount: Int
  /// Most successors of a token.
  public let successorCount: Int
  private var successors: [Int32]  // [vocabularyCount, successorCount], -1 behind the last
  private var isSeedOnly: [Bool]  // rows that the model itself said nothing about yet

  /// A matrix without successors.
  ///
  /// - Parameter successorCount: 1 or more; at most the vocabulary is used.
  public init(vocabularyCount: Int, successorCount: Int) {
    self.vocabularyCount = max(vocabularyCount, 0)
    self.successorCount = max(min(successorCount, vocabularyCount), 0)
    successors = [Int32](repeating: -1, count: self.vocabularyCount * self.successorCount)
    isSeedOnly = [Bool](repeating: true, count: self.vocabularyCount)
  }

  /// The successor of `token` of a rank, 0 for the likeliest; nil where none is known.
  public func successor(of token: Int32, rank: Int) -> Int32? {
    guard let row = row(token), rank >= 0, rank < successorCount else { return nil }
    let successor = successors[row + rank]
    return successor < 0 ? nil : successor
  }

  /// The known successors of `token`, the likeliest first.
  public func successors(of token: Int32) -> [Int32] {
    (0..<successorCount).prefix { successor(of: token, rank: $0) != nil }
      .compactMap { successor(of: token, rank: $0) }
  }

  /// Replaces the row of `token` by what the model said after it, the likeliest first. Says nothing
  /// about tokens outside the vocabulary.
  public func learn(_ token: Int32, successors new: [Int32]) {
    guard let row = row(token) else { return }
    for rank in 0..<successorCount { successors[row + rank] = rank < new.count ? new[rank] : -1 }
    isSeedOnly[Int(token)] = false
  }

  /// Puts `next` first in the row of `token`, as a guess: only while the model itself said nothing
  /// about the token.
  public func seed(_ token: Int32, with next: Int32) {
    guard let row = row(token), successorCount > 0, isSeedOnly[Int(token)],
      next >= 0, Int(next) < vocabularyCount
    else { return }
    var rank = 0
    while rank < successorCount - 1, successors[row + rank] != next, successors[row + rank] >= 0 {
      rank += 1
    }
    while rank > 0 {
      successors[row + rank] = successors[row + rank - 1]
      rank -= 1
    }
    successors[row] = next
  }

  /// Bytes of the rows: the same from the beginning on.
  var byteCount: Int {
    successors.capacity * MemoryLayout<Int32>.stride + isSeedOnly.capacity
  }

  private func row(_ token: Int32) -> Int? {
    token >= 0 && Int(token) < vocabularyCount ? Int(token) * successorCount : nil
  }
}

// MARK: - Files

extension RecyclingMatrix {
  // Little-endian 32-bit numbers: magic, version, vocabulary, successors; the rows; then the
  // 64-bit FNV-1a sum of all bytes before it.
  private static let magic: UInt32 = 0x4D52_5446  // "FTRM"
  private static let version: UInt32 = 1
  private static let headerBytes = 16
  private static let sumBytes = 8

  /// Writes the matrix. The file appears complete or not at all.
  ///
  /// - Throws: `CheckpointError` if it cannot be written.
  public func save(to path: String) throws {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerBytes + successors.count * 4 + Self.sumBytes)
    for word in [
      Self.magic, Self.version, UInt32(truncatingIfNeeded: vocabularyCount),
      UInt32(truncatingIfNeeded: successorCount),
    ] { Self.append(word, to: &bytes) }
    for token in 0..<vocabularyCount {
      for rank in 0..<successorCount {
        let successor = successors[token * successorCount + rank]
        Self.append(UInt32(bitPattern: isSeedOnly[token] ? -1 : successor), to: &bytes)
      }
    }
    Self.append(Self.checksum(bytes[...]), to: &bytes)
    let file = try AtomicFile(path: path)
    try file.write(bytes)
    try file.commit()
  }

  /// Reads a matrix.
  ///
  /// - Parameters:
  ///   - vocabularyCount: tokens of the model that it is for.
  ///   - successorCount: successors that the drafter keeps.
  /// - Throws: `CheckpointError` if the file cannot be read, is not such a file, is damaged, or is
  ///   for another vocabulary or number of successors.
  public convenience init(path: String, vocabularyCount: Int, successorCount: Int) throws {
    self.init(vocabularyCount: vocabularyCount, successorCount: successorCount)
    let size = Self.headerBytes + successors.count * 4 + Self.sumBytes
    let bytes = try Self.read(path, most: size + 1)
    try checkHeader(bytes, path)
    guard bytes.count == size else {
      throw CheckpointError(
        .truncated, file: path,
        "has \(bytes.count > size ? "more than " : "")\(min(bytes.count, size)) bytes, expected "
          + "\(size); delete it, it will be written anew")
    }
    let body = bytes[..<(size - Self.sumBytes)]
    guard Self.number(bytes, at: size - Self.sumBytes, as: UInt64.self) == Self.checksum(body)
    else {
      throw CheckpointError(
        .malformed, file: path, offset: size - Self.sumBytes,
        "the checksum does not fit the content; delete it, it will be written anew")
    }
    try fill(from: bytes, path)
  }

  private func checkHeader(_ bytes: [UInt8], _ path: String) throws {
    guard bytes.count >= Self.headerBytes, Self.word(bytes, 0) == Self.magic else {
      throw CheckpointError(
        .wrongFormat, file: path, offset: 0, "is not a table of Token Recycling; give another path")
    }
    guard Self.word(bytes, 1) == Self.version else {
      throw CheckpointError(
        .unsupported, file: path, offset: 4,
        "has version \(Self.word(bytes, 1)), expected \(Self.version); delete it, it will be "
          + "written anew")
    }
    guard Int(Self.word(bytes, 2)) == vocabularyCount, Int(Self.word(bytes, 3)) == successorCount
    else {
      throw CheckpointError(
        .mismatched, file: path, offset: 8,
        "is for \(Self.word(bytes, 2)) tokens with \(Self.word(bytes, 3)) successors each, "
          + "expected \(vocabularyCount) with \(successorCount); give each model a file of its own")
    }
  }

  private func fill(from bytes: [UInt8], _ path: String) throws {
    for token in 0..<vocabularyCount {
      let row = token * successorCount
      for rank in 0..<successorCount {
        let offset = Self.headerBytes + (row + rank) * 4
        let successor = Int32(bitPattern: Self.word(bytes, 4 + row + rank))
        let isKnown = successor >= 0 && Int(successor) < vocabularyCount
        let follows = rank == 0 || successors[row + rank - 1] >= 0
        let isNew = !successors[row..<(row + rank)].contains(successor)
        guard successor == -1 || (isKnown && follows && isNew) else {
          throw CheckpointError(
            .malformed, file: path, offset: offset,
            "successor \(rank) of token \(token) is \(successor), expected another token below "
              + "\(vocabularyCount), or -1 behind the last; delete it, it will be written anew")
        }
        successors[row + rank] = successor
      }
      if successorCount > 0, successors[row] >= 0 { isSeedOnly[token] = false }
    }
  }

  private static func read(_ path: String, most: Int) throws -> [UInt8] {
    do {
      let handle = try FileHandle(forReadingFrom: URL(filePath: path))
      defer { try? handle.close() }
      return [UInt8](try handle.read(upToCount: most) ?? Data())
    } catch {
      throw CheckpointError(
        .inaccessible, file: path, "cannot be read: \(error.localizedDescription)")
    }
  }

  private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func word(_ bytes: [UInt8], _ index: Int) -> UInt32 {
    number(bytes, at: index * 4, as: UInt32.self)
  }

  private static func number<N: FixedWidthInteger>(
    _ bytes: [UInt8], at offset: Int, as type: N.Type
  ) -> N {
    bytes.withUnsafeBytes {
      N(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: N.self))
    }
  }

  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return sum
  }
}
