import CKernels
import Compute
import TestSupport
import Testing

@Suite("Largest values")
struct LargestValuesTests {
  private func naive(_ values: [Float], _ count: Int) -> [Int] {
    let order = values.indices.sorted { a, b in
      values[a] == values[b] ? a < b : values[a] > values[b]
    }
    return Array(order.prefix(count))
  }

  private func largest(_ values: [Float], _ count: Int) -> [Int]? {
    values.withUnsafeBufferPointer { LargestValues.indices(of: $0, count: count)?.map { Int($0) } }
  }

  /// Shapes that a shortcut would get wrong: ties, order, and mostly forbidden tokens.
  static let patterns: [@Sendable (Int, inout SeededGenerator) -> Float] = [
    { _, generator in Float.random(in: -1...1, using: &generator) },
    { _, generator in Float(Int.random(in: 0...3, using: &generator)) },
    { index, _ in Float(index) },
    { index, _ in Float(-index) },
    { _, _ in 0 },
    { index, _ in index % 2 == 0 ? 0 : -0.0 },
    { _, generator in Bool.random(using: &generator) ? -.infinity : .infinity },
    { index, _ in index % 7 == 3 ? Float(index % 5) : -.infinity },
  ]

  @Test("the largest values come in order, the lower index first among equals")
  func agreesWithSorting() {
    var generator = SeededGenerator(seed: 31)
    for (number, pattern) in Self.patterns.enumerated() {
      for length in [1, 2, 15, 16, 17, 63, 64, 65, 127, 1000, 49_152] {
        let values = (0..<length).map { pattern($0, &generator) }
        for count in [1, 2, 40, length / 2, length, length + 3] {
          #expect(
            largest(values, count) == naive(values, count),
            "pattern \(number), \(count) of \(length)")
        }
      }
    }
  }

  @Test("blocks grow with a vocabulary beyond 4096 of the smallest")
  func hugeVocabulary() {
    var generator = SeededGenerator(seed: 32)
    let values = (0..<300_001).map { _ in Float.random(in: 0...1, using: &generator) }
    #expect(largest(values, 100) == naive(values, 100))
    #expect(largest(values, 1) == [naive(values, 1)[0]])
  }

  @Test("the single largest value is the one that argmax finds")
  func agreesWithArgmax() {
    var generator = SeededGenerator(seed: 33)
    for length in [1, 7, 8, 9, 333, 5000] {
      let values = (0..<length).map { _ in Float(Int.random(in: -9...9, using: &generator)) }
      #expect(largest(values, 1) == [Int(ft_argmax(values, Int32(length)))])
    }
  }

  @Test("a NaN anywhere is reported")
  func notANumber() {
    for place in [0, 1, 15, 16, 63, 64, 998, 999] {
      var values = [Float](repeating: 1, count: 1000)
      values[place] = .nan
      #expect(largest(values, 5) == nil)
      values[place] = -.nan
      #expect(largest(values, 5) == nil)
    }
  }

  @Test("nothing is read or written beyond the ends")
  func guardPages() throws {
    for length in [1, 5, 16, 64, 100, 4097] {
      let values = try GuardedBuffer(bytes: 4 * length)
      let floats = values.pointer.assumingMemoryBound(to: Float.self)
      for index in 0..<length { floats[index] = Float(index * 7919 % 101) }
      for count in [1, 3, length] where count <= length {
        let indices = try GuardedBuffer(bytes: 4 * count)
        let written = ft_top_k(
          floats, Int32(length), Int32(count), indices.pointer.assumingMemoryBound(to: Int32.self))
        #expect(written == Int32(count))
      }
    }
  }

  @Test("no values, or none asked for, give none")
  func nothing() {
    #expect(largest([], 3) == [])
    #expect(largest([1, 2], 0) == [])
    #expect(largest([1, 2], -1) == [])
  }
}
