import ArgumentParser

/// `foretoken bench`: figures of this machine.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure a model, the kernels, speculation, code or constraints on this machine.",
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
      """,
    subcommands: [
      BenchModelCommand.self, BenchKernelsCommand.self, BenchSpecCommand.self,
      BenchConcurrencyCommand.self, BenchCodeCommand.self, BenchConstraintsCommand.self,
    ],
    defaultSubcommand: BenchModelCommand.self)
}
