import Foundation
import Testing

@Suite("drafts in foretoken run")
struct DraftOptionsTests {
  /// A text that goes on as it began, so that copying has something to copy.
  private static let repetition = String(repeating: "red green blue yellow ", count: 8)
  /// Without the planner, whose decisions depend on the time that passes take.
  private let copying = [
    "run", "--raw", repetition, "--speculate", "copy", "--planner", "off", "--max-tokens", "48",
    "--ignore-eos",
  ]

  private func run(_ arguments: [String]) async throws -> ForetokenProcess.Outcome {
    _ = try await DefaultModel.url()
    return try await ForetokenProcess(arguments).finish()
  }

  private func object(_ outcome: ForetokenProcess.Outcome) throws -> [String: Any] {
    #expect(outcome.status == 0)
    return try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
  }

  private func lines(_ path: String) throws -> [[String: Any]] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test("copying gives the tokens of plain decoding in fewer passes, and says how many")
  func counts() async throws {
    let copied = try object(try await run(copying + ["--json"]))
    let plain = try object(
      try await run(
        ["run", "--raw", Self.repetition, "--speculate", "none", "--max-tokens", "48"]
          + ["--ignore-eos", "--json"]))
    #expect(copied["tokens"] as? [Int] == plain["tokens"] as? [Int])
    #expect(copied["verification"] as? String == "greedy")
    #expect(plain["drafted"] as? Int == 0)
    #expect(plain["tokens_per_forward"] as? Double == 1)
    let (drafted, accepted) = (copied["drafted"] as? Int ?? 0, copied["accepted"] as? Int ?? 0)
    #expect(accepted > 0 && drafted >= accepted)
    #expect((copied["tokens_per_forward"] as? Double ?? 0) > 1)
    let passes = (plain["forwards"] as? Int ?? 0) - (copied["forwards"] as? Int ?? 0)
    #expect(passes == accepted)
  }

  @Test("every verifier can be named, and the object says which one it was")
  func verifiers() async throws {
    for (verifier, temperature) in [("greedy", "0"), ("coupled", "0.7"), ("rejection", "0.7")] {
      let result = try object(
        try await run(
          copying + ["--verify", verifier, "--temperature", temperature, "--seed", "3", "--json"]))
      #expect(result["verification"] as? String == verifier)
      let expected = verifier == "rejection" ? "distribution" : "bitwise"
      #expect(result["guarantee"] as? String == expected)
    }
  }

  // MARK: Marks

  @Test("in a pipe, accepted drafts stand in brackets, and the text between is the text")
  func brackets() async throws {
    let plain = try await run(copying)
    let marked = try await run(copying + ["--show-drafts"])
    #expect(marked.text != plain.text)
    #expect(marked.text.filter { !"[]".contains($0) } == plain.text)
    #expect(marked.text.count { $0 == "[" } == marked.text.count { $0 == "]" })
    #expect(marked.error.contains("[…] was drafted by copy"))
    #expect(marked.error.contains("tokens per forward pass"))
  }

  @Test("on a terminal, accepted drafts have a colour")
  func colour() async throws {
    _ = try await DefaultModel.url()
    let outcome = try await PseudoTerminal.run(copying + ["--show-drafts"])
    #expect(outcome.status == 0)
    #expect(outcome.text.contains("\u{1B}[32m"))
    #expect(outcome.text.contains("green was drafted by copy"))
  }

  // MARK: Traces

  @Test("a trace has one line for each step, and the tokens of the output")
  func trace() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/steps.jsonl"
    let result = try object(try await run(copying + ["--trace", path, "--json"]))
    let steps = try lines(path)
    #expect(steps.flatMap { $0["emitted"] as? [Int] ?? [] } == result["tokens"] as? [Int])
    let accepted = steps.reduce(0) { $0 + (($1["accepted"] as? [Int])?.count ?? 0) }
    #expect(accepted == result["accepted"] as? Int)
    #expect(steps.allSatisfy { $0["generation"] as? Int == 0 })
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["steps.jsonl"])
  }

  @Test("--explain says why each step drafted what it did, and the trace has it too")
  func explanations() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/steps.jsonl"
    let arguments = ["run", "--raw", Self.repetition, "--max-tokens", "24", "--ignore-eos"]
    let plain = try await run(arguments + ["--speculate", "none"])
    let explained = try await run(arguments + ["--explain", "--trace", path])
    #expect(explained.status == 0 && explained.output == plain.output)
    #expect(explained.error.contains("step 1 at token"))
    #expect(explained.error.contains("copy         asked"))
    #expect(explained.error.contains("instead  "))
    let steps = try lines(path).dropFirst()
    #expect(steps.allSatisfy { ($0["plan"] as? [String: Any])?["chosen"] != nil })
    let drafted = steps.first { !(($0["draft_tokens"] as? [Int]) ?? []).isEmpty }
    #expect((drafted?["drafters"] as? [String])?.contains("recycling") ?? true)
  }

  @Test("an interrupted run leaves the trace of its steps, and replaces the old file only then")
  func interruptedTrace() async throws {
    _ = try await DefaultModel.url()
    let folder = try TemporaryFolder()
    let path = folder.path + "/steps.jsonl"
    try "old".write(toFile: path, atomically: true, encoding: .utf8)
    let process = try ForetokenProcess(
      ["run", "--raw", "Once upon a time", "--ignore-eos", "--max-tokens", "100000"]
        + ["--trace", path])
    _ = await process.read(atLeast: 5)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
    process.send(SIGINT)
    let outcome = try await process.finish()
    #expect(outcome.status == 130)
    #expect(try lines(path).count >= 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["steps.jsonl"])
  }

  @Test("a trace that cannot be written is an error before anything is loaded")
  func badTrace() async throws {
    let outcome = try await ForetokenProcess.run("run", "x", "--trace", "/no/such/folder/t.jsonl")
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("/no/such/folder/t.jsonl"))
  }

  // MARK: Samples

  @Test("samples have the seeds S, S + 1, … and are what single runs with these seeds give")
  func samples() async throws {
    let prompt = ["run", "Name a colour.", "--temperature", "1.1", "--max-tokens", "16", "--json"]
    let result = try object(
      try await run(prompt + ["--seed", "40", "--n", "3", "--speculate", "copy"]))
    let samples = try #require(result["samples"] as? [[String: Any]])
    #expect(samples.map { $0["seed"] as? Int } == [40, 41, 42])
    #expect(result["tokens"] as? [Int] == samples[0]["tokens"] as? [Int])
    for (index, sample) in samples.enumerated() {
      let single = try object(try await run(prompt + ["--seed", "\(40 + index)"]))
      #expect(single["tokens"] as? [Int] == sample["tokens"] as? [Int])
    }
  }

  @Test("the best of several samples is the one of the highest mean log-probability")
  func bestOf() async throws {
    let prompt = ["run", "Name a colour.", "--temperature", "1.5", "--max-tokens", "12"]
    let result = try object(
      try await run(prompt + ["--seed", "5", "--best-of", "4", "--json"]))
    let samples = try #require(result["samples"] as? [[String: Any]])
    let means = samples.compactMap { $0["mean_logprob"] as? Double }
    #expect(means.count == 4)
    #expect(means == means.sorted(by: >))
    #expect(Set(samples.compactMap { $0["seed"] as? Int }) == [5, 6, 7, 8])
    #expect(result["logprobs"] == nil)
    let text = try await run(prompt + ["--seed", "5", "--best-of", "4"])
    #expect(text.text == (result["text"] as? String ?? "") + "\n")
  }
}
