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
}
