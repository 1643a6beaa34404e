import Foretoken
import Foundation
import Testing

@Suite("usage")
struct UsageTests {
  static let commands = [
    ["run"], ["chat"], ["pull"], ["models"], ["inspect"], ["tokenize"], ["methods"], ["bench"],
    ["bench", "model"], ["bench", "kernels"], ["bench", "spec"], ["bench", "code"],
    ["bench", "concurrency"], ["bench", "constraints"], ["race"], ["train"], ["train", "ngrams"],
    ["train", "adadec-threshold"], ["train", "medusa"], ["train", "hydra"], ["serve"],
    ["bench", "serve"],
  ]

  @Test("every command's help has an example of itself", arguments: commands)
  func help(_ command: [String]) async throws {
    let outcome = try await ForetokenProcess(command + ["--help"]).finish()
    #expect(outcome.status == 0)
    let parts = outcome.text.components(separatedBy: "EXAMPLES:")
    try #require(parts.count == 2)
    #expect(parts[1].contains("foretoken \(command.joined(separator: " "))"))
  }

  @Test("every option of every command is explained", arguments: commands)
  func options(_ command: [String]) async throws {
    let outcome = try await ForetokenProcess(
      command + ["--experimental-dump-help"]
    ).finish()
    let root = try #require(
      try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
    let unexplained = Self.unexplained(try #require(root["command"] as? [String: Any]))
    #expect(unexplained == [])
  }

  /// Arguments without an explanation, those of the parser's own `help` left out.
  private static func unexplained(_ command: [String: Any]) -> [String] {
    let name = command["commandName"] as? String ?? ""
    guard name != "help" else { return [] }
    let own = (command["arguments"] as? [[String: Any]] ?? []).filter {
      ($0["abstract"] as? String ?? "").isEmpty
    }.map { "\(name) \($0["valueName"] ?? "")" }
    return own + (command["subcommands"] as? [[String: Any]] ?? []).flatMap(unexplained)
  }

  static let mistakes: [[String]] = [
    ["serve", "--host", "0.0.0.0"], ["serve", "--port", "70000"], ["serve", "--queue", "-1"],
    ["serve", "--max-concurrency", "0"], ["serve", "--request-timeout", "0"],
    ["serve", "--api-key", "short"], ["serve", "--api-key-file", "/nowhere"],
    ["bench", "serve", "--peer", "ftp://x"], ["bench", "serve", "--peer-model", "x"],
    ["frobnicate"], ["run", "--frobnicate", "x"], ["run", "x", "--max-tokens", "many"],
    ["run", "x", "--temperature", "-1"], ["run", "x", "--top-p", "2"],
    ["run", "x", "--min-p", "-0.5"], ["run", "x", "--repetition-penalty", "0"],
    ["run", "x", "--kv", "f8"], ["run", "x", "--threads", "0"], ["run", "x", "--context", "0"],
    ["run", "x", "--speculate", "copy", "--prediction", "draft.txt"],
    ["run", "x", "--speculate", "copy", "--draft-memory", "table"],
    ["run", "x", "--speculate", "no-such-method"], ["run", "x", "--decode", "no-such-method"],
    ["run", "x", "--stop", ""], ["run", "x", "--logit-bias", "five"], ["run", "x", "--seed", "-1"],
    ["run", "x", "--prefill-chunk", "0"], ["run", "x", "--raw", "--system", "y"],
    ["run", "x", "--logprobs", "3"], ["run", "x", "--json", "--logprobs", "101"],
    ["run", "x", "y"], ["run", "x", "--verify", "greedy", "--temperature", "0.8"],
    ["run", "x", "--verify", "perhaps"], ["run", "x", "--max-draft", "0"],
    ["run", "x", "--max-draft", "100000"], ["run", "x", "--planner", "maybe"],
    ["run", "x", "--speculate", "none", "--max-draft", "4"],
    ["run", "x", "--speculate", "none", "--planner", "off"],
    ["run", "x", "--speculate", "copy", "--heads", "h.safetensors"], ["run", "x", "--static-tree"],
    ["run", "x", "--tree", "oak"], ["run", "x", "--tree", "dyspec"],
    ["run", "x", "--draft-depth", "0"], ["run", "x", "--speculate", "copy", "--tree", "rsd-s"],
    ["run", "x", "--speculate", "copy", "--verify", "spectr", "--temperature", "1"],
    ["run", "x", "--speculate", "draft-model", "--tree", "rsd-s", "--verify", "spectr"],
    ["run", "x", "--json", "--show-drafts"], ["run", "x", "--n", "0"], ["run", "x", "--n", "2"],
    ["run", "x", "--n", "3", "--best-of", "2", "--temperature", "1"],
    ["chat", "--verify", "greedy", "--temperature", "0.8"],
    ["race", "x", "--between", "copy"], ["race", "x", "--between", "copy,no-such-method"],
    ["race", "x", "--between", "copy,none", "--speculate", "copy"],
    ["race", "x", "--repeats", "0"], ["bench", "spec"], ["bench", "constraints", "--states", "0"],
    ["run", "x", "--json-object", "--regex", "a"], ["run", "x", "--align", "asap"],
    ["run", "x", "--json-object", "--align", "asap"],
    ["run", "x", "--json-object", "--ignore-eos"],
    ["run", "x", "--regex", "a", "--align", "asap", "--temperature", "1", "--top-p", "0.9"],
    ["bench", "spec", "--humaneval", "--methods", "none"],
    ["bench", "spec", "--humaneval", "--methods", "no-such-method"],
    ["bench", "spec", "--humaneval", "--temperatures", "warm"],
    ["bench", "spec", "--humaneval", "--limit", "0"],
    ["bench", "spec", "--humaneval", "--verify", "greedy", "--temperatures", "0,1"],
    ["bench", "spec", "--humaneval", "--suite", "trees"],
    ["bench", "spec", "--humaneval", "--suite", "trees", "--draft", "x", "--methods", "copy"],
    ["bench", "spec", "--humaneval", "--suite", "trees", "--draft", "x", "--budgets", "many"],
    ["methods", "no-such-method"], ["methods", "--area", "nowhere"], ["inspect", "--frobnicate"],
    ["tokenize", "--decode", "hello"], ["bench", "model", "--repeats", "0"],
    ["bench", "kernels", "--threads", "1000"], ["bench", "kernels", "--shapes", "3"],
    ["bench", "kernels", "--shapes", "8x33", "--formats", "Q4_K"],
    ["bench", "kernels", "--formats", "Q9"], ["bench", "kernels", "--batches", "0"],
    ["bench", "model", "--at", "-1"], ["bench", "model", "--rows", "513"],
    ["bench", "model", "--context", "100"], ["bench", "model", "--prefill", "0"],
    ["run", "x", "--decode", "beam", "--beams", "0"], ["run", "x", "--beams", "3"],
    ["run", "x", "--decode", "beam", "--n", "5"],
    ["run", "x", "--decode", "beam", "--diversity", "0.4"],
    ["run", "x", "--decode", "diverse-beam", "--beams", "6", "--beam-groups", "4"],
    ["run", "x", "--decode", "beam", "--best-of", "3"],
    ["run", "x", "--decode", "beam", "--speculate", "copy"],
    ["run", "x", "--decode", "contrastive", "--temperature", "0.8"],
    ["run", "x", "--decode", "contrastive", "--penalty-alpha", "2"],
    ["run", "x", "--decode", "exact-extract"], ["run", "x", "--passage", "letter.txt"],
    ["bench", "code"], ["bench", "code", "--humaneval", "--data", "x.jsonl"],
    ["bench", "code", "--humaneval", "--limit", "0"],
    ["bench", "code", "--humaneval", "--skip", "-1"],
    ["run", "x", "--n", "3", "--temperature", "1", "--concurrency", "0"],
    ["bench", "concurrency", "--sequences", "1,0"], ["bench", "concurrency", "--tokens", "0"],
    ["bench", "concurrency", "--speculate", "copy,no-such-method"],
    ["models", "extra"], ["run", "x", "--trials", "3"],
    ["run", "x", "--decode", "cautious", "--trials", "0"],
    ["run", "x", "--decode", "cautious", "--switch-entropy", "1"],
    ["run", "x", "--decode", "entropy-adaptive", "--switch-window", "0"],
    ["run", "x", "--decode", "adadec", "--temperature", "1"],
    ["run", "x", "--decode", "adadec", "--pause-entropy", "1", "--pause-threshold", "f"],
    ["run", "x", "--decode", "superposed", "--drafts", "0"],
    ["run", "x", "--decode", "superposed", "--n", "2"],
    ["run", "x", "--decode", "superposed", "--ngram-weight", "0.5"],
    ["run", "x", "--decode", "cautious", "--speculate", "copy"], ["train", "ngrams"],
    ["train", "ngrams", "f", "-o", "g", "--source", "", "--licence", "own"],
    ["train", "adadec-threshold"], ["train", "adadec-threshold", "--data", "f"],
    ["train", "adadec-threshold", "--humaneval", "--limit", "0"],
  ]

  @Test("a mistake in the command line exits with 2 and says what is wrong", arguments: mistakes)
  func mistake(_ arguments: [String]) async throws {
    let outcome = try await ForetokenProcess(arguments).finish()
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.error.hasPrefix("error: "))
    #expect(outcome.error.contains("--help"))
  }

  @Test("no planned method can be selected, and the error says that it is planned")
  func planned() async throws {
    let planned = MethodRegistry.all.filter { $0.status == .planned }
    let selectors = planned.compactMap(\.selector).filter {
      ["--speculate", "--decode"].contains($0.option)
    }
    for selector in selectors {
      for value in selector.values {
        let outcome = try await ForetokenProcess.run("run", "x", selector.option, value)
        #expect(outcome.status == 2, "\(selector.option) \(value)")
        #expect(outcome.error.contains("is planned"), "\(selector.option) \(value)")
      }
    }
  }

  @Test("the error for an impossible combination names the way out")
  func combinations() async throws {
    let verify = try await ForetokenProcess.run(
      "run", "x", "--verify", "greedy", "--temperature", "0.8")
    #expect(verify.error.contains("--verify coupled or rejection"))
    let tree = try await ForetokenProcess.run(
      "run", "x", "--speculate", "draft-model", "--tree", "rsd-s", "--verify", "spectr")
    #expect(tree.error.contains("expected --verify recursive, or coupled, with that tree"))
    #expect(tree.error.contains("--tree chain or static with that verifier"))
    let drafter = try await ForetokenProcess.run(
      "run", "x", "--speculate", "copy", "--tree", "dyspec")
    #expect(drafter.error.contains("--speculate draft-model with --draft MODEL"))
    let samples = try await ForetokenProcess.run("run", "x", "--n", "2")
    #expect(samples.error.contains("give --temperature"))
    let drafts = try await ForetokenProcess.run(
      "run", "x", "--speculate", "none", "--max-draft", "4")
    #expect(drafts.error.contains("drop one of them"))
    let race = try await ForetokenProcess.run(
      "race", "x", "--between", "copy,none", "--speculate", "copy")
    #expect(race.error.contains("drop one of them"))
  }

  @Test("a wrong model name suggests the right one")
  func unknownModel() async throws {
    let outcome = try await ForetokenProcess.run("run", "x", "--model", "smolm2-135m")
    #expect(outcome.status == 1)
    #expect(outcome.error.hasPrefix("error: there is no model 'smolm2-135m'"))
    #expect(outcome.error.contains("Did you mean smollm2-135m?"))
  }

  @Test("a file that is not there, or is no text, is named")
  func badFiles() async throws {
    let missing = try await ForetokenProcess.run("run", "--file", "no/such/file.txt")
    #expect(missing.status == 1)
    #expect(missing.error.contains("no/such/file.txt"))
    let binary = try TemporaryFile(Data([0x66, 0xFF, 0xFE, 0x00]))
    let outcome = try await ForetokenProcess.run("run", "--file", binary.path)
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("UTF-8"))
  }

  @Test("completion scripts know the commands", arguments: ["bash", "zsh", "fish"])
  func completions(_ shell: String) async throws {
    let outcome = try await ForetokenProcess.run("--generate-completion-script", shell)
    #expect(outcome.status == 0)
    for command in ["run", "chat", "race", "pull", "inspect", "methods"] {
      #expect(outcome.text.contains(command))
    }
  }

  @Test(
    "a closed pipe ends every listing quietly", arguments: [["methods"], ["methods", "--json"]])
  func closedPipe(_ arguments: [String]) async throws {
    let process = try ForetokenProcess(arguments)
    process.closeOutput()
    let outcome = try await process.finish(isOutputOpen: false)
    #expect(outcome.status == 0)
    #expect(outcome.error.isEmpty)
  }

  @Test("there is no escape sequence in a pipe, and none on a terminal with NO_COLOR")
  func color() async throws {
    let escape = UInt8(0x1B)
    let piped = try await ForetokenProcess.run("methods")
    #expect(!piped.output.contains(escape))
    let colored = try await PseudoTerminal.run("methods")
    #expect(colored.status == 0)
    #expect(colored.output.contains(escape))
    let plain = try await PseudoTerminal.run("methods", environment: ["NO_COLOR": "1"])
    #expect(!plain.output.contains(escape))
    #expect(plain.output.count > 1000)
  }
}
