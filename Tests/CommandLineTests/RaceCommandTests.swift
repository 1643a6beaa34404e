import Foundation
import Testing

@Suite("foretoken race")
struct RaceCommandTests {
  private static let repetition = String(repeating: "red green blue yellow ", count: 8)
  /// Without the planner, whose decisions depend on the time that passes take.
  private let race = [
    "race", "--raw", repetition, "--between", "copy,none", "--planner", "off", "--max-tokens", "32",
    "--ignore-eos", "--repeats", "2",
  ]

  @Test("two methods that promise the same bytes give them, and the figures are of both")
  func agreement() async throws {
    _ = try await DefaultModel.url()
    for sampling in [[], ["--temperature", "0.8", "--seed", "9"]] {
      let outcome = try await ForetokenProcess(race + sampling + ["--json"]).finish()
      #expect(outcome.status == 0)
      let result = try #require(
        try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
      #expect(result["bytes_agree"] as? Bool == true)
      #expect(result["must_agree"] as? Bool == true)
      #expect((result["ratio"] as? Double ?? 0) > 0)
      let both = try #require(result["between"] as? [[String: Any]])
      #expect(both.map { $0["name"] as? String } == ["copy", "none"])
      #expect(both[0]["tokens"] as? [Int] == both[1]["tokens"] as? [Int])
      #expect((both[0]["tokens"] as? [Int])?.count == 32)
      #expect(both[1]["tokens_per_forward"] as? Double == 1)
      if sampling.isEmpty { #expect((both[0]["tokens_per_forward"] as? Double ?? 0) > 1) }
    }
  }

  @Test("methods that promise only the distribution may differ")
  func distribution() async throws {
    _ = try await DefaultModel.url()
    let outcome = try await ForetokenProcess(
      race + ["--temperature", "1", "--verify", "rejection", "--seed", "4", "--json"]
    ).finish()
    #expect(outcome.status == 0)
    let result = try #require(
      try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
    #expect(result["must_agree"] as? Bool == false)
  }

  @Test("on a terminal the texts are drawn while they are written, and taken back for the result")
  func live() async throws {
    _ = try await DefaultModel.url()
    let outcome = try await PseudoTerminal.run(race, columns: 100)
    #expect(outcome.status == 0)
    // The first method writes while the other waits; both ends are drawn, each over what was there.
    let redraws = outcome.text.components(separatedBy: "A\u{1B}[J")
    #expect(redraws.count >= 3)
    #expect(redraws.dropLast().contains { $0.contains("none: waits") && $0.contains("tokens/s") })
    #expect(redraws.dropLast().contains { $0.contains("none: 32 tokens") })
    let result = try #require(redraws.last)
    #expect(result.contains("bytes agree: ") && !result.contains("none: 32"))
    let plain = try await PseudoTerminal.run(race, columns: 100, environment: ["NO_COLOR": "1"])
    #expect(!plain.text.contains("\u{1B}[J"))
  }

  @Test("texts stand side by side, and one below the other on a narrow terminal")
  func layout() async throws {
    _ = try await DefaultModel.url()
    let wide = try await PseudoTerminal.run(race, columns: 90)
    #expect(wide.status == 0)
    #expect(wide.text.contains("│"))
    #expect(wide.text.contains("bytes agree: "))
    #expect(wide.text.contains("\u{1B}[32m"))
    let narrow = try await PseudoTerminal.run(race, columns: 50)
    #expect(narrow.status == 0)
    #expect(!narrow.text.contains("│"))
    #expect(narrow.text.contains("── none"))
    let piped = try await ForetokenProcess(race).finish()
    #expect(piped.text.contains("bytes agree: yes (32 tokens"))
    #expect(!piped.output.contains(0x1B))
  }
}
