import ArgumentParser
import Foretoken
import Foundation

extension AlignmentMethod: ExpressibleByArgument {}

/// What the text has to be.
struct ConstraintArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write only texts of this GBNF grammar: a file, or the grammar itself. (default: none)",
      valueName: "path|text"),
    completion: .file())
  var grammar: String?

  @Option(
    help: ArgumentHelp(
      "Write only JSON that is valid under this JSON Schema: a file, or the schema itself. "
        + "(default: none)", valueName: "path|text"),
    completion: .file())
  var jsonSchema: String?

  @Option(
    help: ArgumentHelp(
      "Write only what this regular expression matches from beginning to end. (default: none)",
      valueName: "expression"))
  var regex: String?

  @Flag(help: "Write only a JSON object.")
  var jsonObject = false

  @Option(
    help: ArgumentHelp(
      "How the samples of --n are distributed under a constraint: none takes each token among the "
        + "possible ones; asap learns from sample to sample to follow the model's own distribution "
        + "of whole texts.", valueName: "none|asap"))
  var align = AlignmentMethod.none

  private var names: [String] {
    [
      grammar.map { _ in "--grammar" }, jsonSchema.map { _ in "--json-schema" },
      regex.map { _ in "--regex" }, jsonObject ? "--json-object" : nil,
    ].compactMap(\.self)
  }

  func validate() throws {
    guard names.count <= 1 else {
      throw ValidationError(
        "\(names.joined(separator: " and ")) each say what the text is; give one of them")
    }
    if align != .none, names.isEmpty {
      throw ValidationError(
        "--align \(align.rawValue) aligns samples under a constraint; give --grammar, "
          + "--json-schema or --regex")
    }
  }

  /// Puts the constraint into options.
  /// - Throws: `InputError` for a file that cannot be read, `UsageError` for a constraint that
  ///   cannot be compiled.
  func apply(to options: inout GenerationOptions) throws {
    options.constraint = try constraint()
    options.alignment = align
  }

  /// Checks what depends on other groups of options.
  /// - Throws: `ValidationError` that names the fix.
  func check(_ options: GenerationOptions) throws {
    var options = options
    // The text is read when the command runs: what it says does not matter here.
    options.constraint = names.isEmpty ? nil : .jsonObject
    options.alignment = align
    do {
      try options.validate(vocabularyCount: Int(Int32.max))
    } catch {
      throw ValidationError("\(error)")
    }
  }

  private func constraint() throws -> Constraint? {
    let source: Constraint?
    if let grammar {
      source = .grammar(
        grammar.contains("::=") ? grammar : try Self.file(grammar, "--grammar", "a '::='"))
    } else if let jsonSchema {
      let start = jsonSchema.drop { $0.isWhitespace }
      let isText = start.hasPrefix("{") || ["true", "false"].contains(jsonSchema)
      source = .jsonSchema(
        isText ? jsonSchema : try Self.file(jsonSchema, "--json-schema", "a '{'"))
    } else if let regex {
      source = .regex(regex)
    } else {
      source = jsonObject ? .jsonObject : nil
    }
    do {
      _ = try source?.compile()
    } catch let error as ConstraintError {
      throw UsageError("\(names.joined()): \(error)")
    }
    return source
  }

  private static func file(_ path: String, _ option: String, _ mark: String) throws -> String {
    guard
      path == TextInput.standardInput
        || FileManager.default.fileExists(
          atPath: (path as NSString).expandingTildeInPath)
    else {
      throw UsageError(
        "\(option) is \(path.debugDescription): there is no such file, and without \(mark) it is "
          + "no text of its own")
    }
    return try TextInput.read(argument: nil, file: path, what: option)
  }
}
