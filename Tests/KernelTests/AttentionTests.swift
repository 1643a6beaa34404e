import CKernels
import TestSupport
import Testing

private let types = [FT_KV_F32, FT_KV_F16, FT_KV_Q8]
private let instructionSets = [FT_ISA_PORTABLE, FT_ISA_AVX2, FT_ISA_AVX512VNNI, FT_ISA_NEON]
  .filter { ft_isa_available($0) }

/// Runs `body` on one thread under each instruction set of the machine.
private func underEveryInstructionSet(_ body: (ft_isa) throws -> Void) throws {
  for isa in instructionSets {
    try #require(ft_isa_force(isa))
    defer { ft_isa_unforce() }
    try body(isa)
  }
}

/// A random tree: parents before children, -1 the prefix.
private func tree(_ count: Int, seed: UInt64) -> [Int] {
  var random = SeededGenerator(seed: seed)
  return (0..<count).map { node in
    random.next() % 3 > 0 ? node - 1 : Int(random.next() % UInt64(node + 1)) - 1
  }
}

private func bits(_ rows: [[Float]]) -> [[UInt32]] { rows.map { $0.map(\.bitPattern) } }

@Suite("Attention")
struct AttentionTests {
  @Test("keys and values are stored to the precision of their type", arguments: [0, 1, 2])
  func storage(index: Int) throws {
    for dimension in [Int32(8), 24, 64, 256] {
      let fixture = AttentionFixture(
        .init(kv: types[index], dimension: dimension), prefix: 70, parents: [], seed: 1)
      // Values lie in -1...1: rounding to 0, 2^-12 or half of a step of 1/127.
      #expect(fixture.storedError <= [0, 0x1p-12, 0.501 / 127][index], "dimension \(dimension)")
    }
  }

  @Test("one huge dimension of a q8 key takes no precision from those 32 away")
  func hugeDimension() throws {
    var shape = ft_attention_shape()
    shape.heads = 1
    shape.kv_heads = 1
    shape.head_dimension = 128
    shape.kv_type = FT_KV_Q8
    shape.page_head_stride = ft_kv_head_bytes(FT_KV_Q8, 128)
    shape.page_layer_stride = shape.page_head_stride
    let page = UnsafeMutablePointer<UInt8>.allocate(capacity: shape.page_layer_stride)
    defer { page.deallocate() }
    let pages: [UnsafeMutablePointer<UInt8>?] = [page]
    var random = SeededGenerator(seed: 8)
    var key = (0..<128).map { _ in random.unit() - 0.5 }
    key[40] = 300
    var found = key
    var value = key
    ft_kv_write(&shape, pages, 0, 9, key, key)
    ft_kv_read(&shape, pages, 0, 9, &found, &value)
    for d in 0..<128 where d / 32 != 1 {
      #expect(abs(found[d] - key[d]) < 0.51 * 0.5 / 127, "dimension \(d)")
    }
    #expect(abs(found[40] - 300) < 1e-3)
  }

  /// Shapes of heads: one to one, and groups that share keys and values.
  static let shapes: [(keyValueHeads: Int32, group: Int32, dimension: Int32)] = [
    (1, 1, 8), (2, 1, 24), (3, 3, 64), (1, 7, 64), (2, 6, 128), (1, 4, 256), (1, 12, 16),
  ]

  @Test(
    "attention is that of double precision over what is stored",
    arguments: [0, 1, 2], shapes.indices)
  func matchesReference(type: Int, shape: Int) throws {
    let (keyValueHeads, group, dimension) = Self.shapes[shape]
    // Floats round sums of up to 256 terms. q8 rounds queries of up to 2 to 15 bits: 2^-15 at most
    // and half of that times 1/√3 on average, times keys of 1/√3 and √dimension of them, is the
    // error of a score and so of the weights; four deviations of it.
    let rounding = 4 * 0x1p-16 / 3 * Double(dimension).squareRoot() * 2
    let tolerance = types[type] == FT_KV_Q8 ? rounding + 1e-5 : 1e-5
    try underEveryInstructionSet { isa in
      for (index, positions) in [0, 1, 15, 63, 64, 255, 256, 517].enumerated() {
        let fixture = AttentionFixture(
          .init(
            kv: types[type], keyValueHeads: keyValueHeads, group: group, dimension: dimension,
            window: index % 3 == 2 ? 37 : 0),
          prefix: positions, parents: tree(6, seed: UInt64(index)), seed: UInt64(index))
        let found = fixture.attend(Array(0..<6))
        for node in 0..<6 {
          let error = zip(found[node], fixture.reference(node)).map { abs(Double($0) - $1) }.max()
          #expect(error ?? 1 < tolerance, "\(isa), prefix \(positions), node \(node)")
        }
      }
    }
  }

  @Test(
    "a row's bits do not depend on the rows beside it, threads or the split by spans",
    arguments: [0, 1, 2], shapes.indices)
  func invariance(type: Int, shape: Int) throws {
    let (keyValueHeads, group, dimension) = Self.shapes[shape]
    for (index, positions) in [0, 7, 250, 256, 700].enumerated() {
      let fixture = AttentionFixture(
        .init(
          kv: types[type], keyValueHeads: keyValueHeads, group: group, dimension: dimension,
          window: index % 2 == 1 ? 100 : 0),
        prefix: positions, parents: tree(40, seed: UInt64(shape)), seed: UInt64(index))
      let alone = bits((0..<40).flatMap { fixture.attend([$0]) })
      #expect(bits(fixture.attend(Array(0..<40))) == alone, "all at once, prefix \(positions)")
      let some = [39, 3, 17, 4, 8]
      let expected = some.map { alone[$0] }
      for threads in [Int32(1), 2, 3] {
        for split in [false, true] {
          let found = bits(fixture.attend(some, threads: threads, split: split))
          #expect(found == expected, "\(threads) threads, split \(split), prefix \(positions)")
        }
      }
    }
  }

  @Test("the same holds under every instruction set", arguments: [0, 1, 2])
  func invarianceOfInstructionSets(type: Int) throws {
    let fixture = AttentionFixture(
      .init(kv: types[type], keyValueHeads: 1, group: 5, dimension: 40), prefix: 300,
      parents: tree(30, seed: 9), seed: 3)
    try underEveryInstructionSet { isa in
      let alone = bits((0..<30).flatMap { fixture.attend([$0], split: false) })
      #expect(bits(fixture.attend(Array(0..<30))) == alone, "\(isa)")
    }
  }

  @Test("integer sums do not overflow at their largest")
  func extremes() throws {
    // All keys, values and queries at full scale with one sign: the largest sums there are.
    for dimension in [Int32(64), 512, 1024] {
      let fixture = AttentionFixture(
        .init(kv: FT_KV_Q8, dimension: dimension), prefix: 256, parents: [-1], seed: 5,
        constant: 1)
      try underEveryInstructionSet { isa in
        let found = fixture.attend([0])[0]
        for value in found { #expect(abs(value - 1) < 1e-3, "\(isa), dimension \(dimension)") }
      }
    }
  }
}
