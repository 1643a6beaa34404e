/// The GPT-2 alphabet that writes every byte as one printable Unicode scalar.
///
/// Printable bytes of Latin-1 stand for themselves; the other 68 are numbered upwards from U+0100
/// in byte order (a space is `Ġ`, a line feed is `Ċ`). Vocabularies of byte-level BPE are stored in
/// this alphabet (Radford et al. 2019).
enum ByteAlphabet {
  /// The byte of each scalar below U+0144; `notInAlphabet` elsewhere.
  private static let byteOfScalar: [UInt16] = {
    var table = [UInt16](repeating: notInAlphabet, count: 0x144)
    var next = 0x100
    for byte in 0...255 {
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
        table[byte] = UInt16(byte)
      default:
        table[next] = UInt16(byte)
        next += 1
      }
    }
    return table
  }()

  private static let notInAlphabet = UInt16.max

  /// Calls `emit` with the raw bytes of `range` of `text`, which is written in the alphabet.
  /// What is not in the alphabet is passed on as it stands.
  @inline(__always)
  static func decode(_ text: [UInt8], _ range: Range<Int>, emit: (UInt8) -> Void) {
    let table = byteOfScalar
    var position = range.lowerBound
    while position < range.upperBound {
      let lead = text[position]
      var width = 1
      var scalar = Int(lead)
      // Only two-byte sequences can hold the scalars 0x80 to 0x143 of the alphabet.
      if lead >= 0xC2, lead <= 0xC5, position + 1 < range.upperBound {
        scalar = Int(lead & 0x1F) << 6 | Int(text[position + 1] & 0x3F)
        width = 2
      } else if lead >= 0x80 {
        scalar = table.count
      }
      let byte = scalar < table.count ? table[scalar] : notInAlphabet
      if byte != notInAlphabet {
        emit(UInt8(truncatingIfNeeded: byte))
      } else {
        for offset in 0..<width { emit(text[position + offset]) }
      }
      position += width
    }
  }
}
