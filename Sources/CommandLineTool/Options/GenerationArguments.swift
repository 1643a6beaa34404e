import ArgumentParser
import Foretoken

extension VerificationMethod: ExpressibleByArgument {}
extension TreeMethod: ExpressibleByArgument {}
extension PlannerMode: ExpressibleByArgument {}

/// What to generate, and when to stop.
struct GenerationArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Most tokens to generate.", valueName: "count"))
  var maxTokens = 512

  @Option(
    help: ArgumentHelp(
      "Text that ends the output and is not part of it. Repeatable. (default: none)",
      valueName: "text"))
  var stop: [String] = []

  @Flag(help: "Go on after the model's own end of text, up to --max-tokens.")
  var ignoreEos = false

  @Option(
    help: ArgumentHelp(
      "How drafts are made: auto (all drafters that apply, planned together), none or a method of "
        + "'foretoken methods'.", valueName: "method"),
    completion: .list(MethodRegistry.availableValues(of: "--speculate")))
  var speculate = SpeculationMethod.auto

  @Option(
    help: ArgumentHelp(
      "A text that the output will resemble, such as the one to be edited: what --speculate input "
        + "drafts from, and auto beside others. (default: the prompt's last message)",
      valueName: "path"),
    completion: .file())
  var prediction: String?

  @Option(
    help: ArgumentHelp(
      "Keep what --speculate recycling learns, alone or within auto, in this file: read if it is "
        + "there, written at the end. (default: none)",
      valueName: "path"),
    completion: .file())
  var draftMemory: String?

  @Option(
    help: ArgumentHelp(
      "File of trained heads for --speculate medusa and hydra. (default: the one in Artifacts that was "
        + "made for the model)", valueName: "path"),
    completion: .file(extensions: ["safetensors"]))
  var heads: String?

  @Flag(
    help: ArgumentHelp(
      "Let heads draft the tree that was best on held-out text, as their papers do, not the one that "
        + "they find likeliest at each step."))
  var staticTree = false

  @Option(
    help: ArgumentHelp(
      "How drafts are tested: greedy, coupled (the text of plain decoding, sampled too) or "
        + "rejection (another sample of the same distribution), with trees of a draft model "
        + "specinfer, spectr or recursive instead of rejection. (default: greedy at temperature "
        + "0, else coupled)", valueName: "verifier"))
  var verify: VerificationMethod?

  @Option(
    help: ArgumentHelp(
      "Shape of a draft model's trees: chain, static, sequoia, dyspec, dyspec-greedy, rsd-c or "
        + "rsd-s. (default: the one that --verify was made for, else chain)", valueName: "shape"))
  var tree: TreeMethod?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Longest path of drafted tokens. (default: what planner, tree or paper say)",
      valueName: "count"))
  var draftDepth: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most tokens drafted in one step. (default: what the planner or the method's paper says)",
      valueName: "count"))
  var maxDraft: Int?

  @Option(
    help: ArgumentHelp(
      "On drafts as much as pays on this machine; off as much as the method's paper says.",
      valueName: "on|off"))
  var planner = PlannerMode.on

  @Option(
    help: ArgumentHelp(
      "How the output is searched for: plain or a method of 'foretoken methods'.",
      valueName: "method"),
    completion: .list(MethodRegistry.availableValues(of: "--decode")))
  var decode = DecodingMethod.plain

  @Option(
    help: ArgumentHelp(
      "Prompt tokens that one forward pass takes, 1 to 512. Changes the time, never the text.",
      valueName: "tokens"))
  var prefillChunk = 256

  @OptionGroup(title: "Search") var search: SearchArguments
  @OptionGroup(title: "Adaptive search") var adaptive: AdaptiveSearchArguments

  /// The library's options.
  ///
  /// - Parameter logProbabilities: tokens to list beside each chosen one; nil for none.
  func options(
    sampling: SamplingOptions = .greedy, logProbabilities: Int? = nil
  ) -> GenerationOptions {
    var options = GenerationOptions(
      maxTokens: maxTokens, sampling: sampling, stopStrings: stop,
      ignoresEndOfText: ignoreEos, logProbabilities: logProbabilities, speculation: speculate,
      draftMemory: draftMemory, verification: verify, tree: tree, draftDepth: draftDepth,
      maximumDraft: maxDraft, planner: planner, decoding: decode, prefillChunk: prefillChunk)
    options.search = search.options
    adaptive.apply(to: &options.search)
    options.heads = heads
    options.usesStaticTree = staticTree
    return options
  }

  /// The text of --prediction; nil if there is none.
  /// - Throws: `InputError` for a file that cannot be read.
  func predictionText() throws -> String? {
    try prediction.map { try TextInput.read(argument: nil, file: $0, what: "prediction") }
  }

  func validate() throws {
    if prediction != nil, speculate != "input", speculate != .auto {
      throw ValidationError(
        "--prediction is what --speculate input and auto draft from, and --speculate is "
          + "\(speculate.rawValue); drop one of them")
    }
    let hasHeads = DrafterRegistry.needsHeads(speculate.rawValue)
    if !hasHeads, heads != nil || staticTree {
      throw ValidationError(
        "\(heads == nil ? "--static-tree" : "--heads") is for --speculate medusa and hydra, and "
          + "--speculate is \(speculate.rawValue); drop one of them")
    }
    try search.check(with: decode)
    try adaptive.check(with: decode)
    var options = options()
    // What has to fit the drafter is checked where the drafter is known.
    (options.tree, options.verification) = (nil, nil)
    try Self.validate(options)
    guard speculate == .none else { return }
    if maxDraft != nil || draftDepth != nil {
      throw ValidationError(
        "\(maxDraft == nil ? "--draft-depth" : "--max-draft") limits drafts, and --speculate none "
          + "makes none; drop one of them")
    }
    if planner == .off {
      throw ValidationError(
        "--planner off drafts as much as a paper says, and --speculate none makes no drafts; drop "
          + "one of them")
    }
  }

  private static func validate(_ options: GenerationOptions) throws {
    do {
      try options.validate(vocabularyCount: Int(Int32.max))
    } catch {
      throw ValidationError("\(error)")
    }
  }

  /// Checks what depends on both groups of options.
  ///
  /// - Parameter methods: what drafts, where that is not --speculate.
  /// - Throws: `ValidationError` that names the fix.
  func check(with sampling: SamplingArguments, methods: [String]? = nil) throws {
    if verify == .greedy, sampling.temperature > 0 {
      throw ValidationError(
        "--verify greedy takes the likeliest tokens, and --temperature is "
          + "\(sampling.temperature); use --verify coupled or rejection, or --temperature 0")
    }
    for method in methods ?? [speculate.rawValue] {
      var options = options(sampling: sampling.options)
      options.speculation = SpeculationMethod(rawValue: method)
      try Self.validate(options)
    }
  }
}

extension SpeculationMethod: ExpressibleByArgument {
  /// Takes any name; `validate` tells planned methods from unknown ones.
  public init?(argument: String) { self.init(rawValue: argument) }
}

extension DecodingMethod: ExpressibleByArgument {
  /// Takes any name; `validate` tells planned methods from unknown ones.
  public init?(argument: String) { self.init(rawValue: argument) }
}
