import Foretoken

/// What became of one problem.
struct CodeResult: Sendable {
  let id: String
  let outcome: CodeSandbox.Outcome
  let completion: String
  let summary: GenerationSummary

  /// The result as one object.
  var json: JSONObject {
    JSONObject([
      ("task_id", .string(id)), ("passed", .bool(outcome == .passed)),
      ("outcome", .string(outcome.rawValue)), ("completion", .string(completion)),
      ("tokens", .integer(summary.generatedTokens)), ("forwards", .integer(summary.forwards)),
      ("forward_rows", .integer(summary.forwardRows - summary.promptTokens)),
      ("decode_ms", rounded(summary.decodeMilliseconds)),
      ("method", .string(summary.method)), ("finish_reason", .string(summary.finishReason.name)),
    ])
  }
}

/// Writes functions and runs them, one after another.
actor CodeBenchmark {
  private(set) var results: [CodeResult] = []
  private let model: LanguageModel
  private let options: GenerationOptions
  private let sandbox = CodeSandbox()
  private let executor = ThreadExecutor(name: "foretoken.sandbox")

  init(_ model: LanguageModel, options: GenerationOptions) {
    self.model = model
    self.options = options
  }

  /// Goes through the problems until the task is cancelled.
  /// - Parameter showsResults: whether each result is noted on standard error.
  func run(_ problems: [CodeProblem], showsResults: Bool) async throws {
    for problem in problems {
      try Task.checkCancellation()
      let result = try await result(problem)
      results.append(result)
      if showsResults {
        note("\(result.id)  \(result.outcome.rawValue)  \(result.summary.generatedTokens) tokens")
      }
    }
  }

  private func result(_ problem: CodeProblem) async throws -> CodeResult {
    var completion = ""
    var summary: GenerationSummary?
    for try await event in model.generate(problem.prompt, options: options) {
      switch event {
      case .text(let piece): completion += piece.text
      case .finish(let value): summary = value
      case .prompt, .step, .warning: break
      }
    }
    try Task.checkCancellation()
    guard let summary else { throw CancellationError() }
    let program = problem.program(completion)
    let outcome = try await executor.perform { [sandbox] _ in try sandbox.run(program) }
    return CodeResult(
      id: problem.id, outcome: outcome, completion: completion, summary: summary)
  }
}

/// The figures of all problems.
struct CodeReport {
  let model: String
  let results: [CodeResult]

  private var passed: Int { results.count { $0.outcome == .passed } }
  private var tokens: Int { results.reduce(0) { $0 + $1.summary.generatedTokens } }
  private var forwards: Int { results.reduce(0) { $0 + $1.summary.forwards } }
  private var milliseconds: Double {
    results.reduce(0) { $0 + $1.summary.decodeMilliseconds }
  }
  private var rows: Int {
    results.reduce(0) { $0 + $1.summary.forwardRows - $1.summary.promptTokens }
  }
  private var share: Double { Double(passed) / Double(max(results.count, 1)) }

  /// One line of JSON for each problem.
  var lines: String {
    results.map { JSONValue.object($0.json).serialized() + "\n" }.joined()
  }

  /// One object.
  var json: JSONValue {
    .object(
      JSONObject([
        ("model", .string(model)), ("method", .string(results.first?.summary.method ?? "")),
        ("problems", .integer(results.count)), ("passed", .integer(passed)),
        ("pass_at_1", rounded(share)), ("tokens", .integer(tokens)),
        ("forwards", .integer(forwards)), ("forward_rows", .integer(rows)),
        ("decode_ms", rounded(milliseconds)),
        ("results", .array(results.map { .object($0.json) })),
      ]))
  }

  /// For people.
  var text: String {
    let seconds = milliseconds / 1000
    return "\(model), \(results.first?.summary.method ?? ""): "
      + "\(passed) of \(results.count) pass (\(readableRatio(share * 100))%), "
      + "\(tokens) tokens, \(rows) rows in \(forwards) forward passes, "
      + "\(readableRatio(seconds)) s"
  }
}
