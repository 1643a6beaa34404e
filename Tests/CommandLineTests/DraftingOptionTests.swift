import Foundation
import TestSupport
import Testing

@Suite("options of drafters")
struct DraftingOptionTests {
  private func answer(_ arguments: String...) async throws -> [String: Any] {
    _ = try await DefaultModel.url()
    let question = ["run", "Count from one to ten in words.", "--json", "--max-tokens", "24"]
    let outcome = try await ForetokenProcess(question + arguments).finish()
    #expect(outcome.status == 0, "\(outcome.error)")
    return try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
  }

  @Test("--prediction saves passes and changes no token")
  func prediction() async throws {
    let plain = try await answer("--speculate", "none")
    let text = try #require(plain["text"] as? String)
    let file = try TemporaryFile(Data(text.utf8))
    let found = try await answer(
      "--speculate", "input", "--prediction", file.path, "--planner", "off")
    #expect(found["tokens"] as? [Int] == plain["tokens"] as? [Int])
    #expect(try #require(found["forwards"] as? Int) < (plain["forwards"] as? Int ?? 0))
    #expect(found["method"] as? String == "aggressive-decoding")
  }

  @Test("--draft-memory is written, read again, and refused when it is something else")
  func memory() async throws {
    let folder = try TestSupport.TemporaryFolder()
    let path = folder.path("table")
    let options = ["--speculate", "recycling", "--draft-memory"]
    let first = try await answer(options[0], options[1], options[2], path)
    #expect(FileManager.default.fileExists(atPath: path))
    let second = try await answer(options[0], options[1], options[2], path)
    #expect(first["tokens"] as? [Int] == second["tokens"] as? [Int])
    try folder.write(Array("something else".utf8), to: "table")
    let refused = try await ForetokenProcess(["run", "x"] + options + [path]).finish()
    #expect(refused.status == 1)
    #expect(refused.error.contains("table: at byte 0: is not a table of Token Recycling"))
  }

  @Test("a prediction that cannot be read is named")
  func missing() async throws {
    let outcome = try await ForetokenProcess.run(
      "run", "x", "--speculate", "input", "--prediction", "no/such/draft.txt")
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("no/such/draft.txt"))
  }
}
