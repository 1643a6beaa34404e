import Foretoken
import TestSupport
import Testing

/// Tests with real models. They share the machine's cores and memory, so they run one by one.
@Suite(.serialized) struct RealModelTests {}

/// Models by alias, each loaded once for a run of neighbouring tests.
actor LoadedModels {
  static let shared = LoadedModels()

  private var latest: (alias: String, model: Task<LanguageModel, any Error>)?

  /// The model with default options. Another alias lets go of the one before.
  func model(_ alias: String) async throws -> LanguageModel {
    if let latest, latest.alias == alias { return try await latest.model.value }
    let url = try await TestModels.path(alias)
    let model = Task { try await LanguageModel.load(url, reference: alias) }
    latest = (alias, model)
    return try await model.value
  }
}

/// What a generation gave.
struct Collected {
  var text = ""
  var tokens: [Int32] = []
  var summary: GenerationSummary?
  var pieces: [TextPiece] = []
  var steps: [StepTrace] = []
  var progress: [PromptProgress] = []
  var warnings: [GenerationWarning] = []

  init(_ events: AsyncThrowingStream<GenerationEvent, any Error>) async throws {
    for try await event in events {
      switch event {
      case .prompt(let value): progress.append(value)
      case .step(let value): steps.append(value)
      case .text(let piece):
        text += piece.text
        tokens += piece.tokens
        pieces.append(piece)
      case .warning(let value): warnings.append(value)
      case .finish(let value):
        #expect(summary == nil)
        summary = value
      }
    }
    #expect(summary != nil)
  }
}

/// All models that goldens exist for, small ones first.
let goldenModels = ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]
