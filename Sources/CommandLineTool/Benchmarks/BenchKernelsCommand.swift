import ArgumentParser
import CKernels
import Compute
import Foretoken

/// `foretoken bench kernels`: matrix products by format and batch.
struct BenchKernelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Measure matrix products by weight format and batch size.",
    discussion: """
      One row per format: the time of one activation row, the bandwidth that it reads weights \
      with, and how many times longer larger batches take. Weights are read from memory, not from \
      a cache.

      EXAMPLES:
        foretoken bench kernels
        foretoken bench kernels --threads 1 --json
      """)

  @Option(
    help: ArgumentHelp(
      "Worker threads. (default: one for each physical core)", valueName: "count"))
  var threads: Int?

  @Option(help: ArgumentHelp("Runs of each measurement.", valueName: "count"))
  var repeats = 15

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if let threads, !(1...256).contains(threads) {
      throw ValidationError("--threads is \(threads), expected 1 to 256")
    }
    guard (1...1000).contains(repeats) else {
      throw ValidationError("--repeats is \(repeats), expected 1 to 1000")
    }
  }

  func run() async throws {
    let benchmark = try KernelBenchmark(threads: threads ?? WorkerPool.defaultWorkers)
    let rows = try ElementType.supported.map { try benchmark.measure($0, repeats: repeats) }
    let bandwidth = ReadBandwidth.measure(threads: benchmark.threads)
    if json {
      try TextStream.output.writeLine(Self.json(rows, bandwidth, benchmark.threads).serialized())
    } else {
      try Self.show(rows, bandwidth, benchmark.threads)
    }
  }

  private static var instructionSet: String { String(cString: ft_isa_name(ft_isa_current())) }

  private static func show(
    _ rows: [KernelBenchmark.Row], _ bandwidth: Double, _ threads: Int
  ) throws {
    let output = TextStream.output
    try output.writeLine(
      "\(KernelBenchmark.rows) × \(KernelBenchmark.columns), \(threads) "
        + "\(threads == 1 ? "thread" : "threads"), \(instructionSet); "
        + "plain read of memory: \(ByteCount(Int(bandwidth)))/s")
    var table = Table(
      .init("FORMAT", style: .cyan), .init("µS AT 1", .right), .init("SPREAD", .right),
      .init("READS", .right), .init("OF READING", .right), .init("TIME AT 2, 4, 8, 16, 32 / AT 1"))
    for row in rows {
      let rate = Double(row.bytes) / row.single.median
      table.append(
        row.type.description, readableNumber(row.single.median * 1e6),
        Samples([row.single.minimum * 1e6, row.single.maximum * 1e6]).spread,
        "\(ByteCount(Int(rate)))/s", "\(Int((rate / bandwidth * 100).rounded()))%",
        row.ratios.map { readableNumber($0.ratio).padded(to: 5, alignment: .right) }.joined())
    }
    for line in table.lines(for: output) { try output.writeLine(line) }
  }

  private static func json(
    _ rows: [KernelBenchmark.Row], _ bandwidth: Double, _ threads: Int
  ) -> JSONValue {
    [
      "rows": .integer(KernelBenchmark.rows), "columns": .integer(KernelBenchmark.columns),
      "threads": .integer(threads), "instruction_set": .string(instructionSet),
      "read_bytes_per_second": .number(bandwidth.rounded()),
      "formats": .array(
        rows.map { row in
          [
            "type": .string(row.type.description), "bytes": .integer(row.bytes),
            "microseconds": Samples([
              row.single.minimum * 1e6, row.single.median * 1e6, row.single.maximum * 1e6,
            ]).json,
            "ratios": .object(
              JSONObject(row.ratios.map { ("\($0.batch)", rounded($0.ratio)) })),
          ]
        }),
    ]
  }
}
