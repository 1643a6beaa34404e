import ArgumentParser
import Compute
import Foretoken

/// `foretoken bench model`: prefill, decode and wider passes of one model.
struct BenchModelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Measure prefill, decode and wider passes of a model, stage by stage.",
    discussion: """
      At each length of context: prefill of some more tokens, and decoding token by token. Then \
      passes over token trees of 1, 2, 3 and more rows. The bandwidth is that of the weights, \
      which each decoded token reads once; prefill counts the multiply-adds with the weights of \
      all layers. Both are compared with probes of this machine in the same run.

      EXAMPLES:
        foretoken bench model
        foretoken bench model --model gemma3-270m --at 0,2048 --json
        foretoken bench model --threads 1 --svg model.svg
      """)

  @Option(
    help: ArgumentHelp("Lengths of context to measure at.", valueName: "list"))
  var at = ContextList.standard

  @Option(help: ArgumentHelp("Tokens of one prefill, 1 to 4096.", valueName: "tokens"))
  var prefill = 512

  @Option(help: ArgumentHelp("Most rows of a pass, 1 to 512.", valueName: "count"))
  var rows = 32

  @Option(
    help: ArgumentHelp("Length of the context of those passes.", valueName: "tokens"))
  var rowsAt = 128

  @Option(help: ArgumentHelp("Most runs of each measurement.", valueName: "count"))
  var repeats = 5

  @Flag(help: "Print one JSON object.")
  var json = false

  @Option(
    help: ArgumentHelp("Write charts to a file.", valueName: "file"),
    completion: .file(extensions: ["svg"]))
  var svg: String?

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    guard (1...1000).contains(repeats) else {
      throw ValidationError("--repeats is \(repeats), expected 1 to 1000")
    }
    guard (1...4096).contains(prefill) else {
      throw ValidationError("--prefill is \(prefill), expected 1 to 4096 tokens")
    }
    guard (1...512).contains(rows) else {
      throw ValidationError("--rows is \(rows), expected 1 to 512")
    }
    guard ContextList.limits.contains(rowsAt) else {
      throw ValidationError(
        "--rows-at is \(rowsAt), expected 0 to \(ContextList.limits.upperBound)")
    }
  }

  func run() async throws {
    let file = try svg.map(OutputFile.init)
    let found = try await Interrupts.cancelling { [model] in try await model.selection.pull() }
    let report = try measure(found)
    try file?.write(report.svg)
    if json {
      try TextStream.output.writeLine(report.json.serialized())
    } else {
      for line in report.lines(for: .output) { try TextStream.output.writeLine(line) }
    }
  }

  private func measure(_ found: ResolvedModel) throws -> ModelReport {
    let plan = ModelBenchmark.Plan(
      contexts: at.lengths, prefillTokens: prefill, largestPass: rows, passContext: rowsAt,
      repeats: repeats)
    let needed = plan.longest
    if let context = model.context, context < needed {
      throw UsageError(
        "--context is \(context), but these measurements need \(needed) tokens: "
          + "leave it out, or give shorter lengths with --at")
    }
    let threads = model.threads ?? WorkerPool.defaultWorkers
    let progress = BenchProgress(total: ModelBenchmark.work(plan))
    defer { progress.finish() }
    progress.begin("probing the machine")
    let before = MachineProbe.measure(on: try WorkerPool(workers: threads))
    progress.begin("loading \(found.reference)")
    let weights = try Transformer(
      file: try GGUFFile(path: found.url.path(percentEncoded: false)), threads: threads)
    let engine = try ForwardEngine(
      model: weights, threads: threads, kv: model.kv, contextLimit: needed, profiles: true)
    let benchmark = try ModelBenchmark(engine: engine, plan: plan, progress: progress)
    let contexts = try benchmark.measureContexts()
    let passes = try benchmark.measurePasses()
    return ModelReport(
      reference: found.reference, kv: engine.kv,
      probe: before.averaged(with: .measure(on: engine.workers)),
      weightBytes: weights.weightBytes, layerMultiplyAdds: weights.layerMultiplyAdds,
      prefillTokens: prefill, rows: contexts, passContext: rowsAt, passes: passes)
  }
}

/// Lengths of context, such as `0,1024`.
struct ContextList: ExpressibleByArgument {
  let lengths: [Int]
  static let standard = ContextList([0, 1024, 4096, 8192])
  /// Lengths that can be measured.
  static let limits = 0...1_000_000

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard !numbers.isEmpty, numbers.allSatisfy({ $0.map(Self.limits.contains) ?? false })
    else { return nil }
    self.init(numbers.compactMap(\.self))
  }

  private init(_ lengths: [Int]) { self.lengths = Array(Set(lengths)).sorted() }

  var defaultValueDescription: String { lengths.map(String.init).joined(separator: ",") }
}
