import Checkpoints
import Foretoken
import Foundation
import Testing

@Suite("commands on models")
struct ModelCommandTests {
  private func object(_ outcome: ForetokenProcess.Outcome) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
  }

  // MARK: pull and models

  @Test("a model that is here is not fetched again, and is listed")
  func pullAndList() async throws {
    let url = try await DefaultModel.url()
    let pulled = try object(try await ForetokenProcess.run("pull", DefaultModel.alias, "--json"))
    let model = try #require((pulled["models"] as? [[String: Any]])?.first)
    #expect(model["path"] as? String == url.path(percentEncoded: false))
    #expect(model["fetched"] as? Bool == false)
    let listed = try object(try await ForetokenProcess.run("models", "--json"))
    let references = (listed["models"] as? [[String: Any]])?.map { $0["reference"] as? String }
    #expect(references?.contains(DefaultModel.alias) == true)
  }

  @Test("an empty store lists what can be fetched")
  func emptyStore() async throws {
    let folder = try TemporaryFolder()
    let outcome = try await ForetokenProcess.run(
      "models", environment: ["FORETOKEN_HOME": folder.path])
    #expect(outcome.status == 0)
    for model in Catalogue.models { #expect(outcome.text.contains("pull \(model.alias)")) }
  }

  @Test("a full disk is seen before anything is fetched", .enabled(if: MountNamespace.isAvailable))
  func fullDisk() async throws {
    let folder = try TemporaryFolder()
    let script = "mount -t tmpfs -o size=8m none \"$1\" && FORETOKEN_HOME=\"$1\" exec \"$2\" pull"
    let outcome = try await ForetokenProcess(
      MountNamespace.arguments + ["sh", "-c", script, "sh", folder.path]
        + [ForetokenProcess.executable.path(percentEncoded: false)],
      command: MountNamespace.command
    ).finish()
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("has 8.4 MB left"))
    #expect(outcome.error.contains("FORETOKEN_HOME"))
  }

  @Test("a store that cannot be written is named")
  func unwritableStore() async throws {
    let outcome = try await ForetokenProcess.run(
      "pull", environment: ["FORETOKEN_HOME": "/dev/null/store"])
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("/dev/null/store"))
  }

  // MARK: Damaged files

  @Test("a truncated model is refused", arguments: [0, 3, 100, 1_000_000])
  func truncated(_ count: Int) async throws {
    let file = try TemporaryFile(try await DefaultModel.header().prefix(count), name: "cut.gguf")
    for command in [["run", "x", "--model", file.path], ["inspect", file.path]] {
      let outcome = try await ForetokenProcess(command).finish()
      #expect(outcome.status == 1, "\(command)")
      #expect(outcome.error.hasPrefix("error: "), "\(command)")
      #expect(outcome.error.contains("cut.gguf"), "\(command)")
    }
  }

  @Test("a flipped bit in the header is an error or harmless, never a crash")
  func flippedBits() async throws {
    let header = try await DefaultModel.header()
    let file = try TemporaryFile(name: "flipped.gguf")
    for index in [0, 4, 8, 16, 24, 40, 90, 200, 1000, header.count - 40, header.count - 8] {
      var damaged = header
      damaged[damaged.startIndex + index] ^= 0x40
      try damaged.write(to: file.url)
      let outcome = try await ForetokenProcess.run("inspect", file.path)
      // The weights are cut off, so that no damage can make this file sound.
      #expect(outcome.status == 1, "byte \(index)")
      #expect(outcome.error.hasPrefix("error: "), "byte \(index)")
    }
  }

  @Test("a stored model with other bytes than it should have is called damaged")
  func wrongChecksum() async throws {
    let folder = try TemporaryFolder()
    let name = try await DefaultModel.url().lastPathComponent
    let place = folder.url.appending(path: "models/\(DefaultModel.alias)")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    try await DefaultModel.hollow(at: place.appending(path: name))
    let outcome = try await ForetokenProcess.run(
      "inspect", DefaultModel.alias, "--json", environment: ["FORETOKEN_HOME": folder.path])
    #expect(outcome.status == 1)
    let result = try object(outcome)
    #expect(result["sound"] as? Bool == false)
    #expect((result["faults"] as? [String])?.first?.contains("SHA-256") == true)
  }

  // MARK: inspect and tokenize

  @Test("inspect describes the model and finds it sound")
  func inspect() async throws {
    _ = try await DefaultModel.url()
    let result = try object(
      try await ForetokenProcess.run("inspect", DefaultModel.alias, "--json"))
    #expect(result["sound"] as? Bool == true)
    #expect(result["quantization"] as? String == "Q4_1")
    let metadata = try #require(result["metadata"] as? [String: Any])
    #expect(metadata["general.architecture"] as? String == "llama")
    #expect((result["tensors"] as? [Any])?.count == 272)
    let text = try await ForetokenProcess.run("inspect", DefaultModel.alias, "--tensors")
    #expect(text.status == 0)
    #expect(text.text.contains("blk.29.ffn_down.weight"))
    #expect(text.text.contains("sound: all"))
  }

  @Test("inspect --plan prints the operations of a pass")
  func plan() async throws {
    _ = try await DefaultModel.url()
    let outcome = try await ForetokenProcess.run("inspect", DefaultModel.alias, "--plan")
    #expect(outcome.status == 0)
    #expect(outcome.text.split(separator: "\n").count > 100)
  }

  @Test("tokens become the text again", arguments: ["Hello, world!", "Grüße – 世界 👋🏽\n\tend"])
  func tokenize(_ text: String) async throws {
    _ = try await DefaultModel.url()
    let result = try object(try await ForetokenProcess.run("tokenize", text, "--json"))
    let tokens = try #require(result["tokens"] as? [Int])
    #expect(result["count"] as? Int == tokens.count)
    let ids = tokens.map(String.init).joined(separator: " ")
    let back = try await ForetokenProcess.run("tokenize", "--decode", ids)
    #expect(back.text == text + "\n")
    let table = try await ForetokenProcess.run("tokenize", "-", input: text)
    #expect(table.text.split(separator: "\n").count == tokens.count + 1)
  }

  @Test("--special finds control tokens in the text")
  func specialTokens() async throws {
    _ = try await DefaultModel.url()
    let plain = try object(try await ForetokenProcess.run("tokenize", "<|im_end|>", "--json"))
    let special = try object(
      try await ForetokenProcess.run("tokenize", "<|im_end|>", "--special", "--json"))
    #expect((plain["count"] as? Int ?? 0) > 1)
    #expect(special["pieces"] as? [String] == ["<|im_end|>"])
  }

  @Test("methods lists the catalogue and filters it")
  func methods() async throws {
    let all = try object(try await ForetokenProcess.run("methods", "--json"))
    #expect((all["methods"] as? [Any])?.count == MethodRegistry.all.count)
    let available = try object(
      try await ForetokenProcess.run(
        "methods", "--json", "--status", "available", "--area", "drafters"))
    let list = try #require(available["methods"] as? [[String: Any]])
    #expect(!list.isEmpty)
    #expect(list.allSatisfy { $0["area"] as? String == "drafters" })
    let one = try object(try await ForetokenProcess.run("methods", "1", "--json"))
    #expect(one["card"] as? String == "aded")
  }
}
