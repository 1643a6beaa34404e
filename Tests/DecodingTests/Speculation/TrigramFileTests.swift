import Foundation
import Foretoken
import TestSupport
import Testing

@testable import Decoding

extension RealModelTests {
  @Test("a table survives its file, and works with its own vocabulary only")
  func trigramFile() async throws {
    let tokenizer = try await LoadedModels.shared.model("smollm2-135m").tokenizer
    let folder = try TemporaryFolder()
    let corpus = URL(filePath: try folder.write(Array(Self.corpus.utf8), to: "corpus.txt"))
    let table = try TrigramTable(corpus: [corpus, corpus], tokenizer: tokenizer)
    #expect(table.pairCount > 20)
    let file = URL(filePath: folder.path("table"))
    try table.save(to: file, tokenizer: tokenizer)
    let read = try TrigramTable(contentsOf: file, tokenizer: tokenizer)
    #expect(read.pairCount == table.pairCount)
    try read.checkInvariants()
    for ((key, expected), (readKey, found)) in zip(table.contents, read.contents) {
      #expect(key == readKey && Set(expected.map(\.token)) == Set(found.map(\.token)))
      for (left, right) in zip(expected, found) { #expect(abs(left.weight - right.weight) < 1e-4) }
    }
    // Saving again replaces the file and leaves nothing else behind.
    try read.save(to: file, tokenizer: tokenizer)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        == ["corpus.txt", "table"])
    let other = try Tokenizer(
      GGUFFile(path: try await TestModels.path("qwen2.5-coder-0.5b").path(percentEncoded: false)))
    #expect(throws: TrigramTableError.self) {
      try TrigramTable(contentsOf: file, tokenizer: other)
    }
  }

  @Test("files that are cut off, altered, crafted or of another kind are refused")
  func hostileTrigramFiles() async throws {
    let tokenizer = try await LoadedModels.shared.model("smollm2-135m").tokenizer
    let folder = try TemporaryFolder()
    let file = URL(filePath: folder.path("table"))
    let table = TrigramTable(counting: [[5, 6, 7, 5, 6, 8], [9, 10, 11]])
    try table.save(to: file, tokenizer: tokenizer)
    let good = Array(try Data(contentsOf: file))
    func error(_ bytes: [UInt8], signs: Bool = false) throws -> TrigramTableError? {
      var bytes = bytes
      if signs {
        let hash = TrigramTable.hash(bytes[..<(bytes.count - 8)])
        withUnsafeBytes(of: hash.littleEndian) {
          bytes.replaceSubrange((bytes.count - 8)..., with: $0)
        }
      }
      let path = try folder.write(bytes, to: "hostile")
      return #expect(throws: TrigramTableError.self) {
        try TrigramTable(contentsOf: URL(filePath: path), tokenizer: tokenizer)
      }
    }
    for length in 0..<good.count { _ = try error(Array(good[..<length])) }
    for index in good.indices {
      var bytes = good
      bytes[index] ^= 0x41
      _ = try error(bytes)
    }
    // With a checksum that fits: successors 0 and 255 of a limit, pairs beyond all bounds, tokens
    // beyond the vocabulary, a weight beyond the largest, a successor twice, pairs out of
    // order.
    for (index, value) in [
      (12, 0), (12, 255), (24, 0xFF), (31, 0x7F), (34, 0xFF), (36, 0xFF), (40, 0), (40, 200),
      (43, 0xFF), (46, 0xFF), (47, 7), (57, 4),
    ] as [(Int, UInt8)] {
      var bytes = good
      bytes[index] = value
      if bytes != good { _ = try error(bytes, signs: true) }
    }
    #expect(
      try error(Array("FTTRIGR2 something else".utf8))?.description.contains("not a table") == true)
    #expect(try error(good + good)?.description.contains("checksum") == true)
    for missing in [folder.url, URL(filePath: folder.path("none")), URL(filePath: "/dev/zero")] {
      #expect(throws: TrigramTableError.self) {
        try TrigramTable(contentsOf: missing, tokenizer: tokenizer)
      }
    }
    #expect(throws: TrigramTableError.self) {
      try table.save(to: URL(filePath: folder.path("no/such/folder")), tokenizer: tokenizer)
    }
    #expect(throws: TrigramTableError.self) {
      try TrigramTable(corpus: [folder.url], tokenizer: tokenizer)
    }
  }

  private static let corpus = """
    The quick brown fox jumps over the lazy dog. The quick brown fox sleeps. The lazy dog sleeps,
    and the quick brown fox jumps over the lazy dog again.
    """
}
