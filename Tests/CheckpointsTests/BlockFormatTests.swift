import Checkpoints
import Foundation
import TestSupport
import Testing

/// Every quantisation format, on blocks made by hand and against the reference implementation.
@Suite struct BlockFormatTests {
  private let half: [UInt8] = [0x00, 0x38]  // 0.5 as binary16
  private let quarter: [UInt8] = [0x00, 0x34]  // 0.25
  /// Byte i holds i in its low and 15 - i in its high nibble.
  private let ramp: [UInt8] = (0..<16).map { UInt8($0 | (15 - $0) << 4) }

  /// Values of `block` after a way through a GGUF file.
  private func values(_ type: ElementType, _ block: [UInt8], count: Int) throws -> [Float] {
    let folder = try TemporaryFolder()
    var writer = GGUFWriter()
    try writer.addTensor("blocks", type: type, shape: [count], encoded: block)
    try writer.write(to: folder.path("blocks.gguf"))
    let file = try GGUFFile(path: folder.path("blocks.gguf"))
    return try file.dequantize(file.tensor(named: "blocks"))
  }

  private func expect(
    _ type: ElementType, _ block: [UInt8], count: Int, _ expected: (Int) -> Float,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let found = try values(type, block, count: count)
    #expect(found == (0..<count).map(expected), sourceLocation: sourceLocation)
  }

  @Test("Q4_0: sixteenths around eight, low nibbles first")
  func q4_0() throws {
    try expect(.q4_0, half + ramp, count: 32) { i in
      i < 16 ? 0.5 * Float(i - 8) : 0.5 * Float(15 - (i - 16) - 8)
    }
  }

  @Test("Q4_1: scale and minimum")
  func q4_1() throws {
    try expect(.q4_1, half + quarter + ramp, count: 32) { i in
      0.5 * Float(i < 16 ? i : 31 - i) + 0.25
    }
  }

  @Test("Q5_0: the fifth bits lie apart")
  func q5_0() throws {
    try expect(.q5_0, half + [0, 0, 0xFF, 0xFF] + ramp, count: 32) { i in
      0.5 * Float((i < 16 ? i : 16 + 31 - i) - 16)
    }
  }

  @Test("Q5_1: fifth bits, scale and minimum")
  func q5_1() throws {
    try expect(.q5_1, half + quarter + [0xFF, 0xFF, 0, 0] + ramp, count: 32) { i in
      0.5 * Float(i < 16 ? 16 + i : 31 - i) + 0.25
    }
  }

  @Test("Q8_0: signed bytes")
  func q8_0() throws {
    let quants = (0..<32).map { UInt8(bitPattern: Int8(8 * ($0 - 16))) }
    try expect(.q8_0, half + quants, count: 32) { 0.5 * Float(8 * ($0 - 16)) }
  }

  @Test("IQ4_NL: nibbles choose from sixteen uneven values")
  func iq4_NL() throws {
    let table: [Float] = [
      -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
    ]
    try expect(.iq4_NL, half + ramp, count: 32) { 0.5 * table[$0 < 16 ? $0 : 31 - $0] }
  }

  @Test("Q2_K: sixteen groups with a 4-bit scale and minimum each")
  func q2_K() throws {
    let scales = (0..<16).map { UInt8($0 | (15 - $0) << 4) }
    // 0xE4 holds the values 3, 2, 1, 0 from the top bits down: quarter p of each half is all p.
    let block = scales + [UInt8](repeating: 0xE4, count: 64) + half + quarter
    try expect(.q2_K, block, count: 256) { i in
      let group = i / 16
      return 0.5 * Float(group) * Float(i / 32 % 4) - 0.25 * Float(15 - group)
    }
  }

  @Test("Q3_K: split 6-bit scales and an inverted third bit")
  func q3_K() throws {
    let raw = (0..<16).map { 24 + $0 }  // scale = raw - 32
    let low = (0..<8).map { UInt8(raw[$0] & 15 | (raw[$0 + 8] & 15) << 4) }
    let high = (0..<4).map { j in
      UInt8((0..<4).reduce(0) { $0 | (raw[4 * $1 + j] >> 4) << (2 * $1) })
    }
    // Third bits of the second half only: the first half counts from -4.
    let thirdBits = [UInt8](repeating: 0xF0, count: 32)
    let block = thirdBits + [UInt8](repeating: 0xE4, count: 64) + low + high + half
    try expect(.q3_K, block, count: 256) { i in
      0.5 * Float(i / 16 - 8) * Float(i / 32 % 4 - (i < 128 ? 4 : 0))
    }
  }

  /// Eight scales (10, 11, 12, 13, 44 ... 47) and minima (20 ... 23, 54 ... 57) in twelve bytes.
  private var splitScales: [UInt8] {
    let scales = [10, 11, 12, 13, 44, 45, 46, 47]
    let minima = [20, 21, 22, 23, 54, 55, 56, 57]
    let first = (0..<4).map { UInt8(scales[$0] | (scales[$0 + 4] >> 4) << 6) }
    let second = (0..<4).map { UInt8(minima[$0] | (minima[$0 + 4] >> 4) << 6) }
    let third = (4..<8).map { UInt8(scales[$0] & 15 | (minima[$0] & 15) << 4) }
    return first + second + third
  }

  private func scaleAndMinimum(_ group: Int) -> (Float, Float) {
    group < 4 ? (Float(10 + group), Float(20 + group)) : (Float(40 + group), Float(50 + group))
  }

  @Test("Q4_K: eight groups with a 6-bit scale and minimum each")
  func q4_K() throws {
    let block = half + quarter + splitScales + [UInt8](repeating: 0x3A, count: 128)
    try expect(.q4_K, block, count: 256) { i in
      let (scale, minimum) = scaleAndMinimum(i / 32)
      return 0.5 * scale * (i / 32 % 2 == 0 ? 10 : 3) - 0.25 * minimum
    }
  }

  @Test("Q5_K: as Q4_K with a fifth bit")
  func q5_K() throws {
    let fifthBits = [UInt8](repeating: 0b1010_1010, count: 32)  // odd groups
    let block = half + quarter + splitScales + fifthBits + [UInt8](repeating: 0x3A, count: 128)
    try expect(.q5_K, block, count: 256) { i in
      let (scale, minimum) = scaleAndMinimum(i / 32)
      return 0.5 * scale * (i / 32 % 2 == 0 ? 10 : 3 + 16) - 0.25 * minimum
    }
  }

  @Test("Q6_K: sixteen groups with a signed scale each")
  func q6_K() throws {
    let scales = (0..<16).map { UInt8(bitPattern: Int8($0 - 8)) }
    let block =
      [UInt8](repeating: 0x5C, count: 128) + [UInt8](repeating: 0xE4, count: 64) + scales + half
    try expect(.q6_K, block, count: 256) { i in
      let quarter = i / 32 % 4
      return 0.5 * Float(i / 16 - 8) * Float((quarter < 2 ? 12 : 5) + 16 * quarter - 32)
    }
  }

  @Test("F16 is exact at its edges: subnormals, largest value, infinities, NaN, minus zero")
  func f16() throws {
    let patterns: [UInt16] = [
      0x3C00, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x8000, 0x7E00,
    ]
    let bytes = patterns.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    let found = try values(.f16, bytes, count: patterns.count)
    let expected: [Float] = [
      1, 0x1p-24, -1023 * 0x1p-24, 0x1p-14, 65504, .infinity, -.infinity, -0.0,
    ]
    #expect(found.dropLast().map(\.bitPattern) == expected.map(\.bitPattern))
    #expect(found.last?.isNaN == true)
  }

  @Test("BF16 is the upper half of a float")
  func bf16() throws {
    let patterns: [UInt16] = [0x3F80, 0xC040, 0x0001, 0xFF80]
    let bytes = patterns.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    let found = try values(.bf16, bytes, count: patterns.count)
    #expect(found == [1, -3, 0x1p-133, -.infinity])
  }

  struct BlockGolden: Decodable {
    struct Format: Decodable {
      let type: String
      let blocks: String
      let value_bits: [UInt32]
    }
    let formats: [Format]
  }

  @Test("random blocks of every quantised format equal the reference bit for bit")
  func randomBlocks() throws {
    let golden = try Goldens.load(BlockGolden.self, "block_formats")
    let quantised = ElementType.supported.filter { $0.blockElements != 1 }
    #expect(Set(golden.formats.map(\.type)) == Set(quantised.map(\.description)))
    for format in golden.formats {
      let type = try #require(quantised.first { $0.description == format.type })
      let digits = Array(format.blocks.utf8)
      let bytes = try stride(from: 0, to: digits.count, by: 2).map {
        try #require(UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16))
      }
      let found = try values(type, bytes, count: format.value_bits.count)
      #expect(found.map(\.bitPattern) == format.value_bits, "\(format.type)")
    }
  }
}
