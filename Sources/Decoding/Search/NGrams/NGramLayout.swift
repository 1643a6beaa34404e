import Foundation

/// What an n-gram model's file says about itself.
///
/// The file is little-endian: the magic number; the length of the description, the bytes of a token
/// (2 or 4), the size and the fingerprint of the vocabulary, the number of tokens (those between
/// documents included) and of suffixes; the description, as JSON; the tokens; the suffixes, as
/// 4-byte places, in order; a checksum of all before it. Each part begins at a multiple of 8 bytes.
struct NGramLayout {
  static let magic: [UInt8] = Array("FTNGRAM1".utf8)
  static let headerBytes = 48
  static let mostDescriptionBytes = 1 << 16
  /// Tokens of a text, which are counted with 32 bits.
  static let mostTokens = 1 << 28

  var tokenWidth: Int
  var vocabularyCount: Int
  var fingerprint: UInt64
  var tokenCount: Int
  var suffixCount: Int
  var provenance: NGramModel.Provenance
  private var description: [UInt8]

  var tokensOffset: Int { Self.aligned(Self.headerBytes + description.count) }
  var suffixesOffset: Int { Self.aligned(tokensOffset + tokenWidth * tokenCount) }
  private var checksumOffset: Int { Self.aligned(suffixesOffset + 4 * suffixCount) }

  /// The layout of a file that is to be written.
  init(
    vocabularyCount: Int, fingerprint: UInt64, tokenCount: Int, suffixCount: Int,
    provenance: NGramModel.Provenance
  ) throws {
    tokenWidth = vocabularyCount < Int(UInt16.max) ? 2 : 4
    self.vocabularyCount = vocabularyCount
    self.fingerprint = fingerprint
    self.tokenCount = tokenCount
    self.suffixCount = suffixCount
    var provenance = provenance
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var encoded = try encoder.encode(provenance)
    // Names of very many files are the only thing that can be this long.
    while encoded.count > Self.mostDescriptionBytes, !provenance.files.isEmpty {
      provenance.files.removeLast(max(provenance.files.count / 2, 1))
      encoded = try encoder.encode(provenance)
    }
    guard encoded.count <= Self.mostDescriptionBytes else {
      throw NGramModelError.damaged(
        file: "description", reason: "source, licence and command have \(encoded.count) bytes")
    }
    self.provenance = provenance
    description = Array(encoded)
  }

  /// Reads and checks the layout and the checksum of a file.
  /// - Throws: `NGramModelError`.
  init(reading bytes: UnsafeRawBufferPointer, path: String) throws {
    func damage(_ reason: String) -> NGramModelError { .damaged(file: path, reason: reason) }
    guard bytes.count >= Self.magic.count, bytes.prefix(Self.magic.count).elementsEqual(Self.magic)
    else { throw NGramModelError.notAModel(file: path) }
    guard bytes.count >= Self.headerBytes + 8 else { throw damage("the file ends in its header") }
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    let counts = (word(32), word(40))
    let sizes = word(8)
    let descriptionCount = Int(sizes & 0xFFFF_FFFF)
    tokenWidth = Int(sizes >> 32)
    guard tokenWidth == 2 || tokenWidth == 4 else {
      throw damage("tokens of \(tokenWidth) bytes, expected 2 or 4")
    }
    guard descriptionCount <= Self.mostDescriptionBytes,
      Self.headerBytes + descriptionCount <= bytes.count
    else { throw damage("a description of \(descriptionCount) bytes") }
    vocabularyCount = Int(word(16) & 0x7FFF_FFFF)
    fingerprint = word(24)
    guard counts.0 <= UInt64(Self.mostTokens), counts.1 <= counts.0 else {
      throw damage("\(counts.0) tokens and \(counts.1) suffixes")
    }
    (tokenCount, suffixCount) = (Int(counts.0), Int(counts.1))
    description = Array(bytes[Self.headerBytes..<Self.headerBytes + descriptionCount])
    let decoded = try? JSONDecoder().decode(NGramModel.Provenance.self, from: Data(description))
    guard let decoded else { throw damage("the description of the text cannot be read") }
    provenance = decoded
    guard bytes.count == checksumOffset + 8 else {
      throw damage("the file has \(bytes.count) bytes, expected \(checksumOffset + 8)")
    }
    guard word(checksumOffset) == Self.checksum(UnsafeRawBufferPointer(rebasing: bytes.dropLast(8)))
    else { throw damage("the checksum at the end does not fit") }
  }

  /// Everything before the tokens, as it stands in the file.
  var header: [UInt8] {
    var bytes = Self.magic
    func append(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
    append(UInt64(description.count) | UInt64(tokenWidth) << 32)
    append(UInt64(vocabularyCount))
    append(fingerprint)
    append(UInt64(tokenCount))
    append(UInt64(suffixCount))
    bytes += description
    return bytes + [UInt8](repeating: 0, count: tokensOffset - bytes.count)
  }

  static func aligned(_ offset: Int) -> Int { (offset + 7) / 8 * 8 }

  /// FNV-1a over words of 8 bytes.
  /// - Parameter bytes: a multiple of 8.
  static func checksum(
    _ bytes: UnsafeRawBufferPointer, from start: UInt64 = 0xCBF2_9CE4_8422_2325
  ) -> UInt64 {
    var hash = start
    for offset in stride(from: 0, through: bytes.count - 8, by: 8) {
      let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      hash = (hash ^ word) &* 0x0000_0100_0000_01B3
      hash ^= hash >> 29
    }
    return hash
  }
}
