import ArgumentParser

/// `foretoken bench`: figures of this machine.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure a model, the kernels, speculation, code, constraints or the server.",
    discussion: """
      Run on an idle machine. Every figure is the median of several runs, with the spread beside \
      it.

      EXAMPLES:
        foretoken bench model --model qwen2.5-coder-0.5b
        foretoken bench kernels --json
        foretoken bench spec --data Benchmarks/spec-bench-sample.jsonl --limit 2
        foretoken bench concurrency --sequences 1,4,16
        foretoken bench code --humaneval --model qwen2.5-coder-0.5b --limit 20
        foretoken bench constraints --model qwen2.5-coder-0.5b
        foretoken bench serve --clients 1,16
      """,
    subcommands: [
      BenchModelCommand.self, BenchKernelsCommand.self, BenchSpecCommand.self,
      BenchConcurrencyCommand.self, BenchCodeCommand.self, BenchConstraintsCommand.self,
      BenchServeCommand.self,
    ],
    defaultSubcommand: BenchModelCommand.self)
}
