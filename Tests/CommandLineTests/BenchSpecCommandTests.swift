import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("foretoken bench spec")
struct BenchSpecCommandTests {
  private static let prompts = """
    {"question_id": 1, "category": "copying", "turns": ["Repeat: one two three one two three.", "Once more."]}
    {"prompt": "Name three colours.", "category": "naming"}
    """

  private struct Bench {
    let folder: TemporaryFolder
    let data: TemporaryFile
    let state: String
    let html: String
    let arguments: [String]

    init() throws {
      folder = try TemporaryFolder()
      data = try TemporaryFile(Data(prompts.utf8), name: "prompts.jsonl")
      state = folder.path + "/state.jsonl"
      html = folder.path + "/report.html"
      arguments = [
        "bench", "spec", "--data", data.path, "--methods", "copy", "--temperatures", "0,0.8",
        "--max-tokens", "16", "--state", state, "--html", html, "--json",
      ]
    }

    func run() async throws -> ForetokenProcess.Outcome {
      _ = try await DefaultModel.url()
      return try await ForetokenProcess(arguments).finish()
    }

    func cells() throws -> [Substring] {
      try String(contentsOfFile: state, encoding: .utf8).split(separator: "\n").filter {
        $0.contains("\"cell\"")
      }
    }
  }

  @Test("every prompt is compared with plain decoding, and nothing differs")
  func figures() async throws {
    let bench = try Bench()
    let outcome = try await bench.run()
    #expect(outcome.status == 0)
    let result = try #require(
      try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
    #expect(result["mismatches"] as? Int == 0)
    #expect(result["complete"] as? Bool == true)
    let rows = try #require(result["rows"] as? [[String: Any]])
    // Two categories and all together, two planners, two temperatures.
    #expect(rows.count == 12)
    #expect(rows.allSatisfy { $0["mismatches"] as? Int == 0 })
    #expect(rows.allSatisfy { ($0["ratio"] as? Double ?? 0) > 0 })
    #expect(rows.allSatisfy { ($0["bound"] as? Double ?? 0) >= 1 })
    #expect(
      rows.allSatisfy {
        ($0["clairvoyant_bound"] as? Double ?? 0) >= ($0["bound"] as? Double ?? 9) - 0.001
      })
    #expect(rows.allSatisfy { ($0["tokens_per_forward"] as? Double ?? 0) >= 1 })
    let costs = try #require(result["costs"] as? [String: [[String: Any]]])
    #expect(costs["smollm2-135m"]?.first?["cost"] as? Double == 1)
    // The page is well-formed XML, so a browser has nothing to guess.
    let parser = XMLParser(data: try Data(contentsOf: URL(filePath: bench.html)))
    #expect(parser.parse(), "line \(parser.lineNumber)")
    let page = try String(contentsOfFile: bench.html, encoding: .utf8)
    #expect(page.contains("<svg"))
    #expect(!page.contains("http"))
  }

  @Test("a benchmark that was killed goes on where it was, and measures a torn line again")
  func resume() async throws {
    let bench = try Bench()
    _ = try await DefaultModel.url()
    let killed = try ForetokenProcess(bench.arguments)
    killed.send(SIGKILL)
    #expect(try await killed.finish().signal == SIGKILL)
    #expect(try await bench.run().status == 0)
    let complete = try bench.cells()
    #expect(complete.count == 4)
    // As a kill during the third line leaves it.
    let text = try String(contentsOfFile: bench.state, encoding: .utf8)
    let third = try #require(text.range(of: String(complete[2])))
    let torn = text[..<text.index(third.lowerBound, offsetBy: 40)]
    try torn.write(toFile: bench.state, atomically: true, encoding: .utf8)
    let resumed = try await bench.run()
    #expect(resumed.status == 0)
    #expect(resumed.error.contains("going on after 2 prompts"))
    let cells = try bench.cells()
    #expect(cells.count == 4)
    #expect(Array(cells.prefix(2)) == Array(complete.prefix(2)))
    // Nothing is left to measure now.
    let again = try await bench.run()
    #expect(again.output == resumed.output)
  }

  @Test("every tree runs with every verifier that is valid for it")
  func trees() async throws {
    let bench = try Bench()
    let path = try await DefaultModel.url().path(percentEncoded: false)
    let outcome = try await ForetokenProcess([
      "bench", "spec", "--suite", "trees", "--data", bench.data.path, "--draft", path,
      "--budgets", "3", "--lengths", "", "--temperatures", "0,1", "--max-tokens", "6",
      "--state", bench.state, "--html", bench.html, "--json",
    ]).finish()
    #expect(outcome.status == 0, "\(outcome.error)")
    let result = try #require(
      try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
    #expect(result["mismatches"] as? Int == 0)
    let rows = (result["rows"] as? [[String: Any]] ?? []).filter {
      $0["category"] as? String == "all"
    }
    let names = rows.map { row in
      let tree = row["tree"] as? [String: Any]
      let temperature = Int(row["temperature"] as? Double ?? -1)
      return "\(temperature) \(tree?["shape"] ?? "") \(tree?["verification"] ?? "")"
    }
    #expect(Set(names).count == rows.count)
    #expect(names.count { $0.hasPrefix("0 ") } == 7)
    #expect(names.count { $0.hasPrefix("1 ") } == 15)
    #expect(names.contains("1 static spectr") && names.contains("1 rsd-s recursive"))
    #expect(rows.allSatisfy { ($0["nodes_per_forward"] as? Double ?? 0) > 1 })
    #expect(rows.allSatisfy { ($0["tokens_per_forward"] as? Double ?? 0) > 1 })
    let parser = XMLParser(data: try Data(contentsOf: URL(filePath: bench.html)))
    #expect(parser.parse(), "line \(parser.lineNumber)")
  }

  @Test("a state of other settings is refused")
  func otherSettings() async throws {
    let bench = try Bench()
    #expect(try await bench.run().status == 0)
    let other = try await ForetokenProcess(bench.arguments + ["--seed", "2"]).finish()
    #expect(other.status == 1)
    #expect(other.error.contains("other settings"))
  }

  @Test("a line that is no prompt is named")
  func badPrompts() async throws {
    let file = try TemporaryFile(Data("{\"prompt\": \"x\"}\n{\"text\": 1}\n".utf8))
    let outcome = try await ForetokenProcess.run("bench", "spec", "--data", file.path)
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("line 2"))
    #expect(outcome.error.contains("'turns'"))
  }
}
