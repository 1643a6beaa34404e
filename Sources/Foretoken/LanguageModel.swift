import Checkpoints
import Compute
import Decoding
import Foundation
import Tokenization
import Transformers

/// A model that is ready to write text.
///
/// ```swift
/// let model = try await LanguageModel.load("smollm2-135m")
/// for try await event in model.generate("The capital of France is") {
///   if case .text(let piece) = event { print(piece.text, terminator: "") }
/// }
/// ```
///
/// One model may run any number of generations at the same time; they share its forward passes.
public final class LanguageModel: Sendable {
  /// How a model is loaded.
  public struct LoadOptions: Sendable, Equatable {
    /// Worker threads; nil for one per physical core.
    public var threads: Int?
    /// Type of cached keys and values.
    public var kv: KVType
    /// Most tokens of one sequence, prompt and output together; nil for the model's own limit, at
    /// most 8192.
    public var context: Int?
    /// Float activations and the file's own weight blocks: slow, for comparison.
    public var reference: Bool
    /// A smaller model of the same vocabulary, loaded beside this one to draft for it
    /// (`--speculate draft-model`): alias, path or hub id; nil for none.
    public var draft: String?

    /// Loads with what suits this machine, unless told otherwise.
    public init(
      threads: Int? = nil, kv: KVType = .f16, context: Int? = nil, reference: Bool = false,
      draft: String? = nil
    ) {
      self.threads = threads
      self.kv = kv
      self.context = context
      self.reference = reference
      self.draft = draft
    }
  }

  /// What loading is busy with.
  public enum LoadProgress: Sendable {
    /// The file is being fetched.
    case pulling(PullProgress)
    /// The weights are being packed; the fraction done, 0 to 1.
    case packing(Double)
  }

  /// The alias, path or hub id the model was loaded by.
  public let reference: String
  /// The file with the weights.
  public let url: URL
  /// Turns text into tokens and back.
  public let tokenizer: Tokenizer
  /// Runs the generations.
  public let generator: Generator
  /// Time that loading took, without fetching the file.
  public let loadTime: Duration

  /// The model's shape.
  public var configuration: ModelConfiguration { generator.configuration }
  /// Most tokens of one sequence, prompt and output together.
  public var contextLimit: Int { generator.contextLimit }

  private init(
    reference: String, url: URL, tokenizer: Tokenizer, generator: Generator, loadTime: Duration
  ) {
    self.reference = reference
    self.url = url
    self.tokenizer = tokenizer
    self.generator = generator
    self.loadTime = loadTime
  }

  // MARK: Loading

  /// Loads a model, fetching it first if it is not on this machine.
  ///
  /// The work is done on threads of its own; cancelling the task stops it.
  ///
  /// - Parameters:
  ///   - reference: alias, path, or `hf:owner/name[/file]`.
  ///   - store: where models are kept.
  ///   - progress: called from any thread.
  /// - Throws: `StoreError`, `CheckpointError`, `TokenizerError`, `ModelError`, `ForwardError`,
  ///   `LanguageModelError`, `CancellationError`.
  public static func load(
    _ reference: String = Catalogue.defaultAlias, options: LoadOptions = .init(),
    store: ModelStore = ModelStore(),
    progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
  ) async throws -> LanguageModel {
    let found = try await store.pull(reference) { progress(.pulling($0)) }
    return try await load(
      found.url, reference: reference, options: options, store: store, progress: progress)
  }

  /// Loads the model of a GGUF file.
  /// - Parameters: as for `load(_:options:store:progress:)`.
  public static func load(
    _ url: URL, reference: String? = nil, options: LoadOptions = .init(),
    store: ModelStore = ModelStore(),
    progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
  ) async throws -> LanguageModel {
    let draftURL: URL? =
      if let draft = options.draft {
        try await store.pull(draft, progress: { progress(.pulling($0)) }).url
      } else { nil }
    let clock = ContinuousClock()
    let start = clock.now
    let file = try GGUFFile(path: url.path(percentEncoded: false))
    let threads = options.threads ?? WorkerPool.defaultWorkers
    // The vocabulary's tables are built beside the packing of the weights.
    async let loadedTokenizer = ThreadExecutor(name: "foretoken.vocabulary").perform { _ in
      try Tokenizer(file)
    }
    let executor = ThreadExecutor(name: "foretoken.engine")
    let model = try await executor.perform { isCancelled in
      try Transformer(file: file, threads: threads, reference: options.reference) { fraction in
        if isCancelled() { throw CancellationError() }
        progress(.packing(fraction))
      }
    }
    try checkContext(options.context, model.configuration)
    let tokenizer = try await loadedTokenizer
    let curves = store.root.appending(path: "costs", directoryHint: .isDirectory)
    let engine = try await executor.perform { _ in
      try ForwardEngine(
        model: model, threads: threads, kv: options.kv, contextLimit: options.context)
    }
    let (workers, contextLimit) = (engine.workers, engine.contextLimit)
    var draftModel: DraftModel?
    if let draftURL {
      draftModel = try await executor.perform { isCancelled in
        let file = try GGUFFile(path: draftURL.path(percentEncoded: false))
        let small = try Transformer(file: file, threads: threads, reference: options.reference) {
          if isCancelled() { throw CancellationError() }
          progress(.packing($0))
        }
        return try DraftModel(
          name: options.draft ?? draftURL.lastPathComponent,
          engine: ForwardEngine(
            model: small, workers: workers, kv: options.kv,
            contextLimit: min(contextLimit, small.configuration.contextLength)),
          tokenizer: Tokenizer(file), target: tokenizer,
          costCurves: CostCurveStore(
            folder: curves, key: CostCurveKey(file: draftURL, threads: threads, kv: options.kv)))
      }
    }
    let generator = try Generator(
      engine: engine, tokenizer: tokenizer, executor: executor, draftModel: draftModel,
      costCurves: CostCurveStore(
        folder: curves, key: CostCurveKey(file: url, threads: threads, kv: options.kv)))
    return LanguageModel(
      reference: reference ?? url.lastPathComponent, url: url, tokenizer: tokenizer,
      generator: generator, loadTime: start.duration(to: clock.now))
  }

  private static func checkContext(_ context: Int?, _ configuration: ModelConfiguration) throws {
    guard let context else { return }
    guard (1...configuration.contextLength).contains(context) else {
      throw LanguageModelError.badContext(requested: context, limit: configuration.contextLength)
    }
  }

  // MARK: Generating

  /// Continues a text.
  ///
  /// - Parameters:
  ///   - prompt: taken as it is, without the model's chat template.
  ///   - options: what to generate and when to stop.
  ///   - parsesSpecialTokens: takes the text of control tokens, such as `<|im_end|>`, as those
  ///     tokens. Leave it off for text from outside.
  /// - Returns: events; the last one is `finish`. Mistakes in the request are thrown by the stream.
  public func generate(
    _ prompt: String, options: GenerationOptions = .init(), parsesSpecialTokens: Bool = false
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    generate(
      tokens: tokenizer.encode(prompt, addSpecial: true, parseSpecial: parsesSpecialTokens),
      options: options)
  }

  /// Continues a sequence of tokens.
  /// - Parameter tokens: the ones that begin a text (BOS) included.
  public func generate(
    tokens: [Int32], options: GenerationOptions = .init()
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    generator.generate(tokens, options: options)
  }

  /// Continues several texts side by side: each gives what it gives alone, in less time together.
  ///
  /// - Parameters:
  ///   - prompts: taken as they are, without the model's chat template.
  ///   - options: of every generation.
  ///   - parsesSpecialTokens: as for `generate(_:options:parsesSpecialTokens:)`.
  /// - Returns: the events of each prompt, in their order. Read them at the same time: a generation
  ///   whose events are not read pauses.
  public func generate(
    batch prompts: [String], options: GenerationOptions = .init(),
    parsesSpecialTokens: Bool = false
  ) -> [AsyncThrowingStream<GenerationEvent, any Error>] {
    generator.generate(
      batch: prompts.map {
        tokenizer.encode($0, addSpecial: true, parseSpecial: parsesSpecialTokens)
      }, options: options)
  }

  /// Makes several samples of one prompt side by side; the prompt is run once.
  ///
  /// - Parameters:
  ///   - prompt: taken as it is, without the model's chat template.
  ///   - samples: the options of each sample, with seeds of their own.
  ///   - parsesSpecialTokens: as for `generate(_:options:parsesSpecialTokens:)`.
  /// - Returns: the events of each sample.
  public func generate(
    _ prompt: String, samples: [GenerationOptions], parsesSpecialTokens: Bool = false
  ) -> [AsyncThrowingStream<GenerationEvent, any Error>] {
    generator.generate(
      tokenizer.encode(prompt, addSpecial: true, parseSpecial: parsesSpecialTokens),
      samples: samples)
  }
}

/// Why a model cannot be used as asked.
public enum LanguageModelError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// The context asked for is longer than what the model was trained for.
  case badContext(requested: Int, limit: Int)
  /// The model has no chat template.
  case noChatTemplate(model: String)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .badContext(let requested, let limit):
      "a context of \(requested) tokens was asked for, this model takes 1 to \(limit)"
    case .noChatTemplate(let model):
      "\(model) has no chat template: it continues text and was not trained to converse; use raw "
        + "generation (--raw)"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
