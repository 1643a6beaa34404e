import Foundation
import TestSupport
import Testing

@testable import CommandLineTool

@Suite("bench code")
struct BenchCodeTests {
  private static func line(_ id: String, _ body: String) throws -> String {
    let problem = [
      "task_id": id, "prompt": "def f(x):\n    \(body)\n", "entry_point": "f",
      "test": "def check(candidate):\n    assert candidate(1) == 2\n",
    ]
    return String(decoding: try JSONEncoder().encode(problem), as: UTF8.self)
  }

  @Test("programs that are right pass, others do not, and the counts say so")
  func outcomes() async throws {
    _ = try await DefaultModel.url()
    let problems = try [
      Self.line("right", "return x + 1"), Self.line("wrong", "return x + 2"),
      Self.line("broken", "return ("), Self.line("exits", "raise SystemExit(3)"),
    ].joined(separator: "\n")
    let file = try TemporaryFile(Data(problems.utf8))
    let outcome = try await ForetokenProcess([
      "bench", "code", "--data", file.path, "--max-tokens", "0", "--json",
    ]).finish()
    #expect(outcome.status == 0, "\(outcome.error)")
    let report = try #require(
      try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any])
    let results = try #require(report["results"] as? [[String: Any]])
    #expect(results.map { $0["passed"] as? Bool } == [true, false, false, false])
    #expect(report["passed"] as? Int == 1)
    #expect(report["pass_at_1"] as? Double == 0.25)
  }

  @Test("a program cannot take more time, memory or disk than it is given")
  func limits() throws {
    var sandbox = CodeSandbox(processorSeconds: 1, clockSeconds: 20)
    #expect(try sandbox.run("pass") == .passed)
    #expect(try sandbox.run("while True: pass") == .killed)
    #expect(try sandbox.run("x = bytearray(3 << 30)") == .failed)
    #expect(try sandbox.run("open('big', 'wb').write(bytes(3 << 20))") == .failed)
    #expect(try sandbox.run("import os; assert os.listdir('.') == ['program.py']") == .passed)
    #expect(
      try sandbox.run(
        "import os; assert set(os.environ) <= {'PATH', 'PWD', 'OLDPWD', 'SHLVL', '_', 'LC_CTYPE'}")
        == .passed)
    sandbox.clockSeconds = 0.5
    #expect(try sandbox.run("import time; time.sleep(600)") == .killed)
  }

  @Test("a line that lacks something is named")
  func malformed() {
    #expect(throws: InputError.self) {
      try CodeProblem.parse("{\"task_id\": \"a\", \"prompt\": \"x\"}", name: "problems")
    }
    #expect(throws: InputError.self) { try CodeProblem.parse("{", name: "problems") }
    #expect(throws: InputError.self) { try CodeProblem.parse("\n", name: "problems") }
  }
}
