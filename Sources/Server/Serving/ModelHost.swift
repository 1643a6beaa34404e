import Foretoken
import Synchronization

/// The model that new requests get. Requests that run keep theirs when another takes its place.
final class ModelHost: Sendable {
  /// A model and what is made of it once.
  struct Served: Sendable {
    let model: LanguageModel
    /// The chat template; nil if the model has none.
    let template: ChatTemplate?
    /// When it was loaded, in seconds since 1970.
    let created: Int
    /// What the model's file says, for the page.
    let fileFacts: JSONObject
  }

  private let state: Mutex<Served>

  init(_ model: LanguageModel, options: ServerOptions) async {
    state = Mutex(Served(model))
    await Self.prepare(model, options)
  }

  /// What new requests get.
  var served: Served { state.withLock { $0 } }

  /// Puts another model in the place of the one that is served.
  func replace(with model: LanguageModel, options: ServerOptions) async {
    await Self.prepare(model, options)
    let served = Served(model)
    state.withLock { $0 = served }
  }

  private static func prepare(_ model: LanguageModel, _ options: ServerOptions) async {
    await model.generator.setConcurrency(options.concurrency)
    await model.generator.setPrefixCache(bytes: options.prefixCacheBytes)
  }
}

extension ModelHost.Served {
  init(_ model: LanguageModel) {
    self.init(
      model: model, template: try? model.chatTemplate(), created: UnixTime.seconds,
      fileFacts: ModelFileFacts.read(model))
  }

  /// The name by which the model is asked for.
  var name: String { model.servedName }
}

extension LanguageModel {
  /// Alias or hub id; of a file its name without folders, which are nobody's business.
  var servedName: String {
    let isPath = reference.hasSuffix(".gguf") && !reference.hasPrefix("hf:")
    return isPath ? String(url.lastPathComponent.dropLast(".gguf".count)) : reference
  }
}
