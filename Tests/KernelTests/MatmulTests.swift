import CKernels
import Foundation
import TestSupport
import Testing

// Instruction sets are forced for the whole process, so these tests run one after the other.
@Suite("Matrix kernels", .serialized)
struct MatmulTests {
  /// Integers that the quantiser keeps as they are: every 32 columns hold a 127.
  private func exactActivations(_ count: Int, using generator: inout SeededGenerator) -> [Float] {
    (0..<count).map { $0 % 32 == 5 ? 127 : Float(Int.random(in: -127...127, using: &generator)) }
  }

  private func randomActivations(_ count: Int, using generator: inout SeededGenerator) -> [Float] {
    (0..<count).map { _ in
      Float.random(in: -1...1, using: &generator) + Float.random(in: -1...1, using: &generator)
    }
  }

  private func matrix(
    _ type: TensorType, rows: Int, blocks: Int, seed: UInt64, reference: Bool = false,
    quants: UInt8? = nil
  ) throws -> PackedMatrix {
    var generator = SeededGenerator(seed: seed)
    let columns = type.columns(blocks)
    let bytes = type.randomMatrix(rows: rows, columns: columns, using: &generator, quants: quants)
    return try PackedMatrix(type, rows: rows, columns: columns, bytes: bytes, reference: reference)
  }

  /// Root mean square of the error over the root mean square of the outputs' norms.
  private func relativeError(_ packed: PackedMatrix, _ x: [Float], batch: Int) throws -> Double {
    let y = try packed.multiply(x, batch: batch)
    var errors = 0.0
    var norms = 0.0
    for b in 0..<batch {
      let input = x[b * packed.columns..<(b + 1) * packed.columns]
      for row in 0..<packed.rows {
        let (value, norm) = packed.reference(input, row: row)
        errors += pow(Double(y[b * packed.rows + row]) - value, 2)
        norms += norm * norm
      }
    }
    // Weights that are all zero must give zeros.
    return norms > 0 ? (errors / norms).squareRoot() : errors
  }

  @Test(
    "activations that need no rounding give the double-precision product",
    arguments: TensorType.all, availableISAs)
  func exactProducts(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 1)
    for round in 0..<10 {
      let rows = Int.random(in: 1...41, using: &generator)
      let blocks = Int.random(in: 1...40, using: &generator)
      let batch = Int.random(in: 1...64, using: &generator)
      let packed = try matrix(type, rows: rows, blocks: blocks, seed: UInt64(100 + round))
      let columns = packed.columns
      // A file's columns may be odd for float types: the last 32 still need their 127.
      var x = exactActivations(batch * columns, using: &generator)
      for b in 0..<batch {
        for c in stride(from: 0, to: columns, by: 32) { x[b * columns + c] = 127 }
      }
      // 12-bit scales are off by up to 1/4094 of the largest; all else is exact but for float sums.
      let tolerance = type.roundsScales ? 2e-3 : 1e-5
      #expect(try relativeError(packed, x, batch: batch) < tolerance)
    }
  }

  @Test(
    "rounded activations are off by no more than their quantisation step explains",
    arguments: TensorType.integer, availableISAs)
  func roundedProducts(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 2)
    let packed = try matrix(type, rows: 64, blocks: 19, seed: 7)
    let columns = packed.columns
    let batch = 8
    let x = randomActivations(batch * columns, using: &generator)
    let y = try packed.multiply(x, batch: batch)
    var errors = 0.0
    var expected = 0.0
    for b in 0..<batch {
      let input = x[b * columns..<(b + 1) * columns]
      // Rounding to a step is off by step / sqrt(12) in the root mean square.
      let step = Double(input.map(abs).max() ?? 0) / 127
      for row in 0..<packed.rows {
        let own = packed.weights[row * columns..<(row + 1) * columns]
        expected += own.reduce(0) { $0 + Double($1) * Double($1) } * step * step / 12
        let value = packed.reference(input, row: row).value
        errors += pow(Double(y[b * packed.rows + row]) - value, 2)
      }
    }
    #expect((errors / expected).squareRoot() < 1.25)
    #expect(errors > 0)
  }

  @Test(
    "the reference layout multiplies float activations without rounding them",
    arguments: TensorType.all, availableISAs)
  func referenceLayout(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 3)
    let packed = try matrix(type, rows: 21, blocks: 45, seed: 8, reference: true)
    #expect(packed.matrix.layout == FT_LAYOUT_ROWS)
    let x = randomActivations(7 * packed.columns, using: &generator)
    #expect(try relativeError(packed, x, batch: 7) < 2e-6)
  }

  @Test(
    "a row has the same bits in every batch", arguments: TensorType.all, availableISAs)
  func batchInvariance(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 4)
    let packed = try matrix(type, rows: 27, blocks: 18, seed: 9)
    let columns = packed.columns
    let x = randomActivations(512 * columns, using: &generator)
    let alone = try (0..<512).flatMap { row in
      try packed.multiply(Array(x[row * columns..<(row + 1) * columns]), batch: 1)
    }.bits
    #expect(!alone.contains(PackedMatrix.untouched.bitPattern))
    for batch in Array(1...64) + [100, 512] {
      let y = try packed.multiply(Array(x[..<(batch * columns)]), batch: batch)
      #expect(y.bits == Array(alone[..<(batch * packed.rows)]), "batch \(batch)")
    }
    // Activations laid out for more rows than are used.
    for (batch, capacity) in [(1, 512), (5, 16), (17, 40), (33, 512)] {
      let y = try packed.multiply(Array(x[..<(batch * columns)]), batch: batch, capacity: capacity)
      #expect(y.bits == Array(alone[..<(batch * packed.rows)]), "batch \(batch) of \(capacity)")
    }
  }

  @Test(
    "the order of the rows, the split of the work and the place in memory change no bit",
    arguments: TensorType.all, availableISAs)
  func placementInvariance(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 5)
    let packed = try matrix(type, rows: 43, blocks: 11, seed: 10)
    let columns = packed.columns
    for batch in [1, 20] {
      let x = randomActivations(batch * columns, using: &generator)
      let y = try packed.multiply(x, batch: batch)
      for split in 0...packed.groups {
        #expect(try packed.multiply(x, batch: batch, splits: [split]).bits == y.bits)
      }
      #expect(try packed.multiply(x, batch: batch, splits: [1, 2, 4]).bits == y.bits)
      for offset in 1...3 {
        #expect(try packed.multiply(x, batch: batch, offset: offset).bits == y.bits)
      }
      #expect(try packed.multiply(x, batch: batch, outStride: packed.rows + 5).bits == y.bits)

      let reversed = (0..<batch).reversed().flatMap { x[$0 * columns..<($0 + 1) * columns] }
      let z = try packed.multiply(reversed, batch: batch)
      let restored = (0..<batch).reversed().flatMap { z[$0 * packed.rows..<($0 + 1) * packed.rows] }
      #expect(restored.bits == y.bits)
    }
  }

  @Test("a matrix packed from any byte offset is the same", arguments: TensorType.all)
  func sourceAlignment(type: TensorType) throws {
    var generator = SeededGenerator(seed: 6)
    let columns = type.columns(9)
    let bytes = type.randomMatrix(rows: 11, columns: columns, using: &generator)
    let x = randomActivations(columns, using: &generator)
    let first = try PackedMatrix(type, rows: 11, columns: columns, bytes: bytes)
      .multiply(x, batch: 1)
    for slack in [1, 2, 3, 31] {
      let other = try PackedMatrix(type, rows: 11, columns: columns, bytes: bytes, slack: slack)
      #expect(try other.multiply(x, batch: 1).bits == first.bits)
    }
  }

  @Test("all instruction sets give the same bits", arguments: TensorType.all)
  func instructionSets(type: TensorType) throws {
    var generator = SeededGenerator(seed: 11)
    for (rows, blocks, batch) in [(8, 8, 1), (19, 18, 2), (40, 27, 7), (9, 48, 33), (24, 3, 70)] {
      let packed = try matrix(type, rows: rows, blocks: blocks, seed: UInt64(rows))
      let x = randomActivations(batch * packed.columns, using: &generator)
      var results: [[UInt32]] = []
      for isa in availableISAs {
        try #require(ft_isa_force(ft_isa(rawValue: isa)))
        defer { ft_isa_unforce() }
        results.append(try packed.multiply(x, batch: batch).bits)
      }
      for other in results.dropFirst() { #expect(other == results[0]) }
    }
  }

  @Test(
    "every number of rows and blocks gives what the portable kernels give",
    arguments: TensorType.all, availableISAs)
  func everySmallShape(type: TensorType, isa: UInt32) throws {
    var generator = SeededGenerator(seed: 16)
    // Among these are matrices whose last byte is the last before the guard page, and every number
    // of groups that a kernel of several at a time may be left with.
    for rows in [1, 7, 8, 9, 16, 17, 24, 33, 40] {
      for blocks in [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17] {
        let packed = try matrix(type, rows: rows, blocks: blocks, seed: UInt64(rows * blocks))
        let batch = 1 + (rows + blocks) % 10
        let x = randomActivations(batch * packed.columns, using: &generator)
        let results = try [FT_ISA_PORTABLE.rawValue, isa].map { isa in
          try #require(ft_isa_force(ft_isa(rawValue: isa)))
          defer { ft_isa_unforce() }
          return try packed.multiply(x, batch: batch).bits
        }
        #expect(results[0] == results[1], "\(rows) rows, \(blocks) blocks, batch \(batch)")
      }
    }
  }

  @Test(
    "the largest quants and activations do not overflow",
    arguments: TensorType.integer, availableISAs)
  func extremes(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    let patterns: [(Int) -> Float] = [
      { _ in 127 }, { _ in -127 }, { $0 % 2 == 0 ? 127 : -127 }, { $0 % 32 < 16 ? 127 : -127 },
    ]
    for quants: UInt8 in [0xFF, 0x00, 0x7F, 0x80] {
      let packed = try matrix(type, rows: 16, blocks: 16, seed: 12, quants: quants)
      let x = patterns.flatMap { (0..<packed.columns).map($0) }
      // All terms have one sign, so the scales' errors add up over the columns of a block.
      let tolerance = type.roundsScales ? 2e-3 * 32.0.squareRoot() : 1e-4
      #expect(try relativeError(packed, x, batch: patterns.count) < tolerance)
    }
  }

  @Test(
    "a row of zeros gives zeros, and a row with an infinity or NaN spoils no other",
    arguments: TensorType.all, availableISAs)
  func specialInputs(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 13)
    let packed = try matrix(type, rows: 10, blocks: 20, seed: 14)
    let columns = packed.columns
    let ordinary = randomActivations(columns, using: &generator)
    let zeros = [Float](repeating: 0, count: columns)
    let tiny = [Float](repeating: Float(bitPattern: 714), count: columns)  // subnormal
    let alone = try packed.multiply(ordinary, batch: 1)
    for damage in [Float.nan, .infinity, -.infinity, -Float.nan] {
      var damaged = ordinary
      damaged[columns / 2] = damage
      let y = try packed.multiply(zeros + damaged + ordinary + tiny, batch: 4)
      #expect(y[..<10].allSatisfy { $0 == 0 })
      #expect(y[10..<20].allSatisfy { !$0.isFinite })
      #expect(y[20..<30].bits == alone.bits)
      #expect(y[30...].allSatisfy { abs($0) < 1e-30 })
    }
  }

  @Test("damaged scales spoil their own row only", arguments: TensorType.integer, availableISAs)
  func damagedScales(type: TensorType, isa: UInt32) throws {
    try #require(ft_isa_force(ft_isa(rawValue: isa)))
    defer { ft_isa_unforce() }
    var generator = SeededGenerator(seed: 15)
    let columns = type.columns(16)
    let x = randomActivations(columns, using: &generator)
    let bytes = type.randomMatrix(rows: 8, columns: columns, using: &generator)
    let sound = try PackedMatrix(type, rows: 8, columns: columns, bytes: bytes)
      .multiply(x, batch: 1)
    for half: UInt16 in [0x7C00, 0xFC00, 0x7E01, 0xFFFF, 0x7BFF, 0x0001] {
      var damaged = bytes
      for offset in type.halfOffsets {
        damaged[bytes.count / 8 * 3 + offset] = UInt8(half & 255)
        damaged[bytes.count / 8 * 3 + offset + 1] = UInt8(half >> 8)
      }
      let y = try PackedMatrix(type, rows: 8, columns: columns, bytes: damaged)
        .multiply(x, batch: 1)
      for row in 0..<8 where row != 3 { #expect(y[row].bitPattern == sound[row].bitPattern) }
      if type.roundsScales { #expect(y[3].isFinite) }
    }
  }
}
