import Foundation
import Testing

@Suite("foretoken run")
struct RunCommandTests {
  private let short = ["--max-tokens", "12"]

  private func run(
    _ arguments: [String], input: String? = nil
  ) async throws -> ForetokenProcess.Outcome {
    _ = try await DefaultModel.url()
    return try await ForetokenProcess(["run"] + arguments, input: input).finish()
  }

  private func object(_ outcome: ForetokenProcess.Outcome) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
  }

  @Test("takes the prompt from an argument, a file or standard input, and answers the same")
  func sources() async throws {
    let prompt = "Name three rivers in Europe."
    let file = try TemporaryFile(Data((prompt + "\n").utf8))
    let argument = try await run([prompt] + short)
    #expect(argument.status == 0)
    #expect(argument.error.isEmpty)
    #expect(argument.text.count > 10)
    #expect(argument.text.hasSuffix("\n"))
    #expect(try await run(["--file", file.path] + short).output == argument.output)
    #expect(try await run(short, input: prompt + "\n").output == argument.output)
    #expect(try await run(["-"] + short, input: prompt).output == argument.output)
  }

  @Test("raw text is continued without the chat template")
  func raw() async throws {
    let outcome = try object(
      try await run(["--raw", "The capital of France is", "--json"] + short))
    #expect(outcome["prompt_tokens"] as? Int == 5)
    let text = try #require(outcome["text"] as? String)
    #expect(text.hasPrefix(" Paris"))
  }

  @Test("--json prints one object with every key")
  func json() async throws {
    let outcome = try await run(["Say hello.", "--json", "--logprobs", "2", "--seed", "5"] + short)
    #expect(outcome.status == 0)
    #expect(outcome.text.split(separator: "\n").count == 1)
    let result = try object(outcome)
    let keys: Set = [
      "text", "tokens", "prompt_tokens", "finish_reason", "timings", "forwards", "method",
      "guarantee", "seed",
    ]
    #expect(keys.subtracting(result.keys) == [])
    let tokens = try #require(result["tokens"] as? [Int])
    #expect((1...12).contains(tokens.count))
    #expect((1...tokens.count + 1).contains(result["forwards"] as? Int ?? 0))
    #expect(result["seed"] as? Int == 5)
    #expect(result["guarantee"] as? String == "bitwise")
    let timings = try #require(result["timings"] as? [String: Double])
    #expect(timings.count == 5)
    #expect(timings.values.allSatisfy { $0 >= 0 })
    let entries = try #require(result["logprobs"] as? [[String: Any]])
    #expect(entries.count == tokens.count)
    #expect(entries.map { $0["token"] as? Int } == tokens)
    #expect(entries.allSatisfy { ($0["top"] as? [Any])?.count == 2 })
  }

  @Test("the same seed gives the same bytes, whatever the threads and the prefill")
  func seeds() async throws {
    let sampled = ["Tell me a story.", "--temperature", "1.2", "--max-tokens", "40", "--json"]
    let first = try object(try await run(sampled + ["--seed", "11"]))
    let again = try object(
      try await run(sampled + ["--seed", "11", "--threads", "1", "--prefill-chunk", "1"]))
    let other = try object(try await run(sampled + ["--seed", "12"]))
    #expect(first["tokens"] as? [Int] == again["tokens"] as? [Int])
    #expect(first["text"] as? String == again["text"] as? String)
    #expect(first["tokens"] as? [Int] != other["tokens"] as? [Int])
  }

  @Test("a seed that was drawn is reported and can be given again")
  func drawnSeed() async throws {
    let sampled = ["Tell me a story.", "--temperature", "1.2", "--max-tokens", "20", "--json"]
    let first = try object(try await run(sampled))
    let seed = try #require(first["seed"].map { "\($0)" })
    let again = try object(try await run(sampled + ["--seed", seed]))
    #expect(first["tokens"] as? [Int] == again["tokens"] as? [Int])
  }

  @Test("a stop string ends the text before it")
  func stop() async throws {
    let plain = try object(try await run(["--raw", "1, 2, 3, 4,", "--json"] + short))
    let text = try #require(plain["text"] as? String)
    try #require(text.contains("7"))
    let stopped = try object(
      try await run(["--raw", "1, 2, 3, 4,", "--stop", "7", "--json"] + short))
    #expect(stopped["finish_reason"] as? String == "stop")
    #expect(stopped["text"] as? String == String(text.prefix { $0 != "7" }))
  }

  @Test("a banned token is never chosen")
  func logitBias() async throws {
    let plain = try object(try await run(["--raw", "The capital of France is", "--json"] + short))
    let first = try #require((plain["tokens"] as? [Int])?.first)
    let banned = try object(
      try await run(
        ["--raw", "The capital of France is", "--json", "--logit-bias", "\(first)=-inf"] + short))
    #expect((banned["tokens"] as? [Int])?.contains(first) == false)
  }

  @Test("--stats goes to standard error and leaves the text alone")
  func statistics() async throws {
    let plain = try await run(["Say hello."] + short)
    let outcome = try await run(["Say hello.", "--stats"] + short)
    #expect(outcome.output == plain.output)
    #expect(outcome.error.contains("prefill") && outcome.error.contains("tokens/s"))
  }

  // MARK: Endings

  @Test("a reader that goes away ends the program quietly")
  func closedPipe() async throws {
    _ = try await DefaultModel.url()
    let process = try ForetokenProcess(
      ["run", "--raw", "Once upon a time", "--ignore-eos", "--max-tokens", "100000"])
    let beginning = await process.read(atLeast: 5)
    process.closeOutput()
    let outcome = try await process.finish(isOutputOpen: false)
    #expect(beginning.count >= 5)
    #expect(outcome.status == 0)
    #expect(outcome.error.isEmpty)
  }

  @Test("Ctrl-C stops the text, ends the line and exits with 130")
  func interrupt() async throws {
    _ = try await DefaultModel.url()
    let process = try ForetokenProcess(
      ["run", "--raw", "Once upon a time", "--ignore-eos", "--max-tokens", "100000"])
    let beginning = await process.read(atLeast: 5)
    process.send(SIGINT)
    let outcome = try await process.finish()
    #expect(beginning.count >= 5)
    #expect(outcome.status == 130)
    #expect(outcome.output.last == UInt8(ascii: "\n"))
    #expect(outcome.error.isEmpty)
  }

  @Test("a full disk behind standard output is an error, not a crash", arguments: [[], ["--json"]])
  func fullOutput(_ options: [String]) async throws {
    _ = try await DefaultModel.url()
    let outcome = try await ForetokenProcess(
      ["run", "Say hello."] + short + options, output: .file("/dev/full")
    ).finish()
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("standard output cannot be written: No space left on device"))
  }

  @Test("a prompt longer than the context is refused with both lengths")
  func promptTooLong() async throws {
    let outcome = try await run(["Count to ten, please.", "--context", "8"])
    #expect(outcome.status == 1)
    #expect(outcome.output.allSatisfy { $0 == UInt8(ascii: "\n") })
    #expect(outcome.error.contains("the context holds 8"))
    #expect(outcome.error.contains("--context"))
  }

  @Test("a context that fills up ends the text with a note")
  func contextFull() async throws {
    let outcome = try await run(["--raw", "Once upon a time", "--ignore-eos", "--context", "24"])
    #expect(outcome.status == 0)
    #expect(outcome.error.contains("context of 24 tokens is full"))
    let result = try object(
      try await run(["--raw", "Once upon a time", "--ignore-eos", "--context", "24", "--json"]))
    #expect(result["finish_reason"] as? String == "length")
    #expect((result["note"] as? String)?.contains("context of 24 tokens") == true)
  }
}
