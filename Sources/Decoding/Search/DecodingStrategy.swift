import Transformers

/// A way to search for the output, for one generation: what `--decode` selects.
///
/// `SearchGeneration` runs the prompt, then calls `begin` once and `step` until the run is finished.
/// A strategy that decides token by token gives them out with `DecodingRun.emit`; one that compares
/// whole texts ends with `DecodingRun.finish(candidates:)`.
protocol DecodingStrategy: AnyObject {
  /// What to read out of the prompt's passes; `observePrompt` gets it.
  var promptOptions: ForwardOptions { get }
  /// True if the strategy runs the prompt itself, in its steps: then `begin` is not called, and
  /// the strategy says when the prompt is through (`DecodingRun.promptDone`).
  var runsPrompt: Bool { get }
  /// False if the strategy has to see the pass of every token of the prompt, so that nothing of an
  /// earlier turn can be reused.
  var reusesPrefix: Bool { get }

  /// A chunk of the prompt was run: its read-outs, rows in order.
  func observePrompt(_ output: ForwardOutput, rows: Int, run: DecodingRun) throws

  /// The prompt is committed in `run.conversation`.
  /// - Parameter logits: after the prompt's last token, [vocabulary]; valid until the next pass.
  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws

  /// One step of the search: usually one forward pass. Emits tokens or finishes the run at some
  /// point, and asks for no more than `run.tokensLeft`.
  func step(_ run: DecodingRun) throws
}

extension DecodingStrategy {
  var promptOptions: ForwardOptions { .plain }
  var runsPrompt: Bool { false }
  var reusesPrefix: Bool { true }
  func observePrompt(_ output: ForwardOutput, rows: Int, run: DecodingRun) throws {}
}

/// A kind of decoding strategy: what is known of it before one is made, and how one is made.
struct DecodingKind: Sendable {
  /// What the strategy does with settings that others take.
  struct Abilities: OptionSet, Sendable {
    let rawValue: Int
    /// Draws tokens, so that a temperature and truncation have a meaning.
    static let samples = Abilities(rawValue: 1)
    /// Ends with several texts (`GenerationSummary.candidates`).
    static let listsCandidates = Abilities(rawValue: 2)
    /// Needs the smaller model of `--draft`.
    static let needsDraftModel = Abilities(rawValue: 4)
  }

  /// Name, as `--decode` takes it.
  let name: String
  let abilities: Abilities
  /// Checks the method's own settings.
  /// - Throws: `GenerationError.invalidOption`.
  let validate: @Sendable (SearchOptions) throws -> Void
  /// Makes a strategy for one generation, on the engine's thread.
  let make: @Sendable (DecodingRun) throws -> any DecodingStrategy

  /// Checks what the options say beside the method's own settings.
  /// - Throws: `GenerationError.invalidOption` or what `validate` throws.
  func check(_ options: GenerationOptions) throws {
    let isDrafting = options.speculation != .auto && options.speculation != .none
    guard !isDrafting, options.customDrafter == nil, options.verification == nil else {
      throw GenerationError.invalidOption(
        name: "decoding", value: "\(name) together with drafts",
        expected: "one of the two: drafts serve plain decoding")
    }
    let sampling = options.sampling
    let truncates =
      sampling.topK > 0 || sampling.topP < 1 || sampling.minP > 0 || sampling.typicalP < 1
    if !abilities.contains(.samples), !sampling.isGreedy || truncates {
      throw GenerationError.invalidOption(
        name: "decoding", value: "\(name) with temperature or truncation",
        expected: "temperature 0 and no top-k, top-p, min-p or typical-p: nothing is drawn")
    }
    try validate(options.search)
  }
}

/// Decoding strategies by the name that `--decode` takes.
enum DecodingRegistry {
  /// The strategy of this name; nil if there is none.
  static func kind(_ name: String) -> DecodingKind? {
    switch name {
    case "beam": .beam
    case "diverse-beam": .diverseBeam
    case "contrastive": .contrastive
    case "exact-extract": .exactExtract
    case "cautious": .cautious
    case "entropy-adaptive": .entropyAdaptive
    case "superposed": .superposed
    case "adadec": .adaDec
    default: nil
    }
  }
}
