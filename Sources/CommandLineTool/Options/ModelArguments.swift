import ArgumentParser
import Foretoken

extension KVType: ExpressibleByArgument {}

/// Which model, and how it is loaded.
struct ModelArguments: ParsableArguments {
  @OptionGroup var selection: ModelSelection

  @Option(
    help: ArgumentHelp(
      "Worker threads. (default: one for each physical core)", valueName: "count"))
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Most tokens of prompt and output together. (default: the model's own limit, at most 8192)",
      valueName: "tokens"))
  var context: Int?

  @Option(
    help: ArgumentHelp(
      "A smaller model of the same vocabulary that drafts, for --speculate draft-model and auto. "
        + "(default: none)", valueName: "model"),
    completion: .custom(ModelCompletion.candidates))
  var draft: String?

  @Option(help: ArgumentHelp("Type of cached keys and values.", valueName: "type"))
  var kv: KVType = .f16

  func validate() throws {
    if let threads, !(1...256).contains(threads) {
      throw ValidationError("--threads is \(threads), expected 1 to 256")
    }
    if let context, context < 1 {
      throw ValidationError("--context is \(context), expected 1 or more tokens")
    }
  }

  /// Loads the model, fetching it first if need be; shows progress on standard error.
  func load() async throws -> LanguageModel { try await load(named: selection.model) }

  /// Loads a model of another name with the same settings.
  func load(named name: String) async throws -> LanguageModel {
    let reporter = LoadReporter()
    defer { reporter.finish() }
    return try await LanguageModel.load(
      name, options: .init(threads: threads, kv: kv, context: context, draft: draft),
      progress: reporter.report)
  }
}

/// Which model.
struct ModelSelection: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: "Alias, path of a .gguf file, or hf:owner/name[/file].",
    completion: .custom(ModelCompletion.candidates))
  var model = Catalogue.defaultAlias

  /// The model on this machine, fetched first if need be.
  func pull() async throws -> ResolvedModel {
    let reporter = LoadReporter()
    defer { reporter.finish() }
    return try await ModelStore().pull(model) { reporter.report(.pulling($0)) }
  }
}

/// What the shell offers for a model: aliases, models of the store, .gguf files.
enum ModelCompletion {
  @Sendable static func candidates(
    _ words: [String], _ index: Int, _ prefix: String
  ) -> [String] {
    let stored = ModelStore().list().map(\.reference)
    let aliases = Catalogue.models.map(\.alias)
    return aliases + stored.filter { !aliases.contains($0) } + files(prefix)
  }

  private static func files(_ prefix: String) -> [String] {
    let slash = prefix.lastIndex(of: "/")
    let folder = slash.map { String(prefix[...$0]) } ?? ""
    return FileNames.gguf(in: folder.isEmpty ? "." : folder).map { folder + $0 }
  }
}
