import Constraints
import Foundation
import Transformers

/// A way to speculate, by the name that `--speculate` takes.
public struct SpeculationMethod: RawRepresentable, Sendable, Hashable, Codable,
  ExpressibleByStringLiteral
{
  /// Name of the method, as in the catalogue.
  public let rawValue: String
  /// The method of this name; the name is checked when a generation starts.
  public init(rawValue: String) { self.rawValue = rawValue }
  /// The method of this name; the name is checked when a generation starts.
  public init(stringLiteral value: String) { rawValue = value }

  /// All drafters that apply, planned together; plain decoding where none of them pays.
  public static let auto = SpeculationMethod(rawValue: "auto")
  /// No speculation: one token per forward pass.
  public static let none = SpeculationMethod(rawValue: "none")
}

/// A way to search for the output, by the name that `--decode` takes.
public struct DecodingMethod: RawRepresentable, Sendable, Hashable, Codable,
  ExpressibleByStringLiteral
{
  /// Name of the method, as in the catalogue.
  public let rawValue: String
  /// The method of this name; the name is checked when a generation starts.
  public init(rawValue: String) { self.rawValue = rawValue }
  /// The method of this name; the name is checked when a generation starts.
  public init(stringLiteral value: String) { rawValue = value }

  /// One token after another, each chosen as `SamplingOptions` say.
  public static let plain = DecodingMethod(rawValue: "plain")
  /// Several texts in one pass: Superposed Decoding.
  public static let superposed = DecodingMethod(rawValue: "superposed")

  /// True if the method compares several texts and lists them
  /// (`GenerationSummary.candidates`).
  public var listsCandidates: Bool {
    DecodingRegistry.kind(rawValue)?.abilities.contains(.listsCandidates) ?? false
  }
}

/// What to generate, and when to stop.
public struct GenerationOptions: Sendable, Equatable {
  /// Most tokens to generate; nil for as many as the context holds.
  public var maxTokens: Int?
  /// How tokens are chosen; greedy by default.
  public var sampling: SamplingOptions
  /// Strings that end the text; they are not part of it.
  public var stopStrings: [String]
  /// Tokens that end the text, beside the model's own; they are not part of it.
  public var stopTokens: [Int32]
  /// Bans the model's own end tokens, so that the text goes on to its length.
  public var ignoresEndOfText: Bool
  /// nil for no log-probabilities, else how many of the likeliest tokens to list beside the chosen
  /// one.
  public var logProbabilities: Int?
  /// How drafts are made.
  public var speculation: SpeculationMethod
  /// A drafter of the caller's own, instead of the one that `speculation` names.
  public var customDrafter: DrafterKind?
  /// A text that the output is expected to resemble, such as the one to be edited: what `input`
  /// drafts from. It can only save time. nil for the last message of the prompt.
  public var prediction: String?
  /// Path of the file that holds what the drafter learns: read if it is there, written when the
  /// generation is over. nil to keep it in memory only. For methods that say so, such as
  /// `recycling`.
  public var draftMemory: String?
  /// Path of the file of draft heads, for `medusa` and `hydra`; nil for the one in `Artifacts` that
  /// was made for the model.
  public var heads: String?
  /// Whether draft heads draft the tree that was best on held-out text, as their papers do; otherwise
  /// each step has the tree that the heads find likeliest then.
  public var usesStaticTree = false
  /// How drafts are tested; nil for the way that gives the tokens of plain decoding, greedy or
  /// sampled.
  public var verification: VerificationMethod?
  /// Shape of the drafted trees, for drafters that tell their probabilities; nil for what suits the
  /// verifier, which is one path for most.
  public var tree: TreeMethod?
  /// Longest drafted path; nil for what the planner or the tree's method says.
  public var draftDepth: Int?
  /// Most nodes drafted in one step; nil for what the planner or the method's paper says.
  public var maximumDraft: Int?
  /// Whether drafts are priced.
  public var planner: PlannerMode
  /// How the output is searched for.
  public var decoding: DecodingMethod
  /// Settings of the method that `decoding` names.
  public var search = SearchOptions()
  /// Tokens of the prompt that one forward pass takes, 1 to `ForwardEngine.maximumRows`. Changes
  /// the time and the grain of progress, never the output.
  public var prefillChunk: Int
  /// What the text has to be; nil for anything.
  public var constraint: Constraint?
  /// How samples under the constraint are distributed.
  public var alignment = AlignmentMethod.none
  /// Whether the traces of steps say why they drafted what they drafted (`StepTrace.plan`).
  public var explainsDrafts = false

  /// Greedy text of up to 512 tokens, unless asked otherwise.
  public init(
    maxTokens: Int? = 512, sampling: SamplingOptions = .greedy, stopStrings: [String] = [],
    stopTokens: [Int32] = [], ignoresEndOfText: Bool = false, logProbabilities: Int? = nil,
    speculation: SpeculationMethod = .auto, prediction: String? = nil,
    draftMemory: String? = nil,
    verification: VerificationMethod? = nil, tree: TreeMethod? = nil, draftDepth: Int? = nil,
    maximumDraft: Int? = nil, planner: PlannerMode = .on, decoding: DecodingMethod = .plain,
    prefillChunk: Int = 256
  ) {
    self.maxTokens = maxTokens
    self.sampling = sampling
    self.stopStrings = stopStrings
    self.stopTokens = stopTokens
    self.ignoresEndOfText = ignoresEndOfText
    self.logProbabilities = logProbabilities
    self.speculation = speculation
    self.prediction = prediction
    self.draftMemory = draftMemory
    self.verification = verification
    self.tree = tree
    self.draftDepth = draftDepth
    self.maximumDraft = maximumDraft
    self.planner = planner
    self.decoding = decoding
    self.prefillChunk = prefillChunk
  }

  /// Longest prediction: far more than any context holds.
  static let mostPredictionBytes = 4 << 20

  /// The method that these options select.
  /// - Throws: `MethodError` for one that is planned or unknown.
  public func method() throws -> Method {
    if alignment != .none {
      return try MethodRegistry.select(option: "--align", value: alignment.rawValue)
    }
    if decoding != .plain {
      return try MethodRegistry.select(option: "--decode", value: decoding.rawValue)
    }
    if let shapingMethod { return shapingMethod }
    return try MethodRegistry.select(option: "--speculate", value: speculation.rawValue)
  }

  /// Throws for the first setting that cannot be used: `MethodError`, `SamplingError` or
  /// `GenerationError.invalidOption`.
  /// - Parameter vocabularyCount: number of tokens of the model.
  public func validate(vocabularyCount: Int) throws {
    _ = try method()
    try DecodingRegistry.kind(decoding.rawValue)?.check(self)
    try sampling.validate(vocabularyCount: vocabularyCount)
    if let maxTokens { try check("maximum of tokens", maxTokens, 0...Int.max, "0 or more") }
    let rows = 1...ForwardEngine.maximumRows
    try check("prefill chunk", prefillChunk, rows, "1 to \(rows.upperBound) tokens")
    if let logProbabilities {
      let limit = TokenLogProbabilities.maximumTop
      try check("log-probabilities", logProbabilities, 0...limit, "0 to \(limit)")
    }
    if let maximumDraft {
      let most = ForwardEngine.maximumRows - 1
      try check("maximum of drafted tokens", maximumDraft, 1...most, "1 to \(most)")
    }
    if let draftMemory, drafterKind?.keepsMemory != true {
      throw GenerationError.invalidOption(
        name: "draft memory", value: "\(draftMemory) for \(speculation.rawValue)",
        expected: "a method that keeps what it learns, such as recycling")
    }
    if let prediction {
      let most = Self.mostPredictionBytes
      try check("prediction", prediction.utf8.count, 0...most, "at most \(most) bytes of UTF-8")
    }
    try validateDrafting()
    try checkConstraint()
    let mostStops = StopStringMatcher.maximumCount
    try check("stop strings", stopStrings.count, 0...mostStops, "at most \(mostStops)")
    for stop in stopStrings {
      let longest = StopStringMatcher.maximumBytes
      try check(
        "stop string", stop.utf8.count, 1...longest, "1 to \(longest) bytes of UTF-8 each")
    }
    for token in stopTokens {
      try check(
        "stop token", Int(token), 0...(vocabularyCount - 1), "a token id below \(vocabularyCount)")
    }
  }

  private func check(
    _ name: String, _ value: Int, _ range: ClosedRange<Int>, _ expected: String
  ) throws {
    guard range.contains(value) else {
      throw GenerationError.invalidOption(name: name, value: "\(value)", expected: expected)
    }
  }
}

/// Why a generation cannot start or go on.
public enum GenerationError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// A setting is out of range.
  case invalidOption(name: String, value: String, expected: String)
  /// The prompt has no tokens.
  case emptyPrompt
  /// The prompt is longer than the context.
  case promptTooLong(tokens: Int, limit: Int)
  /// The tokenizer and the weights are of different models.
  case vocabularyMismatch(tokenizer: Int, model: Int)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .invalidOption(let name, let value, let expected):
      "\(name) is \(value), expected \(expected)"
    case .emptyPrompt:
      "the prompt is empty, and this model has no token that begins a text; give some text"
    case .promptTooLong(let tokens, let limit):
      "the prompt has \(tokens) tokens, the context holds \(limit); give a shorter prompt, or a "
        + "larger context with --context"
    case .vocabularyMismatch(let tokenizer, let model):
      "the tokenizer has \(tokenizer) tokens, the weights are for \(model); the file is damaged"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
