import Testing

@testable import Constraints

@Suite("scalar sets")
struct ScalarSetTests {
  @Test("a set and its inverse hold every scalar once, and no surrogate")
  func inverse() {
    let set = ScalarSet([0x41...0x5A, 0xD000...0xE000, 0x61...0x61])
    for scalar: UInt32 in [0, 0x40, 0x41, 0x5B, 0x61, 0xD7FF, 0xE000, 0xE001, 0x10FFFF] {
      #expect(set.contains(scalar) != set.inverted.contains(scalar))
    }
    for scalar: UInt32 in [0xD800, 0xDFFF] {
      #expect(!set.contains(scalar) && !set.inverted.contains(scalar))
    }
    #expect(set.inverted.inverted == set)
  }

  @Test("sets in UTF-8 are exactly the bytes of their scalars")
  func utf8() throws {
    let sets = [
      ScalarSet([0x00...0x10FFFF]), ScalarSet([0x7F...0x800]), ScalarSet([0x3042...0x3093]),
      ScalarSet([0xFFFF...0x10000]), ScalarSet([0x80...0x80, 0x1F600...0x1F64F]),
    ]
    for set in sets {
      var accepted = 0
      for scalar in stride(from: UInt32(0), through: 0x10FFFF, by: 61) {
        guard let character = Unicode.Scalar(scalar) else { continue }
        let bytes = Array(String(Character(character)).utf8)
        let isMember = UTF8Ranges.sequences(set).contains { sequence in
          sequence.count == bytes.count
            && zip(sequence, bytes).allSatisfy { ($0.low...$0.high).contains($1) }
        }
        #expect(isMember == set.contains(scalar))
        if isMember { accepted += 1 }
      }
      #expect(accepted > 0 || set.ranges.count > 1 || set.ranges[0].count < 200)
    }
  }
}
