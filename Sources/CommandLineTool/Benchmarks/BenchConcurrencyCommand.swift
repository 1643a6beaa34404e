import ArgumentParser
import Foretoken

/// `foretoken bench concurrency`: many generations at the same time.
struct BenchConcurrencyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "concurrency",
    abstract: "Measure the tokens per second of many generations at the same time.",
    discussion: """
      Generations that run at the same time share their forward passes. For each number of \
      sequences, so many prompts are answered side by side, prefill included; the numbers take \
      turns. Every text is compared with the one that its prompt gives alone.

      EXAMPLES:
        foretoken bench concurrency
        foretoken bench concurrency --model qwen2.5-coder-0.5b --sequences 1,8 --speculate none,copy
        foretoken bench concurrency --data Benchmarks/spec-bench-sample.jsonl --tokens 128 --json
      """)

  @Option(help: ArgumentHelp("Numbers of sequences, 1 to 256 each.", valueName: "list"))
  var sequences = SequenceCounts([1, 2, 4, 8, 16])

  @Option(help: ArgumentHelp("Ways to draft, with commas.", valueName: "list"))
  var speculate = "none"

  @Option(help: ArgumentHelp("Tokens of each answer, 1 to 4096.", valueName: "count"))
  var tokens = 64

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Temperature; the seed of each prompt is fixed.", valueName: "t"))
  var temperature = 0.0

  @Option(help: ArgumentHelp("Runs of each measurement, 1 to 100.", valueName: "count"))
  var repeats = 3

  @Option(
    help: ArgumentHelp(
      "Prompts as JSON lines, as for 'bench spec'. (default: sixteen questions)",
      valueName: "path"),
    completion: .file())
  var data: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    guard (1...4096).contains(tokens) else {
      throw ValidationError("--tokens is \(tokens), expected 1 to 4096")
    }
    guard (1...100).contains(repeats) else {
      throw ValidationError("--repeats is \(repeats), expected 1 to 100")
    }
    for method in methods {
      do {
        try options(method).validate(vocabularyCount: Int(Int32.max))
      } catch {
        throw ValidationError("\(error)")
      }
    }
  }

  private var methods: [SpeculationMethod] {
    speculate.split(separator: ",", omittingEmptySubsequences: false)
      .map { SpeculationMethod(rawValue: String($0)) }
  }

  private func options(_ method: SpeculationMethod) -> GenerationOptions {
    GenerationOptions(
      maxTokens: tokens, sampling: .init(temperature: temperature, seed: 7),
      ignoresEndOfText: true, speculation: method)
  }

  func run() async throws {
    let prompts = try data.map(BenchPrompt.read)?.map { $0.turns[0] } ?? Self.questions
    try await Interrupts.cancelling { try await measure(prompts) }
  }

  private func measure(_ prompts: [String]) async throws {
    let languageModel = try await model.load()
    let benchmark = ConcurrencyBenchmark(
      model: languageModel, prompts: try prompts.map { try encode($0, languageModel) },
      counts: sequences.counts, repeats: repeats)
    var report = ConcurrencyReport(
      model: languageModel.reference, threads: languageModel.generator.threads, tokens: tokens,
      temperature: temperature, rows: [])
    let progress = BenchProgress(total: benchmark.work * Double(methods.count))
    defer { progress.finish() }
    for method in methods {
      report.rows += try await benchmark.run(options(method), name: method.rawValue, progress)
    }
    progress.finish()
    if json {
      try TextStream.output.writeLine(report.json.serialized())
    } else {
      for line in report.lines(for: .output) { try TextStream.output.writeLine(line) }
    }
  }

  private func encode(_ prompt: String, _ model: LanguageModel) throws -> [Int32] {
    if model.tokenizer.chatTemplate == nil {
      return model.tokenizer.encode(prompt, addSpecial: true, parseSpecial: false)
    }
    return try model.encode([ChatMessage(role: "user", content: prompt)])
  }

  private static let questions = [
    "Explain in a few sentences why the sky is blue.",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Tom has 3 boxes with 12 apples each and gives away 7. How many are left?",
    "Write a short story about a fisherman who finds a bottle.",
    "List ten European countries and their capitals.",
    "What is photosynthesis?", "Write a polite email that asks for a day off.",
    "Explain how a bicycle stays upright.", "Compare cats and dogs as pets.",
    "How do I make pancakes? List the ingredients and the steps.",
    "What were the causes of the First World War?", "Explain recursion to a child.",
    "Write a SQL query that counts the orders of each customer.",
    "Give three tips for learning a language.", "Describe the water cycle.",
    "Write a JSON object that describes a book with its chapters.",
  ]
}

/// Numbers of sequences, such as `1,2,4`.
struct SequenceCounts: ExpressibleByArgument {
  let counts: [Int]

  init(_ counts: [Int]) { self.counts = counts }

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    let counts = numbers.compactMap(\.self)
    guard !counts.isEmpty, counts.count == numbers.count,
      counts.allSatisfy((1...256).contains)
    else { return nil }
    self.counts = counts
  }

  var defaultValueDescription: String { counts.map(String.init).joined(separator: ",") }
}
