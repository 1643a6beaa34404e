import CKernels
import Compute
import TestSupport
import Testing

@Suite("Products with a choice of rows", .serialized)
struct RowSubsetTests {
  private func activations(_ count: Int, using generator: inout SeededGenerator) -> [Float] {
    (0..<count).map { _ in Float.random(in: -2...2, using: &generator) }
  }

  @Test(
    "chosen groups have the bits of the whole product, in any order and split",
    arguments: TensorType.all, availableISAs)
  func groups(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 41)
    let columns = type.columns(10)
    let bytes = type.randomMatrix(rows: 61, columns: columns, using: &generator)
    let packed = try PackedMatrix(type, rows: 61, columns: columns, bytes: bytes)
    for batch in [1, 3, 20] {
      let x = activations(batch * columns, using: &generator)
      let whole = try packed.multiply(x, batch: batch)
      for count in [1, 2, 3, packed.groups] {
        let chosen = Array((0..<packed.groups).shuffled(using: &generator).prefix(count))
        let split = Int.random(in: 0...count, using: &generator)
        let compact = try packed.multiply(x, batch: batch, groups: chosen, split: split)
        for b in 0..<batch {
          for (place, group) in chosen.enumerated() {
            for row in group * 8..<min(group * 8 + 8, packed.rows) {
              let value = compact[b * count * 8 + place * 8 + row % 8]
              #expect(value.bitPattern == whole[b * packed.rows + row].bitPattern)
            }
          }
        }
      }
    }
  }

  @Test(
    "candidates come back in the caller's order, the same for 1, 2 and 3 threads",
    arguments: [TensorType.all[5], TensorType.all[3], TensorType.all[1]])
  func candidates(type: TensorType) throws {
    var generator = SeededGenerator(seed: 42)
    let rows = 203
    let columns = type.columns(8)
    let bytes = type.randomMatrix(rows: rows, columns: columns, using: &generator)
    let x = activations(2 * columns, using: &generator)
    let whole = try PackedMatrix(type, rows: rows, columns: columns, bytes: bytes)
      .multiply(x, batch: 2)
    for workers in 1...3 {
      let pool = try WorkerPool(workers: workers)
      let packed = try bytes.withUnsafeBytes { source in
        try Compute.PackedMatrix(
          type: type.type, rows: rows, columns: columns, source: source, reference: false,
          pool: pool)
      }
      for chosen in [[202, 0, 7, 8, 0, 150], [5], [], Array((0..<rows).reversed())] {
        let subset = try RowSubset(chosen, of: rows)
        let values = try packed.multiply(x, batch: 2, subset: subset, pool: pool)
        let expected = (0..<2).flatMap { b in chosen.map { whole[b * rows + $0] } }
        #expect(values.bits == expected.bits, "\(workers) threads")
      }
    }
  }

  @Test("only the groups of chosen rows are read")
  func groupsOfRows() throws {
    let subset = try RowSubset([17, 3, 16, 802], of: 803)
    #expect(subset.groups == [0, 2, 100])
    #expect(subset.places == [9, 3, 8, 18])
    #expect(subset.width == 24)
    #expect(throws: RowSubsetError.self) { try RowSubset([1, 803], of: 803) }
    #expect(throws: RowSubsetError.self) { try RowSubset([-1], of: 803) }
  }
}
