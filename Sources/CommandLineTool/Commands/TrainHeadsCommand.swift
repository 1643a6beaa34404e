import Foretoken
import ArgumentParser
import Foundation
import Learning

/// `foretoken train medusa`, `foretoken train hydra`: heads that draft for a model.
protocol TrainHeadsCommand: AsyncParsableCommand {
  static var method: String { get }
  var arguments: TrainHeadsArguments { get }
}

extension TrainHeadsCommand {
  func run() async throws {
    let (arguments, method) = (arguments, Self.method)
    try await Interrupts.cancelling { try await arguments.train(method) }
  }
}

/// `foretoken train medusa`.
struct TrainMedusaCommand: TrainHeadsCommand {
  static let method = "medusa"
  static let configuration = CommandConfiguration(
    commandName: method,
    abstract: "Train Medusa heads: each guesses a later token by itself.",
    discussion: """
      The model answers the prompts of --data; small heads learn to guess from its last hidden state \
      what comes two, three, four tokens later. What is done is kept in <out>.work, and the same \
      command goes on from there.

      EXAMPLES:
        foretoken train medusa --data prompts.jsonl --source "our prompts" --licence own \\
          --out medusa.safetensors
        foretoken run --speculate medusa --heads medusa.safetensors "Explain recursion"
      """)
  @OptionGroup var arguments: TrainHeadsArguments
}

/// `foretoken train hydra`.
struct TrainHydraCommand: TrainHeadsCommand {
  static let method = "hydra"
  static let configuration = CommandConfiguration(
    commandName: method,
    abstract: "Train Hydra heads: each also sees the tokens drafted before.",
    discussion: """
      The model answers the prompts of --data; small heads learn to guess from its last hidden state, \
      and from the tokens in between, what comes two, three, four tokens later. What is done is kept \
      in <out>.work, and the same command goes on from there.

      EXAMPLES:
        foretoken train hydra --data prompts.jsonl --source "our prompts" --licence own \\
          --out hydra.safetensors
        foretoken run --speculate hydra --heads hydra.safetensors "Explain recursion"
      """)
  @OptionGroup var arguments: TrainHeadsArguments
}

/// Options of the trainings of heads.
struct TrainHeadsArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Prompts: JSON lines with turns, prompt, question or text, or a plain text of paragraphs.",
      valueName: "path"),
    completion: .file())
  var data: String

  @Option(help: ArgumentHelp("Where --data comes from; kept in the result.", valueName: "text"))
  var source: String

  @Option(help: ArgumentHelp("Licence of --data; kept in the result.", valueName: "name"))
  var licence: String

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The file of heads that is written.", valueName: "path"),
    completion: .file(extensions: ["safetensors"]))
  var out: String

  @Option(
    help: ArgumentHelp(
      "Settings as 'key: value' lines, such as steps, rank, rate, target. (default: the recipe of "
        + "the guide)", valueName: "path"),
    completion: .file(extensions: ["yaml"]))
  var recipe: String?

  @Option(
    help: ArgumentHelp(
      "Folder of what the stages keep; medusa and hydra may share it. (default: <out>.work)",
      valueName: "path"),
    completion: .directory)
  var work: String?

  @Flag(help: "Go on from the checkpoint before the latest, if that is damaged.")
  var resumePrevious = false

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    guard !source.isEmpty, !licence.isEmpty else {
      throw ValidationError("--source and --licence are kept in the result; give both")
    }
  }

  func train(_ method: String) async throws {
    let recipe =
      try recipe.map {
        try HeadsRecipe(
          yaml: TextInput.read(argument: nil, file: $0, what: "recipe"), name: $0)
      } ?? HeadsRecipe()
    let prompts = try TrainingPrompt.read(data)
    let languageModel = try await model.load()
    let encoded = try prompts.flatMap { prompt in
      try prompt.turns.prefix(1).enumerated().compactMap { index, turn in
        let tokens = try encode(turn, languageModel)
        let room = min(recipe.promptTokens, languageModel.contextLimit - recipe.answerTokens)
        return tokens.count <= room ? (id: "\(prompt.id).\(index)", tokens: tokens) : nil
      }
    }
    let line = ProgressLine()
    defer { line.clear() }
    let start = ContinuousClock.now
    let outcome = try await HeadsWorkshop(
      method: method, recipe: recipe, folder: work ?? out + ".work",
      threads: languageModel.generator.threads, usesPrevious: resumePrevious
    ).run(
      encoded, generator: languageModel.generator, model: languageModel.reference,
      record: ["source": source, "licence": licence, "command": CommandRecord.text]
    ) { line.show(moment($0, start)) }
    try outcome.file.write(to: out)
    line.clear()
    try report(outcome)
  }

  private func encode(_ text: String, _ model: LanguageModel) throws -> [Int32] {
    model.tokenizer.chatTemplate == nil
      ? model.tokenizer.encode(text, addSpecial: true, parseSpecial: false)
      : try model.encode([ChatMessage(role: "user", content: text)])
  }

  private func moment(
    _ progress: HeadsWorkshop.Progress, _ start: ContinuousClock.Instant
  ) -> ProgressLine.Moment {
    switch progress {
    case .answering(let done, let total):
      .init(
        phase: "answering prompts", fraction: Double(done) / Double(max(total, 1)),
        detail: "\(done) of \(total)")
    case .reading(let done, let total):
      .init(
        phase: "storing hidden states", fraction: Double(done) / Double(max(total, 1)),
        detail: "\(done) of \(total)")
    case .training(let step, let total, let rate, let left):
      .init(
        phase: "training", fraction: Double(step.step + 1) / Double(total),
        detail: "step \(step.step + 1) of \(total), loss \(readableRatio(step.loss)), "
          + "\(Int(rate)) positions/s, "
          + (left < 120 ? "\(Int(left)) s left" : "\(Int(left / 60)) min left"))
    }
  }

  private func report(_ outcome: HeadsWorkshop.Outcome) throws {
    if json {
      let object: [String: Any] = [
        "method": outcome.file.method, "out": out, "accuracy": outcome.file.accuracy,
        "unigram": outcome.baselines.map(\.unigram), "bigram": outcome.baselines.map(\.bigram),
        "training_positions": outcome.positions.training,
        "validation_positions": outcome.positions.validation, "loss": outcome.losses.last ?? 0,
      ]
      let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      return try TextStream.output.writeLine(String(decoding: data, as: UTF8.self))
    }
    func percent(_ share: Double) -> String { readableNumber(100 * share) + "%" }
    try TextStream.output.writeLine(
      "\(outcome.positions.training) positions trained on, \(outcome.positions.validation) held out"
    )
    for (index, accuracy) in outcome.file.accuracy.enumerated() {
      let base = outcome.baselines[index]
      try TextStream.output.writeLine(
        "head \(index + 1): first guess right \(percent(accuracy[0])), among five "
          + "\(percent(accuracy.prefix(5).reduce(0, +))); most frequent token "
          + "\(percent(base.unigram)), most frequent follower \(percent(base.bigram))")
    }
    try TextStream.output.writeLine("written to \(out)")
  }
}
