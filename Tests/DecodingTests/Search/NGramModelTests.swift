import Checkpoints
import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding

@Suite struct NGramModelTests {
  private static let texts = ["abcabcabd", "abcd", "d", "", "bcabcabca"]

  private let folder: TemporaryFolder
  private let toy: ToyModel
  private let url: URL

  init() throws {
    folder = try TemporaryFolder()
    toy = try ToyModel(letters: 6)
    url = folder.url.appending(path: "text.ngrams")
  }

  private func build(_ texts: [String] = Self.texts) throws -> NGramModel {
    var builder = NGramBuilder(tokenizer: toy.tokenizer)
    for (index, text) in texts.enumerated() {
      try builder.add(text, name: "folder/\(index).txt")
    }
    try builder.write(
      to: url, source: "made up", license: "CC0-1.0", command: "train", model: "toy")
    return try NGramModel(contentsOf: url, tokenizer: toy.tokenizer)
  }

  private func tokens(_ text: String) -> [Int32] {
    toy.tokenizer.encode(text, addSpecial: false, parseSpecial: false)
  }

  @Test("counts are those of looking at every place of the text")
  func counts() throws {
    let model = try build()
    let documents = Self.texts.map(tokens)
    func naive(_ run: [Int32]) -> Int {
      documents.reduce(0) { sum, document in
        guard document.count >= run.count else { return sum }
        return sum
          + (0...(document.count - run.count)).count {
            !run.isEmpty && Array(document[$0..<$0 + run.count]) == run
          }
      }
    }
    #expect(model.tokenCount == documents.reduce(0) { $0 + $1.count })
    #expect(model.count(of: []) == model.tokenCount)
    var runs: [[Int32]] = [[]]
    for length in 1...NGramModel.maximumOrder {
      runs = runs.flatMap { run in (0..<5 as Range<Int32>).map { run + [$0] } }
      for run in runs where length < 5 || run[0] == 0 {
        #expect(model.count(of: run) == naive(run))
      }
    }
    let after = model.counts(of: [0, 1, 2, 3, 5], after: tokens("ab"))
    #expect(after.context == naive(tokens("ab")))
    #expect(after.tokens == [0, 0, naive(tokens("abc")), naive(tokens("abd")), 0])
    #expect(model.count(of: [0, 1, 2, 0, 1, 2, 0]) == 0)
    #expect(model.count(of: [-1]) == 0 && model.count(of: [.max]) == 0)
    #expect(model.counts(of: [1], after: [0, 1, 2, 0, 1, 2]).context == 0)
  }

  @Test("the file says where its text is from, and names no folders")
  func provenance() throws {
    let found = try build().provenance
    #expect(found.source == "made up" && found.license == "CC0-1.0" && found.model == "toy")
    #expect(found.files == ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"])
    #expect(found.bytes == Self.texts.reduce(0) { $0 + $1.utf8.count })
    let text = String(decoding: try Data(contentsOf: url).prefix(400), as: UTF8.self)
    #expect(text.contains(#""licence":"CC0-1.0""#))
  }

  @Test("a file of another vocabulary, of another kind or of no text is refused")
  func otherFiles() throws {
    _ = try build()
    let other = try ToyModel(letters: 7)
    #expect(throws: NGramModelError.self) {
      try NGramModel(contentsOf: url, tokenizer: other.tokenizer)
    }
    let text = URL(filePath: try folder.write("not one at all, whatever it is".utf8, to: "x"))
    #expect(throws: NGramModelError.notAModel(file: text.path)) {
      try NGramModel(contentsOf: text, tokenizer: toy.tokenizer)
    }
    #expect(throws: CheckpointError.self) {
      try NGramModel(contentsOf: folder.url, tokenizer: toy.tokenizer)
    }
    #expect(throws: NGramModelError.emptyText) { try build(["", ""]) }
  }

  @Test("a file that is cut off or changed anywhere is refused")
  func damage() throws {
    _ = try build()
    let whole = [UInt8](try Data(contentsOf: url))
    var cases = (0..<whole.count).map { Array(whole.prefix($0)) } + [whole + [0]]
    for index in whole.indices {
      var changed = whole
      changed[index] ^= 0x41
      cases.append(changed)
    }
    for bytes in cases {
      let file = URL(filePath: try folder.write(bytes, to: "damaged"))
      #expect(throws: NGramModelError.self) {
        try NGramModel(contentsOf: file, tokenizer: toy.tokenizer)
      }
    }
  }

  @Test("a hostile file with a right checksum gives wrong counts at worst")
  func hostile() throws {
    _ = try build()
    let whole = [UInt8](try Data(contentsOf: url))
    var random = SeededGenerator(seed: 1)
    var opened = 0
    for _ in 0..<700 {
      var bytes = whole
      for _ in 0..<1 + random.next() % 6 {
        let index = Int(random.next() % UInt64(whole.count - 8))
        bytes[index] = random.next() % 3 == 0 ? 0xFF : UInt8(truncatingIfNeeded: random.next())
      }
      let sum = bytes.dropLast(8).withUnsafeBytes { NGramLayout.checksum($0) }
      bytes.replaceSubrange(
        (bytes.count - 8)..., with: withUnsafeBytes(of: sum.littleEndian) { Array($0) })
      let file = URL(filePath: try folder.write(bytes, to: "hostile"))
      guard let model = try? NGramModel(contentsOf: file, tokenizer: toy.tokenizer) else {
        continue
      }
      opened += 1
      for run in [[0], [0, 1, 2], [0, 1, 2, 0, 1, 2], [5]] as [[Int32]] {
        #expect((0...model.tokenCount).contains(model.count(of: run)))
      }
    }
    #expect(opened > 100)
  }

  @Test("interpolation adds up the orders whose context the text has")
  func interpolation() throws {
    let model = try build()
    let weights = [0.1, 0.2, 0.3]
    let found = NGramInterpolation(model: model, weights: weights)
      .probabilities(of: tokens("acd"), after: tokens("ab"))
    // Runs of two: b is followed by c seven times and by d once; of three: ab by c five times and
    // by d once. Runs of four have no context here.
    func share(_ context: String, _ next: String) -> Double {
      Double(model.count(of: tokens(context + next))) / Double(model.count(of: tokens(context)))
    }
    #expect(found[0] == 0)
    let expected = ["c", "d"].map { 0.1 * share("b", $0) + 0.2 * share("ab", $0) }
    #expect(abs(found[1] - expected[0]) < 1e-12)
    #expect(abs(found[2] - expected[1]) < 1e-12)
    // A context that the text does not have adds nothing.
    let unknown = NGramInterpolation(model: model, weights: weights)
      .probabilities(of: tokens("c"), after: tokens("db"))
    let single = 0.1 * share("b", "c")
    #expect(abs(unknown[0] - single) < 1e-12)
  }
}
