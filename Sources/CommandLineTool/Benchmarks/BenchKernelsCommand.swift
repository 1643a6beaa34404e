import ArgumentParser
import CKernels
import Compute
import Foretoken

/// `foretoken bench kernels`: matrix products by format, shape and batch.
struct BenchKernelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Measure matrix products by weight format and batch size.",
    discussion: """
      One row per format: the time of one activation row, the bandwidth that it reads weights \
      with, the multiply-adds per second of the largest batch, and how many times longer than one \
      row larger batches take. Weights are read from memory, not from a cache. Bandwidth and rate \
      are compared with probes of this machine in the same run.

      EXAMPLES:
        foretoken bench kernels
        foretoken bench kernels --formats Q4_K,Q6_K --threads 1 --json
        foretoken bench kernels --shapes all --svg kernels.svg
      """)

  @Option(
    help: ArgumentHelp(
      "Matrices: quick (8960x1536), all (every distinct matrix of the four models; takes minutes), "
        + "or a list such as 896x4864,1536x576.", valueName: "shapes"))
  var shapes = ShapeSelection.quick

  @Option(
    help: ArgumentHelp("Weight formats, such as Q4_K,Q8_0. (default: all)", valueName: "types"))
  var formats: String?

  @Option(help: ArgumentHelp("Numbers of activation rows, up to 512.", valueName: "list"))
  var batches = BatchList.standard

  @Option(
    help: ArgumentHelp(
      "Worker threads. (default: one for each physical core)", valueName: "count"))
  var threads: Int?

  @Option(help: ArgumentHelp("Most runs of each measurement.", valueName: "count"))
  var repeats = 15

  @Flag(help: "Print one JSON object.")
  var json = false

  @Option(
    help: ArgumentHelp("Write charts of the first shape to a file.", valueName: "file"),
    completion: .file(extensions: ["svg"]))
  var svg: String?

  func validate() throws {
    if let threads, !(1...256).contains(threads) {
      throw ValidationError("--threads is \(threads), expected 1 to 256")
    }
    guard (1...1000).contains(repeats) else {
      throw ValidationError("--repeats is \(repeats), expected 1 to 1000")
    }
    _ = try selectedTypes()
    for shape in shapes.shapes where try measurable(shape).isEmpty {
      throw ValidationError(
        "--shapes: no format has blocks that fit into \(shape.columns) columns")
    }
  }

  func run() async throws {
    try InstructionSet.checkRequest()
    let file = try svg.map(OutputFile.init)
    let report = try measure()
    try file?.write(report.svg)
    if json {
      try TextStream.output.writeLine(report.json.serialized())
    } else {
      for line in report.lines(for: .output) { try TextStream.output.writeLine(line) }
    }
  }

  private func measure() throws -> KernelReport {
    let benchmark = try KernelBenchmark(threads: threads ?? WorkerPool.defaultWorkers)
    let cases = try shapes.shapes.flatMap { shape in
      try measurable(shape).map { (shape: shape, type: $0) }
    }
    let progress = BenchProgress(
      total: cases.reduce(0) { $0 + KernelBenchmark.work($1.shape, batches: batches.batches) })
    defer { progress.finish() }
    progress.begin("probing the machine")
    let before = MachineProbe.measure(on: benchmark.pool)
    let rows = try cases.map { item in
      progress.begin("\(item.type) \(item.shape)")
      defer { progress.add(KernelBenchmark.work(item.shape, batches: batches.batches)) }
      return try benchmark.measure(
        item.type, item.shape, batches: batches.batches, repeats: repeats)
    }
    let probe = before.averaged(with: .measure(on: benchmark.pool))
    return KernelReport(probe: probe, rows: rows)
  }

  private func measurable(_ shape: MatrixShape) throws -> [ElementType] {
    try selectedTypes().filter { KernelBenchmark.fits($0, shape) }
  }

  private func selectedTypes() throws -> [ElementType] {
    guard let formats else { return ElementType.supported }
    return try formats.split(separator: ",").map { name in
      let type = ElementType.supported.first { $0.description == name.uppercased() }
      guard let type else {
        let known = ElementType.supported.map(\.description).joined(separator: ", ")
        throw ValidationError("--formats: '\(name)' is none of \(known)")
      }
      return type
    }
  }
}
