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
    help: "Alias, path of a .gguf or .safetensors file, or hf:owner/name[/file].",
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
    let path = found.url.path(percentEncoded: false)
    if plan { return try showPlan(of: GGUFFile(path: path)) }
    let bar = ProgressLine(delay: .milliseconds(300))
    defer { bar.clear() }
    let inspection = try Inspection(path: path) { done, total in
      let fraction = Double(done) / Double(max(total, 1))
      bar.show(.init(phase: "checking", fraction: fraction, detail: "\(ByteCount(done))"))
    }.adding(fault: Self.checksumFailure(of: found, in: store))
    bar.clear()
    if json {
      try TextStream.output.writeLine(inspection.json.serialized())
    } else {
      for line in inspection.lines(for: .output, listsTensors: tensors) {
        try TextStream.output.writeLine(line)
      }
    }
    if !inspection.verdict.isSound { throw ExitCode(ExitStatus.failed) }
  }

  private func showPlan(of file: GGUFFile) throws {
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
