import Foundation
import TestSupport
import Testing

@Suite("options of searches")
struct SearchOptionTests {
  private func outcome(_ arguments: [String]) async throws -> ForetokenProcess.Outcome {
    _ = try await DefaultModel.url()
    return try await ForetokenProcess(["run"] + arguments).finish()
  }

  private func object(_ arguments: String...) async throws -> [String: Any] {
    let outcome = try await outcome(arguments + ["--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
  }

  @Test("beams list their texts with scores, best first")
  func beams() async throws {
    let found = try await object(
      "Name a colour.", "--decode", "beam", "--beams", "3", "--n", "3", "--max-tokens", "8")
    let candidates = try #require(found["candidates"] as? [[String: Any]])
    #expect(candidates.count == 3)
    let scores = candidates.compactMap { $0["score"] as? Double }
    #expect(scores == scores.sorted(by: >) && scores.count == 3)
    #expect(candidates[0]["text"] as? String == found["text"] as? String)
    #expect(candidates[0]["tokens"] as? [Int] == found["tokens"] as? [Int])
    #expect(found["method"] as? String == "beam-search")
    let listed = try await outcome([
      "Name a colour.", "--decode", "beam", "--beams", "3", "--n", "2", "--max-tokens", "8",
    ])
    #expect(listed.text.hasPrefix("--- text 1 of 2, score -"))
    #expect(listed.text.contains("--- text 2 of 2"))
    #expect(listed.text.contains(found["text"] as? String ?? "?"))
  }

  @Test("groups of beams are told apart")
  func groups() async throws {
    let found = try await object(
      "Name a colour.", "--decode", "diverse-beam", "--beams", "2", "--n", "2", "--diversity", "5",
      "--max-tokens", "6")
    let candidates = try #require(found["candidates"] as? [[String: Any]])
    #expect(Set(candidates.compactMap { $0["group"] as? Int }) == [0, 1])
    #expect(Set(candidates.compactMap { $0["text"] as? String }).count == 2)
  }

  @Test("contrastive search without a penalty writes what plain decoding writes")
  func contrastive() async throws {
    let plain = try await object("Name a river.", "--max-tokens", "12")
    let found = try await object(
      "Name a river.", "--max-tokens", "12", "--decode", "contrastive", "--penalty-alpha", "0")
    #expect(found["tokens"] as? [Int] == plain["tokens"] as? [Int])
    #expect(found["candidates"] == nil)
  }

  @Test("an extracted answer is a part of the passage, and its place is told")
  func extraction() async throws {
    let passage = "The bridge was built in 1911 by the engineer Clara Holm. It is green."
    let file = try TemporaryFile(Data(passage.utf8))
    let arguments = ["Who built the bridge?", "--decode", "exact-extract", "--passage", file.path]
    let outcome = try await outcome(arguments)
    let answer = outcome.text.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(!answer.isEmpty && passage.contains(answer), "\(outcome.error)")
    #expect(outcome.error.contains("of the passage, probability"))
    let found = try await object(arguments[0], arguments[1], arguments[2], arguments[3], file.path)
    let candidates = try #require(found["candidates"] as? [[String: Any]])
    let range = try #require(candidates.first?["passage_range"] as? [Int])
    #expect(String(Array(passage)[range[0]..<range[1]]) == answer)
  }
}
