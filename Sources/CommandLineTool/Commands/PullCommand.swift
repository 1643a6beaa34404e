import ArgumentParser
import Foretoken

/// `foretoken pull`: gets a model.
struct PullCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Fetch models and check them.",
    discussion: """
      A model that is here already is not fetched again. An interrupted pull goes on where it \
      was; two pulls of one model wait for each other.

      EXAMPLES:
        foretoken pull smollm2-135m
        foretoken pull qwen2.5-coder-0.5b gemma3-270m
        foretoken pull hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF
      """)

  @Argument(
    help: "Aliases, or hf:owner/name[/file].", completion: .custom(ModelCompletion.candidates))
  var models: [String] = [Catalogue.defaultAlias]

  @Flag(help: "Read models that are here already again and compare their checksums.")
  var verify = false

  @Flag(help: "Print one JSON object with the models that were fetched.")
  var json = false

  func run() async throws {
    let store = ModelStore()
    var fetched: [JSONValue] = []
    for reference in models {
      let wasHere = (try? store.resolve(reference)) != nil
      let model = try await Interrupts.cancelling {
        let reporter = LoadReporter()
        defer { reporter.finish() }
        return try await store.pull(reference) { reporter.report(.pulling($0)) }
      }
      if verify, let alias = model.alias { try store.verify(alias) }
      if json {
        fetched.append(Self.json(model, wasHere: wasHere))
      } else {
        try TextStream.output.writeLine(text(model, wasHere: wasHere))
      }
    }
    if json {
      try TextStream.output.writeLine(
        JSONValue.object(.init([("models", .array(fetched))])).serialized())
    }
  }

  private func text(_ model: ResolvedModel, wasHere: Bool) -> String {
    let checked = verify && model.alias != nil ? ", checksums agree" : ""
    let state = wasHere ? "is here already" : "fetched"
    let path = model.url.path(percentEncoded: false)
    return "\(model.reference) \(state)\(checked): \(TextStream.output.styled(path, .dim))"
  }

  private static func json(_ model: ResolvedModel, wasHere: Bool) -> JSONValue {
    [
      "reference": .string(model.reference),
      "path": .string(model.url.path(percentEncoded: false)),
      "fetched": .bool(!wasHere),
    ]
  }
}
