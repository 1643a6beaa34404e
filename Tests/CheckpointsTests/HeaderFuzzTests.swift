import Foundation
import TestSupport
import Testing

@testable import Checkpoints

/// Thousands of damaged headers: each must open or be refused, without a trap, a hang or much memory.
@Suite struct HeaderFuzzTests {
  private static let rounds = 1500

  private static func ggufSeed() throws -> [UInt8] {
    let folder = try TemporaryFolder()
    var writer = GGUFWriter()
    writer.set("general.architecture", .string("llama"))
    writer.set("count", .uint32(3))
    writer.set("wide", .float64(0.5))
    writer.set("flag", .bool(true))
    writer.set("tokens", .array(GGUFArray((0..<20).map { "token\($0)" })))
    writer.set("scores", .array(GGUFArray([0.5, 1.5] as [Float])))
    let nested = GGUFArray([.array(GGUFArray([Int32(1)]))], elementType: .array)
    if let nested { writer.set("nested", .array(nested)) }
    try writer.addTensor("a", shape: [32, 2], values: [Float](repeating: 1, count: 64))
    try writer.addTensor(
      "b", type: .q8_0, shape: [64], encoded: [UInt8](repeating: 3, count: 68))
    try writer.addTensor(
      "c", type: .q6_K, shape: [256], encoded: [UInt8](repeating: 9, count: 210))
    try writer.write(to: folder.path("seed"))
    return Array(FileManager.default.contents(atPath: folder.path("seed")) ?? Data())
  }

  private static func safetensorsSeed() throws -> [UInt8] {
    let folder = try TemporaryFolder()
    var writer = SafetensorsWriter()
    writer.metadata = ["format": "pt", "note": "a\"b\\c"]
    try writer.addTensor("w", shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
    try writer.addTensor("ids", type: .int64, shape: [1], bytes: [1, 0, 0, 0, 0, 0, 0, 0])
    try writer.write(to: folder.path("seed"))
    return Array(FileManager.default.contents(atPath: folder.path("seed")) ?? Data())
  }

  /// One to three of: a flipped bit, a cut, an inflated 32- or 64-bit field, a piece moved elsewhere.
  private static func mutate(
    _ seed: [UInt8], _ generator: inout SeededGenerator, within span: Int
  ) -> [UInt8] {
    var bytes = seed
    for _ in 0...Int.random(in: 0..<3, using: &generator) {
      let limit = min(span, bytes.count)
      guard limit > 16 else { break }
      let position = Int.random(in: 0..<limit - 8, using: &generator)
      switch Int.random(in: 0..<8, using: &generator) {
      case 0...2: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 3: bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
      case 4, 5:
        let values: [UInt64] = [0, .max, .max - 31, 1 << 63, 1 << 40, 0xFFFF_FFFF, 0x7FFF_FFFF]
        var field: [UInt8] = []
        field.append(littleEndian: values[Int.random(in: 0..<values.count, using: &generator)])
        let width = Bool.random(using: &generator) ? 8 : 4
        bytes.replaceSubrange(position..<position + width, with: field.prefix(width))
      default:
        let source = Int.random(in: 0..<limit - 8, using: &generator)
        let piece = bytes[source..<min(bytes.count, source + 40)]
        bytes.insert(contentsOf: piece, at: position)
      }
    }
    return bytes
  }

  /// Highest resident size of this process so far in bytes; nil where the system does not say.
  private static func peakMemory() -> Int? {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
    else { return nil }
    return line.split(separator: " ").compactMap { Int($0) }.first.map { $0 * 1024 }
  }

  /// Opens `path` and reads everything that a user of the file could ask for.
  private static func readAll(gguf path: String) throws {
    let file = try GGUFFile(path: path)
    for key in file.metadata.keys {
      guard case .array(let array) = file.metadata[key] else { continue }
      _ = array.integers()
      _ = array.floats()
      _ = array.strings()?.contiguous()
      if array.count < 1000 { _ = array.values() }
    }
    for tensor in file.tensors where tensor.count < 1 << 20 { _ = try? file.dequantize(tensor) }
  }

  private static func readAll(safetensors path: String) throws {
    let file = try SafetensorsFile(path: path)
    for tensor in file.tensors {
      _ = try? file.floats(of: tensor)
      _ = try? file.integers(of: tensor)
    }
  }

  /// Feeds `rounds` mutants of `seed` to `read`, and returns how many of them were refused.
  private func refusals(
    of seed: [UInt8], rounds: Int, seedNumber: UInt64, span: Int = .max,
    padding: Int = 0, read: (String) throws -> Void
  ) throws -> Int {
    var generator = SeededGenerator(seed: seedNumber)
    let folder = try TemporaryFolder()
    var refused = 0
    for _ in 0..<rounds {
      let path = try folder.write(Self.mutate(seed, &generator, within: span), to: "mutant")
      if padding > 0 { _ = truncate(path, off_t(padding)) }
      do {
        try read(path)
      } catch is CheckpointError {
        refused += 1
      }
    }
    return refused
  }

  private func expectBounded(_ before: Int?, _ after: Int?) {
    guard let before, let after else { return }
    // Other tests run in this process at the same time; a hostile count would ask for far more.
    #expect(after - before < 512 << 20)
  }

  @Test("damaged GGUF headers are read or refused")
  func gguf() throws {
    let before = Self.peakMemory()
    let seed = try Self.ggufSeed()
    #expect(throws: Never.self) {
      try self.refusals(of: seed, rounds: 0, seedNumber: 0) { _ in }
    }
    let refused = try refusals(of: seed, rounds: Self.rounds, seedNumber: 1) {
      try Self.readAll(gguf: $0)
    }
    #expect(refused > Self.rounds / 2 && refused < Self.rounds)
    expectBounded(before, Self.peakMemory())
  }

  @Test("damaged safetensors headers are read or refused")
  func safetensors() throws {
    let before = Self.peakMemory()
    let refused = try refusals(
      of: Self.safetensorsSeed(), rounds: Self.rounds, seedNumber: 2
    ) { try Self.readAll(safetensors: $0) }
    #expect(refused > Self.rounds / 2 && refused < Self.rounds)
    expectBounded(before, Self.peakMemory())
  }

  @Test("damaged headers of a real model are read or refused")
  func realModel() async throws {
    let before = Self.peakMemory()
    let model = try GGUFFile(path: await TestModels.path("smollm2-135m").path)
    let header = Array(model.file.bytes[..<model.dataOffset])
    // The first kilobytes hold counts, keys and short values; the tensors' data is a hole.
    let refused = try refusals(
      of: header, rounds: 200, seedNumber: 3, span: 2048, padding: model.file.count
    ) { _ = try GGUFFile(path: $0) }
    #expect(refused > 50)
    expectBounded(before, Self.peakMemory())
  }
}
