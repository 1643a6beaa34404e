import ArgumentParser
import Foretoken

/// `foretoken models`: what is here, and what can be had.
struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the models on this machine and those that pull knows.",
    discussion: """
      EXAMPLES:
        foretoken models
        foretoken models --json
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let store = ModelStore()
    let stored = store.list()
    let missing = store.catalogue.filter { !store.isInstalled($0) }
    if json {
      try TextStream.output.writeLine(Self.json(store, stored, missing).serialized())
    } else {
      try show(store, stored, missing)
    }
  }

  private func show(
    _ store: ModelStore, _ stored: [StoredModel], _ missing: [CatalogueModel]
  ) throws {
    let output = TextStream.output
    let root = store.root.path(percentEncoded: false)
    if stored.isEmpty {
      try output.writeLine("There are no models in \(root) yet.")
    } else {
      var table = Table(
        .init("MODEL", style: .cyan), .init("SIZE", .right), .init("WEIGHTS"), .init("LICENCE"),
        .init("FROM"))
      for model in stored {
        table.append(
          model.reference, "\(ByteCount(model.byteCount))", model.quantization ?? "–",
          model.license ?? "–", model.origin)
      }
      for line in table.lines(for: output) { try output.writeLine(line) }
      try output.writeLine()
      try output.writeLine(output.styled("kept in \(root)", .dim))
    }
    guard !missing.isEmpty else { return }
    try output.writeLine()
    var table = Table(
      .init("FETCH WITH", style: .cyan), .init("SIZE", .right), .init("WHAT IT IS"))
    for model in missing {
      table.append(
        "foretoken pull \(model.alias)", "\(ByteCount(model.byteCount))", model.summary)
    }
    for line in table.lines(for: output) { try output.writeLine(line) }
  }

  private static func json(
    _ store: ModelStore, _ stored: [StoredModel], _ missing: [CatalogueModel]
  ) -> JSONValue {
    [
      "store": .string(store.root.path(percentEncoded: false)),
      "models": .array(
        stored.map { model in
          [
            "reference": .string(model.reference), "summary": .string(model.summary),
            "path": .string(model.url.path(percentEncoded: false)),
            "bytes": .integer(model.byteCount),
            "quantization": model.quantization.map { .string($0) } ?? .null,
            "license": model.license.map { .string($0) } ?? .null,
            "origin": .string(model.origin),
          ]
        }),
      "available": .array(
        missing.map { model in
          [
            "reference": .string(model.alias), "summary": .string(model.summary),
            "bytes": .integer(model.byteCount), "license": .string(model.license),
            "origin": .string(model.origin),
          ]
        }),
    ]
  }
}
