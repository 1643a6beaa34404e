import ArgumentParser
import Foretoken

/// `foretoken bench constraints`: what masks cost.
struct BenchConstraintsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "constraints",
    abstract: "Measure the masks of constraints over a model's vocabulary.",
    discussion: """
      Writes texts under a JSON Schema, any JSON object and a grammar of the size of a programming \
      language, each token drawn evenly among the possible ones, and times the mask of every state \
      on the way. Only the vocabulary of the model is used.

      EXAMPLES:
        foretoken bench constraints --model qwen2.5-coder-0.5b
        foretoken bench constraints --grammar c.gbnf --states 1000 --json
      """)

  @OptionGroup(title: "Model") var selection: ModelSelection

  @Option(
    help: ArgumentHelp(
      "Measure this GBNF grammar instead. (default: the three)", valueName: "path"),
    completion: .file())
  var grammar: String?

  @Option(help: ArgumentHelp("States of each constraint.", valueName: "count"))
  var states = 10_000

  @Option(help: ArgumentHelp("Key of the draws.", valueName: "number"))
  var seed: UInt64 = 1

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard (1...1_000_000).contains(states) else {
      throw ValidationError("--states is \(states), expected 1 to 1000000")
    }
  }

  func run() async throws {
    let model = try await Interrupts.cancelling { [selection] in try await selection.pull() }
    let tokenizer = try Tokenizer(GGUFFile(path: model.url.path(percentEncoded: false)))
    let benchmark = ConstraintBenchmark(tokenizer, states: states, seed: seed)
    let results = try constraints().map { try benchmark.measure($0.name, $0.constraint) }
    if json {
      let object: JSONValue = [
        "model": .string(selection.model), "vocabulary": .integer(tokenizer.vocabularyCount),
        "trie_ms": rounded(benchmark.trieMilliseconds), "states": .integer(states),
        "constraints": .array(results.map(\.json)),
      ]
      try TextStream.output.writeLine(object.serialized())
    } else {
      try show(results, benchmark, tokenizer)
    }
  }

  private func constraints() throws -> [(name: String, constraint: Constraint)] {
    guard let grammar else { return BenchConstraints.all }
    let text = try TextInput.read(argument: nil, file: grammar, what: "grammar")
    return [(grammar, .grammar(text))]
  }

  private func show(
    _ results: [ConstraintFigures], _ benchmark: ConstraintBenchmark, _ tokenizer: Tokenizer
  ) throws {
    var table = Table(
      .init("CONSTRAINT"), .init("BYTES", .right), .init("COMPILED", .right),
      .init("MASK P50", .right), .init("P90", .right), .init("P99", .right), .init("MAX", .right),
      .init("TOKENS POSSIBLE", .right))
    for result in results { table.append(result.row) }
    for line in table.lines(for: .output) { try TextStream.output.writeLine(line) }
    try TextStream.output.writeLine()
    try TextStream.output.writeLine(
      "\(states) states each, \(tokenizer.vocabularyCount) tokens; trie of the vocabulary made in "
        + "\(readableNumber(benchmark.trieMilliseconds)) ms")
  }
}
