import Foretoken
import Foundation
import Testing

@Suite("foretoken run --decode cautious, entropy-adaptive, adadec, superposed; foretoken train")
struct AdaptiveDecodingTests {
  private func run(_ arguments: [String]) async throws -> ForetokenProcess.Outcome {
    _ = try await DefaultModel.url()
    return try await ForetokenProcess(arguments).finish()
  }

  private func object(_ arguments: [String]) async throws -> [String: Any] {
    let outcome = try await run(arguments + ["--json"])
    #expect(outcome.status == 0, "\(outcome.error)")
    return try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
  }

  private func figures(_ object: [String: Any]) throws -> [String: Double] {
    try #require(object["figures"] as? [String: Double])
  }

  private let raw = ["run", "--raw", "The river flows through", "--max-tokens", "24"]

  @Test("n-grams are counted, recorded with source and licence, and filter superposed texts")
  func superposed() async throws {
    let folder = try TemporaryFolder()
    let text = folder.path + "/rivers.txt"
    try "The river flows through the city. The river flows through the old town and the valley."
      .write(toFile: text, atomically: true, encoding: .utf8)
    let file = folder.path + "/rivers.ngrams"
    let made = try await object(
      ["train", "ngrams", text, "-o", file, "--source", "made up", "--licence", "CC0-1.0"])
    #expect(made["licence"] as? String == "CC0-1.0" && made["files"] as? Int == 1)
    let tokens = try #require(made["tokens"] as? Int)
    #expect((15...25).contains(tokens))
    let bytes = String(decoding: try Data(contentsOf: URL(filePath: file)), as: Unicode.ASCII.self)
    #expect(bytes.contains("train ngrams") && bytes.contains(#""source":"made up""#))
    let found = try await object(
      raw + ["--decode", "superposed", "--drafts", "2", "--draft-length", "4", "--ngrams", file])
    let candidates = try #require(found["candidates"] as? [[String: Any]])
    let texts = candidates.compactMap { $0["text"] as? String }
    #expect(!texts.isEmpty && texts.allSatisfy { $0.hasPrefix(" the") })
    #expect(found["guarantee"] as? String == "approximate")
    // A prompt, three steps, and one pass that scores.
    #expect(found["forwards"] as? Int == 5)
    let shown = try await run(raw + ["--decode", "superposed", "--draft-length", "4"])
    #expect(shown.text.contains("--- text 3 of 3"))
    let other = try await run(raw + ["--decode", "superposed", "--ngrams", text])
    #expect(other.status == 1 && other.error.contains("foretoken train ngrams"))
  }

  @Test("cautious decoding reports its trials, adadec its pauses, both at their extremes are plain")
  func uncertainty() async throws {
    let sampled = raw + ["--temperature", "1", "--seed", "3"]
    let plain = try await object(sampled + ["--speculate", "none"])
    let cautious = try await object(sampled + ["--decode", "cautious"])
    #expect(try figures(cautious)["rounds", default: 0] > 0)
    let unmoved = try await object(
      sampled + ["--decode", "cautious", "--trials-above", "inf"])
    #expect(unmoved["tokens"] as? [Int] == plain["tokens"] as? [Int])
    let greedy = try await object(raw)
    let pausing = try await object(raw + ["--decode", "adadec", "--pause-entropy", "1"])
    #expect(try figures(pausing)["pauses", default: 0] > 0)
    let never = try await object(raw + ["--decode", "adadec", "--pause-entropy", "inf"])
    #expect(never["tokens"] as? [Int] == greedy["tokens"] as? [Int])
  }

  @Test("a second model writes in turns, and without one the error says how to load it")
  func twoModels() async throws {
    let url = try await DefaultModel.url()
    let found = try await object(
      raw + [
        "--decode", "entropy-adaptive", "--draft", url.path, "--switch-entropy", "1.5",
        "--switch-after", "2",
      ])
    let greedy = try await object(raw)
    // The same model twice: whoever writes, the text is that of greedy decoding.
    #expect(found["tokens"] as? [Int] == greedy["tokens"] as? [Int])
    #expect(try figures(found)["switches", default: 0] > 0)
    let share = try figures(found)["large_share", default: 0]
    #expect(share > 0 && share < 1)
    let missing = try await run(raw + ["--decode", "entropy-adaptive"])
    #expect(missing.status == 2 && missing.error.contains("--draft"))
  }

  @Test("a threshold is learnt from pairs, written with its provenance, and used")
  func threshold() async throws {
    let folder = try TemporaryFolder()
    let data = folder.path + "/pairs.jsonl"
    let pairs = (1...6).map { number in
      #"{"prompt": "Count to \#(number + 3): 1, 2,", "solution": " 3, 4, 5. Then the "#
        + #"\#(number)th goose said that purple rivers run uphill, 7, 8, 9, 10."}"#
    }
    try pairs.joined(separator: "\n").write(toFile: data, atomically: true, encoding: .utf8)
    let file = folder.path + "/threshold.json"
    let learnt = try await object(
      [
        "train", "adadec-threshold", "--data", data, "--source", "made up", "--licence",
        "CC0-1.0", "-o", file,
      ])
    let nats = try #require(learnt["threshold_nats"] as? Double)
    #expect(nats >= 0 && (learnt["slope"] as? Double ?? 0) < 0)
    let training = try #require(learnt["training"] as? [String: Any])
    #expect(training["licence"] as? String == "CC0-1.0" && training["items"] as? Int == 6)
    let used = try await object(raw + ["--decode", "adadec", "--pause-threshold", file])
    #expect(abs(try figures(used)["pause_entropy", default: -1] - nats) < 0.001)
  }
}
