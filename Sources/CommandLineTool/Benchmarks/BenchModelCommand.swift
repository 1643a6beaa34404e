import ArgumentParser
import Foretoken

/// `foretoken bench model`: prefill and decode of one model.
struct BenchModelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Measure prefill and decode of a model.",
    discussion: """
      Prefill runs 512 tokens at once; decode runs single tokens after a prefix of none and of \
      1024 tokens. The bandwidth is that of the weights, which each decoded token reads once; its \
      share is of what a plain read of memory reaches in the same run.

      EXAMPLES:
        foretoken bench model
        foretoken bench model --model gemma3-270m --threads 1 --json
      """)

  @Option(help: ArgumentHelp("Runs of each measurement.", valueName: "count"))
  var repeats = 5

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    guard (1...1000).contains(repeats) else {
      throw ValidationError("--repeats is \(repeats), expected 1 to 1000")
    }
  }

  func run() async throws {
    let found = try await Interrupts.cancelling { [model] in try await model.selection.pull() }
    let benchmark = try ModelBenchmark(
      reference: found.reference, path: found.url.path(percentEncoded: false),
      threads: model.threads,
      kv: model.kv, context: model.context)
    let result = try benchmark.run(repeats: repeats)
    if json {
      try TextStream.output.writeLine(result.json.serialized())
    } else {
      for line in result.lines(for: .output) { try TextStream.output.writeLine(line) }
    }
  }
}
