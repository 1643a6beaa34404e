import Foundation
import Testing

@Suite("foretoken chat")
struct ChatCommandTests {
  private func chat(
    _ lines: String..., options: [String] = []
  ) async throws -> ForetokenProcess.Outcome {
    _ = try await DefaultModel.url()
    return try await ForetokenProcess(
      ["chat", "--max-tokens", "16"] + options, input: lines.joined(separator: "\n") + "\n"
    ).finish()
  }

  private func messages(_ file: TemporaryFile) throws -> [[String: String]] {
    let document = try JSONSerialization.jsonObject(with: Data(contentsOf: file.url))
    return try #require((document as? [String: Any])?["messages"] as? [[String: String]])
  }

  @Test("every line of a pipe is a turn, and the answers are those of run")
  func piped() async throws {
    let outcome = try await chat("Say hello.")
    #expect(outcome.status == 0)
    #expect(outcome.error.isEmpty)
    let run = try await ForetokenProcess.run("run", "Say hello.", "--max-tokens", "16")
    #expect(outcome.output == run.output)
  }

  @Test("a saved conversation can be loaded and goes on as it would have")
  func saveAndLoad() async throws {
    let file = try TemporaryFile()
    let whole = try await chat("My name is Ada.", "/save \(file.path)", "What is my name?")
    #expect(whole.status == 0)
    let saved = try messages(file)
    #expect(saved.map { $0["role"] } == ["user", "assistant"])
    #expect(saved.first?["content"] == "My name is Ada.")
    let resumed = try await chat("/load \(file.path)", "What is my name?")
    #expect(resumed.output.count > 1)
    #expect(whole.text.hasSuffix(resumed.text))
    let option = try await chat("What is my name?", options: ["--file", file.path])
    #expect(option.output == resumed.output)
  }

  @Test("/reset forgets, /system instructs")
  func resetAndSystem() async throws {
    let file = try TemporaryFile()
    let outcome = try await chat(
      "My name is Ada.", "/reset", "Say hello.", "/system Answer with one word.", "Say hello.",
      "/save \(file.path)")
    #expect(outcome.status == 0)
    let fresh = try await chat("Say hello.")
    #expect(outcome.text.contains(fresh.text))
    #expect(try messages(file).map { $0["role"] } == ["system", "user", "assistant"])
  }

  @Test("/quit ends before the input does; /help and /stats say something")
  func quit() async throws {
    let outcome = try await chat("/help", "/stats", "Say hello.", "/stats", "/quit", "Say more.")
    #expect(outcome.status == 0)
    #expect(outcome.error.contains("/reset"))
    #expect(outcome.error.contains("nothing was answered yet"))
    #expect(outcome.error.contains("tokens/s"))
    #expect(outcome.output == (try await chat("Say hello.")).output)
  }

  @Test("a backslash at the end of a line joins it with the next one")
  func continued() async throws {
    let file = try TemporaryFile()
    _ = try await chat("Say\\", "hello.", "/save \(file.path)")
    #expect(try messages(file).first?["content"] == "Say\nhello.")
  }

  @Test("mistakes in a pipe end the conversation with an error")
  func mistakes() async throws {
    let unknown = try await chat("/frobnicate")
    #expect(unknown.status == 2)
    #expect(unknown.error.contains("/frobnicate"))
    let missing = try await chat("/load no/such/file.json")
    #expect(missing.status == 1)
    #expect(missing.error.contains("no/such/file.json"))
    let wrong = try TemporaryFile(Data("{\"messages\": [1]}".utf8))
    #expect(try await chat("/load \(wrong.path)").error.contains("messages[0]"))
  }

  @Test("Ctrl-C stops the answer and the conversation goes on")
  func interrupt() async throws {
    _ = try await DefaultModel.url()
    let process = try ForetokenProcess(
      ["chat", "--ignore-eos", "--max-tokens", "2000"], input: "Tell me a story.\n/stats\n")
    let beginning = await process.read(atLeast: 5)
    process.send(SIGINT)
    let outcome = try await process.finish()
    #expect(beginning.count >= 5)
    #expect(outcome.status == 0)
    #expect(outcome.error.contains("stopped"))
    #expect(outcome.error.contains("nothing was answered yet"))
  }
}
