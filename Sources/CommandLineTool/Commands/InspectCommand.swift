import ArgumentParser
import Foretoken

/// `foretoken inspect`: what is in a model file.
struct InspectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what is in a model file, and whether it is sound.",
    discussion: """
      Reads every value of every tensor; those that are NaN or infinite make the verdict DAMAGED \
      and the exit status 1. Models with an alias are compared with their checksums as well.

      EXAMPLES:
        foretoken inspect smollm2-135m
        foretoken inspect model.gguf --tensors
        foretoken inspect smollm2-135m --plan
      """)

  @Argument(
    help: "Alias, path of a .gguf file, or hf:owner/name[/file].",
    completion: .custom(ModelCompletion.candidates))
  var model = Catalogue.defaultAlias

  @Flag(help: "List every tensor.")
  var tensors = false

  @Flag(help: "Print the operations of one forward pass instead.")
  var plan = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() async throws {
    let store = ModelStore()
    let found = try store.resolve(model)
    let file = try GGUFFile(path: found.url.path(percentEncoded: false))
    if plan { return try showPlan(file) }
    let bar = ProgressLine(delay: .milliseconds(300))
    let report = file.verifyIntegrity { done, total in
      let fraction = Double(done) / Double(max(total, 1))
      bar.show(.init(phase: "checking", fraction: fraction, detail: "\(ByteCount(done))"))
    }
    bar.clear()
    let verdict = Verdict(report, checksumFailure: Self.checksumFailure(of: found, in: store))
    let inspection = Inspection(file: file, verdict: verdict)
    if json {
      try TextStream.output.writeLine(inspection.json.serialized())
    } else {
      for line in inspection.lines(for: .output, listsTensors: tensors) {
        try TextStream.output.writeLine(line)
      }
    }
    if !verdict.isSound { throw ExitCode(ExitStatus.failed) }
  }

  private func showPlan(_ file: GGUFFile) throws {
    let engine = try ForwardEngine(model: try Transformer(file: file))
    let text = try engine.planDescription()
    if json {
      try TextStream.output.writeLine((["plan": .string(text)] as JSONValue).serialized())
    } else {
      try TextStream.output.writeLine(text)
    }
  }

  /// nil if the checksums agree, or if there are none to compare with.
  private static func checksumFailure(of model: ResolvedModel, in store: ModelStore) -> String? {
    guard let alias = model.alias else { return nil }
    do {
      try store.verify(alias)
      return nil
    } catch {
      return "\(error)"
    }
  }
}

/// Whether a file is sound, and what is wrong with it if it is not.
struct Verdict {
  /// What was read.
  let report: IntegrityReport
  /// Faults, one line each; none if the file is sound.
  let faults: [String]

  var isSound: Bool { faults.isEmpty }

  init(_ report: IntegrityReport, checksumFailure: String?) {
    self.report = report
    faults =
      report.nonFinite.map {
        "tensor \($0.tensor) has \($0.count) values that are NaN or infinite, the first at index "
          + "\($0.firstIndex)"
      }
      + report.unsupported.map { "tensor \($0) is of a type that is not supported" }
      + (checksumFailure.map { [$0] } ?? [])
  }

  /// The verdict in a line.
  var summary: String {
    guard isSound else { return "DAMAGED" }
    let spare =
      report.unusedBytes > 0 ? "; \(report.unusedBytes) bytes belong to no tensor" : ""
    return "sound: all \(report.checkedElements) values of \(report.checkedTensors) tensors are "
      + "finite" + spare
  }
}
