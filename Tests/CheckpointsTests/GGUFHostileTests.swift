import Foundation
import TestSupport
import Testing

@testable import Checkpoints

/// Files that lie about themselves.
@Suite struct GGUFHostileTests {
  struct Lie: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let kind: CheckpointError.Kind
    /// A word of the message.
    let word: String
    let bytes: [UInt8]
  }

  private static func lie(
    _ name: String, _ kind: CheckpointError.Kind, _ word: String, data: Int = 64,
    _ build: (inout GGUFBytes) -> Void
  ) -> Lie {
    var bytes = GGUFBytes()
    build(&bytes)
    return Lie(testDescription: name, kind: kind, word: word, bytes: bytes.file(data: data))
  }

  private static func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: value)
    return bytes
  }

  private static let huge = UInt64.max

  static let lies: [Lie] = [
    lie("wrong magic", .wrongFormat, "GGUF") { $0.magic = Array("GGML".utf8) },
    lie("big-endian version", .unsupported, "big-endian") { $0.version = UInt32(3).byteSwapped },
    lie("big-endian magic", .unsupported, "big-endian") { $0.magic = Array("FUGG".utf8) },
    lie("version 1", .unsupported, "version 1") { $0.version = 1 },
    lie("version 4", .unsupported, "version 4") { $0.version = 4 },
    lie("tensor count", .truncated, "tensor count") { $0.tensorCount = huge },
    lie("tensor count that fits no file", .truncated, "tensor count") { $0.tensorCount = 1 << 40 },
    lie("metadata count", .truncated, "metadata count") { $0.pairCount = huge },
    lie("metadata missing", .malformed, "is 0 bytes long") { $0.pairCount = 2 },
    lie("value type", .malformed, "value type 13") { $0.pair("k", type: 13, [0]) },
    lie("key twice", .malformed, "twice") {
      $0.pair("k", type: 0, [1])
      $0.pair("k", type: 0, [2])
    },
    lie("truth value", .malformed, "truth value 2") { $0.pair("k", type: 7, [2]) },
    lie("string length", .truncated, "length") { $0.pair("k", type: 8, little(huge)) },
    lie("string length beyond the end", .truncated, "length") {
      $0.pair("k", type: 8, little(UInt64(10_000)))
    },
    lie("array count", .truncated, "element count") {
      $0.pair("k", type: 9, little(UInt32(4)) + little(huge))
    },
    lie("array of empty strings that cannot be there", .truncated, "element count") {
      $0.pair("k", type: 9, little(UInt32(8)) + little(UInt64(1 << 33)))
    },
    lie("arrays without end", .malformed, "deeper") {
      let level = little(UInt32(9)) + little(UInt64(1))
      $0.pair("k", type: 9, Array(repeatElement(level, count: 1000).joined()))
    },
    lie("alignment of zero", .malformed, "alignment") {
      $0.pair("general.alignment", type: 4, little(UInt32(0)))
    },
    lie("alignment of 24", .malformed, "alignment") {
      $0.pair("general.alignment", type: 4, little(UInt32(24)))
    },
    lie("alignment of 2 GB", .malformed, "alignment") {
      $0.pair("general.alignment", type: 4, little(UInt32(1) << 31))
    },
    lie("alignment that is text", .mismatched, "alignment") {
      $0.pair("general.alignment", type: 8, little(UInt64(1)) + [65])
    },
    lie("five dimensions", .malformed, "5 dimensions") {
      $0.tensor("t", shape: [1, 1, 1, 1, 1], type: 0, offset: 0)
    },
    lie("dimension of zero", .malformed, "dimension 1") {
      $0.tensor("t", shape: [4, 0], type: 0, offset: 0)
    },
    lie("product overflow", .malformed, "overflow") {
      $0.tensor("t", shape: [1 << 32, 1 << 32], type: 0, offset: 0)
    },
    lie("byte count overflow", .malformed, "overflow") {
      $0.tensor("t", shape: [1 << 62], type: 0, offset: 0)
    },
    lie("dimension above Int.max", .malformed, "dimension 0") {
      $0.tensor("t", shape: [huge], type: 0, offset: 0)
    },
    lie("half a block", .malformed, "multiple of") {
      $0.tensor("t", shape: [48], type: 8, offset: 0)
    },
    lie("tensor beyond the end", .truncated, "reaches beyond") {
      $0.tensor("t", shape: [17], type: 0, offset: 0)
    },
    lie("offset beyond the end", .truncated, "reaches beyond") {
      $0.tensor("t", shape: [1], type: 0, offset: 1 << 40)
    },
    lie("offset near 2^64", .truncated, "reaches beyond") {
      $0.tensor("t", shape: [1], type: 0, offset: huge - 31)
    },
    lie("misaligned offset", .malformed, "alignment") {
      $0.tensor("t", shape: [1], type: 0, offset: 4)
    },
    lie("tensor twice", .malformed, "twice") {
      $0.tensor("t", shape: [1], type: 0, offset: 0)
      $0.tensor("t", shape: [1], type: 0, offset: 32)
    },
    lie("overlapping tensors", .malformed, "overlap") {
      $0.tensor("a", shape: [16], type: 0, offset: 0)
      $0.tensor("b", shape: [8], type: 0, offset: 32)
    },
  ]

  @Test("a lie is an error that says what and where", arguments: lies)
  func refused(lie: Lie) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(lie.bytes, to: "lie.gguf")
    let error = #expect(throws: CheckpointError.self) { try GGUFFile(path: path) }
    #expect(error?.kind == lie.kind, "\(String(describing: error))")
    #expect(error?.message.contains(lie.word) == true, "\(String(describing: error))")
    #expect(error?.description.hasPrefix(path) == true)
  }

  @Test("a file cut anywhere is an error, never a trap")
  func cutAnywhere() throws {
    let folder = try TemporaryFolder()
    var header = GGUFBytes()
    header.pair("name", type: 8, Self.little(UInt64(3)) + Array("abc".utf8))
    header.pair(
      "list", type: 9, Self.little(UInt32(4)) + Self.little(UInt64(2)) + [0, 0, 0, 0, 1, 0, 0, 0])
    header.tensor("t", shape: [8], type: 0, offset: 0)
    let whole = header.file(data: 32)
    #expect(throws: Never.self) { try GGUFFile(path: folder.write(whole, to: "whole.gguf")) }
    for count in 0..<whole.count {
      let path = try folder.write(whole.prefix(count), to: "cut.gguf")
      let error = #expect(throws: CheckpointError.self, "\(count)") { try GGUFFile(path: path) }
      #expect(error.map { [.truncated, .wrongFormat].contains($0.kind) } == true, "\(count)")
    }
  }

  @Test("folders, devices and absent files are refused with their reason")
  func notAFile() throws {
    let folder = try TemporaryFolder()
    for path in [folder.url.path, folder.path("absent.gguf"), "/dev/zero"] {
      let error = #expect(throws: CheckpointError.self) { try GGUFFile(path: path) }
      #expect(error?.kind == .inaccessible)
    }
  }
}
