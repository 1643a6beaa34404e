import Autograd
import Checkpoints
import Decoding
import Foundation

/// The whole way from prompts to a file of heads: the model's own answers, its hidden states, the
/// training, the accuracy on held-out text. Every stage keeps what it has done in a folder, and a run
/// that was stopped goes on from there.
public struct HeadsWorkshop: Sendable {
  /// What is going on.
  public enum Progress: Sendable {
    /// Prompts answered, of how many.
    case answering(Int, Int)
    /// Texts whose hidden states are stored, of how many.
    case reading(Int, Int)
    /// A step of training of how many, with positions per second and seconds left.
    case training(TrainingStep, of: Int, rate: Double, left: Double)
  }

  /// What came out.
  public struct Outcome: Sendable {
    /// The heads.
    public let file: DraftHeadsFile
    /// Positions trained on, and held out.
    public let positions: (training: Int, validation: Int)
    /// Accuracy of the most frequent token, and of the most frequent follower, by head.
    public let baselines: [(unigram: Double, bigram: Double)]
    /// The loss of every step.
    public let losses: [Double]
  }

  /// `medusa` or `hydra`.
  public let method: String
  /// How.
  public let recipe: HeadsRecipe
  /// Where the stages keep what they have done.
  public let folder: String
  /// Threads of the matrix products.
  public let threads: Int
  /// Whether to go on from the checkpoint before the latest.
  public let usesPrevious: Bool

  /// A workshop.
  public init(
    method: String, recipe: HeadsRecipe, folder: String, threads: Int, usesPrevious: Bool = false
  ) {
    self.method = method
    self.recipe = recipe
    self.folder = folder
    self.threads = threads
    self.usesPrevious = usesPrevious
  }

  /// Trains heads.
  ///
  /// - Parameters:
  ///   - prompts: names and tokens.
  ///   - model: the name it was loaded by.
  ///   - record: kept in the file.
  public func run(
    _ prompts: [(id: String, tokens: [Int32])], generator: Generator, model: String,
    record: [String: String], progress: (Progress) -> Void
  ) async throws -> Outcome {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let chosen = Array(prompts.prefix(recipe.prompts))
    let texts = try await answers(chosen, generator, progress)
    let cache = try await states(texts, generator, progress)
    let used = texts.prefix(cache.texts.count)
    let tokens = frequentTokens(used)
    let occurring = Set(used.flatMap(\.tokens)).sorted()
    let backbone = HeadsTraining.Backbone(
      headRows: try await generator.headRows(of: tokens),
      embeddings: method == "hydra" ? try await generator.embeddings(of: occurring) : [],
      embeddedTokens: occurring)
    let training = try HeadsTraining(
      method: method, recipe: recipe, cache: cache,
      texts: used.map { HeadsText(promptCount: $0.prompt.count, isValidation: isHeldOut($0.id)) },
      tokens: tokens, backbone: backbone)
    let losses = try train(training, progress)
    let accuracy = training.accuracy()
    return Outcome(
      file: DraftHeadsFile(
        method: method, model: model, modelBytes: await generator.modelBytes,
        hiddenSize: cache.hiddenSize, rank: recipe.rank, tokens: tokens,
        heads: training.model.weights, accuracy: accuracy,
        record: record.merging([
          "recipe": recipe.summary, "positions": "\(training.trainingPositions)",
        ]) { $1 }),
      positions: (training.trainingPositions, training.validationPositions),
      baselines: training.baselines(), losses: losses)
  }

  /// The turns of a conversation are never apart: what counts is the name up to the full stop.
  private func isHeldOut(_ id: String) -> Bool {
    let name = String(id.prefix { $0 != "." })
    return DataSplit(of: name, validation: recipe.validation) == .validation
  }

  private func answers(
    _ prompts: [(id: String, tokens: [Int32])], _ generator: Generator,
    _ progress: (Progress) -> Void
  ) async throws -> [DistilledText] {
    var options = GenerationOptions(maxTokens: recipe.answerTokens)
    options.speculation = .none
    if recipe.temperature > 0 {
      options.sampling.temperature = recipe.temperature
      options.sampling.seed = UInt64(recipe.seed)
    }
    let name = "answers-\(recipe.answerTokens)-\(recipe.temperature)-\(recipe.seed).jsonl"
    return try await SelfDistillation(path: "\(folder)/\(name)").run(
      prompts, generator: generator, options: options
    ) { progress(.answering($0, prompts.count)) }
  }

  private func states(
    _ texts: [DistilledText], _ generator: Generator, _ progress: (Progress) -> Void
  ) async throws -> HiddenStateCache {
    let path = "\(folder)/states.bin"
    let tokens = texts.map(\.tokens)
    if let cache = try? HiddenStateCache(path: path),
      cache.texts.elementsEqual(tokens.prefix(cache.texts.count)), cache.texts.count == tokens.count
    {
      return cache
    }
    try await HiddenStateCache.write(
      to: path, texts: tokens, hiddenSize: generator.configuration.hiddenSize,
      progress: { progress(.reading($0, tokens.count)) }
    ) { try await generator.hiddenStates(of: $0) }
    return try HiddenStateCache(path: path)
  }

  /// The tokens that the model writes most often, ascending.
  private func frequentTokens(_ texts: ArraySlice<DistilledText>) -> [Int32] {
    var counts: [Int32: Int] = [:]
    // Prompts count less: what they hold is often taken up in answers.
    for text in texts where !isHeldOut(text.id) {
      for token in text.answer { counts[token, default: 0] += 4 }
      for token in text.prompt { counts[token, default: 0] += 1 }
    }
    return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .prefix(recipe.vocabulary).map(\.key).sorted()
  }

  private func train(
    _ training: HeadsTraining, _ progress: (Progress) -> Void
  ) throws -> [Double] {
    BLAS.setThreads(threads)
    let checkpoints = "\(folder)/\(method)"
    try FileManager.default.createDirectory(
      atPath: checkpoints, withIntermediateDirectories: true)
    let trainer = Trainer(
      AdamW(training.model.parameters, beta2: 0.99, decay: Float(recipe.decay)), plan: recipe.plan,
      folder: checkpoints)
    _ = try trainer.resume(usesPrevious: usesPrevious)
    let log = try TrainingLog(path: "\(checkpoints)/log.jsonl", after: trainer.steps.count)
    let clock = ContinuousClock()
    var last = clock.now
    var seconds = 0.0  // of a step, as a running mean
    try trainer.run(loss: { step, _ in training.loss(step) }) { step in
      let now = clock.now
      seconds += (last.duration(to: now) / .seconds(1) - seconds) * (seconds == 0 ? 1 : 0.1)
      last = now
      try log.append(step)
      progress(
        .training(
          step, of: recipe.steps, rate: Double(recipe.batch) / max(seconds, 1e-9),
          left: seconds * Double(recipe.steps - step.step - 1)))
      try Task.checkCancellation()
    }
    let losses = trainer.steps.map(\.loss)
    let curve = try AtomicFile(path: "\(checkpoints)/loss.svg")
    try curve.write(Array(LossCurve.svg(losses, title: "\(method) heads").utf8))
    try curve.commit()
    return losses
  }
}

/// A file of JSON lines, one for each step.
final class TrainingLog {
  private let file: FileHandle
  private let encoder = JSONEncoder()

  /// Opens the log and drops what was written after the checkpoint that training goes on from.
  init(path: String, after steps: Int) throws {
    encoder.outputFormatting = .sortedKeys
    let known = FileManager.default.contents(atPath: path) ?? Data()
    let lines = known.split(separator: 0x0A).prefix(steps)
    let start = try AtomicFile(path: path)
    for line in lines { try start.write(Array(line) + [0x0A]) }
    try start.commit()
    guard let file = FileHandle(forWritingAtPath: path) else {
      throw LearningError(path, "cannot be written")
    }
    self.file = file
    try file.seekToEnd()
  }

  /// Adds a line.
  func append(_ step: TrainingStep) throws {
    try file.write(contentsOf: encoder.encode(step) + [0x0A])
  }

  deinit { try? file.close() }
}
