import ArgumentParser
import Foretoken
import Foundation

/// `foretoken train adadec-threshold`: learns where greedy decoding should pause.
struct TrainThresholdCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adadec-threshold",
    abstract: "Learn the entropy from which --decode adadec pauses, for one model.",
    discussion: """
      The model reads prompts with their reference answers; how sure it was of each token of the \
      answers, and whether its likeliest token was right, gives the threshold. The data are \
      HumanEval's 164 functions (--humaneval, MIT) or JSON lines with 'prompt' and 'solution'.

      EXAMPLES:
        foretoken train adadec-threshold --model qwen2.5-coder-0.5b --humaneval
        foretoken train adadec-threshold --data pairs.jsonl --source "our code" --licence own
      """)

  @Flag(help: "Learn from HumanEval, fetched first if it is not here.")
  var humaneval = false

  @Option(
    help: ArgumentHelp(
      "Learn from JSON lines with 'prompt' and 'solution'. (default: none)", valueName: "path"),
    completion: .file())
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Where --data comes from; kept in the result. (default: none)", valueName: "text"))
  var source: String?

  @Option(
    help: ArgumentHelp(
      "Licence of --data; kept in the result. (default: none)", valueName: "name"))
  var licence: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Pairs to learn from at most. (default: all)", valueName: "count"))
  var limit: Int?

  @Option(help: ArgumentHelp("Seed of the part that is held out.", valueName: "seed"))
  var seed: UInt64 = 42

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Write the result to a file as JSON. (default: none)", valueName: "path"),
    completion: .file())
  var output: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    guard humaneval != (data != nil) else {
      throw ValidationError("give --humaneval or --data FILE, one of them")
    }
    if data != nil, source?.isEmpty ?? true || licence?.isEmpty ?? true {
      throw ValidationError("--data needs --source and --licence, which are kept in the result")
    }
    if humaneval, source != nil || licence != nil {
      throw ValidationError("--source and --licence are for --data; drop them")
    }
    if let limit, limit < 1 { throw ValidationError("--limit is \(limit), expected 1 or more") }
  }

  func run() async throws {
    let output = try output.map { try OutputFile($0) }
    let pairs = try await Interrupts.cancelling { try await self.pairs() }
    let threshold = try await Interrupts.cancelling { try await self.learn(pairs) }
    try output?.write(try threshold.json())
    try json ? TextStream.output.write(threshold.json(inOneLine: true)) : report(threshold)
  }

  private func pairs() async throws -> [ReferencePair] {
    let text =
      if let data {
        try TextInput.read(argument: nil, file: data, what: "file of pairs")
      } else { try await HumanEval.text() }
    let pairs = try ReferencePair.parse(text, name: data ?? "HumanEval")
    return Array(pairs.prefix(limit ?? .max))
  }

  private func learn(_ pairs: [ReferencePair]) async throws -> AdaDecThreshold {
    let languageModel = try await model.load()
    let tokenizer = languageModel.tokenizer
    var steps: [AdaDecThreshold.Step] = []
    var used = 0
    for (index, pair) in pairs.enumerated() {
      let prompt = tokenizer.encode(pair.prompt, addSpecial: true, parseSpecial: false)
      let answer = tokenizer.encode(pair.solution, addSpecial: false, parseSpecial: false)
      guard !prompt.isEmpty, prompt.count + answer.count <= languageModel.contextLimit else {
        note("pair \(index + 1) is left out: \(prompt.count + answer.count) tokens are too many")
        continue
      }
      steps += try await languageModel.generator.predictions(
        of: prompt + answer, from: prompt.count)
      used += 1
      if (index + 1) % 20 == 0 { note("\(index + 1) of \(pairs.count) pairs") }
    }
    let bytes = await languageModel.generator.modelBytes
    return try AdaDecThreshold(
      learning: steps, seed: seed, model: languageModel.reference, modelBytes: bytes,
      training: .init(
        source: source ?? HumanEval.source, license: licence ?? HumanEval.licence, items: used,
        steps: steps.count),
      command: CommandRecord.text)
  }

  private func report(_ learnt: AdaDecThreshold) throws {
    func percent(_ share: Double) -> String { readableNumber(100 * share) + "%" }
    for line in [
      "threshold               \(readableRatio(learnt.threshold)) nats",
      "predicted tokens        \(learnt.training.steps) of \(learnt.training.items) answers",
      "likeliest token right   \(percent(learnt.topShare))",
      "pauses                  \(percent(learnt.pauseShare)) of the tokens",
      "  likeliest right       \(percent(learnt.topShareAtPauses))",
      "  among three likeliest \(percent(learnt.topThreeShareAtPauses))",
      "area under the curve    \(readableRatio(learnt.areaUnderCurve))",
    ] {
      try TextStream.output.writeLine(line)
    }
  }
}

/// A prompt and the answer that it should get.
struct ReferencePair: Equatable {
  let prompt: String
  let solution: String

  /// Reads JSON lines with `prompt` and `solution` or `canonical_solution`.
  /// - Throws: `InputError` that names the line.
  static func parse(_ text: String, name: String) throws -> [ReferencePair] {
    var pairs: [ReferencePair] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      let place = "\(name), line \(index + 1),"
      let value: JSONValue
      do {
        value = try JSONValue(parsing: String(line))
      } catch {
        throw InputError(place, "is not JSON: \(error)")
      }
      let solution = value["solution"] ?? value["canonical_solution"]
      guard let prompt = value["prompt"]?.stringValue, let answer = solution?.stringValue,
        !prompt.isEmpty, !answer.isEmpty
      else { throw InputError(place, "has no texts in 'prompt' and 'solution'; both are needed") }
      pairs.append(ReferencePair(prompt: prompt, solution: answer))
    }
    guard !pairs.isEmpty else { throw InputError(name, "has no pairs") }
    return pairs
  }
}
