import ArgumentParser
import Foretoken

extension BeamSearchOptions.Diversity: ExpressibleByArgument {}
extension BeamSearchOptions.Stopping: ExpressibleByArgument {}

/// Settings of the methods that `--decode` names.
struct SearchArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Sequences that --decode beam and diverse-beam follow, 1 to 512. (default: 4)",
      valueName: "count"))
  var beams: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Groups of equal size that the beams of diverse-beam form. (default: as many as beams)",
      valueName: "count"))
  var beamGroups: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "What diverse-beam takes off a token's log-probability for each use by an earlier group. "
        + "(default: 0.5)", valueName: "nats"))
  var diversity: Double?

  @Option(
    help: ArgumentHelp(
      "What counts as a use: hamming, the same token in the same step; ngram, the same n-gram "
        + "anywhere. (default: hamming)", valueName: "kind"))
  var diversityKind: BeamSearchOptions.Diversity?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Finished texts of beams are ordered by their log-probability divided by their length to this "
        + "power. (default: 1)", valueName: "power"))
  var lengthPenalty: Double?

  @Option(
    help: ArgumentHelp(
      "When beams stop: early, with as many finished texts as beams; heuristic, when no live one is "
        + "better; exhaustive, when none can become better. (default: heuristic)",
      valueName: "rule"))
  var beamStop: BeamSearchOptions.Stopping?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Likeliest tokens that contrastive compares, 1 to 64. (default: 5)", valueName: "count"))
  var candidates: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Weight of likeness to the text so far in contrastive, 0 (greedy) to 1. (default: 0.6)",
      valueName: "alpha"))
  var penaltyAlpha: Double?

  @Option(
    help: ArgumentHelp(
      "The text that exact-extract takes the answer from; the prompt is the question. "
        + "(default: none)", valueName: "path"),
    completion: .file())
  var passage: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most tokens of an answer of exact-extract, 1 to 256. (default: 32)", valueName: "tokens"))
  var longestSpan: Int?

  /// The library's settings, without the passage.
  var options: SearchOptions {
    var options = SearchOptions()
    beams.map { options.beam.beams = $0 }
    options.beam.groups = beamGroups
    diversity.map { options.beam.diversity = $0 }
    diversityKind.map { options.beam.diversityKind = $0 }
    lengthPenalty.map { options.beam.lengthPenalty = $0 }
    beamStop.map { options.beam.stopping = $0 }
    candidates.map { options.contrastive.candidates = $0 }
    penaltyAlpha.map { options.contrastive.penalty = $0 }
    longestSpan.map { options.extraction.longestSpan = $0 }
    return options
  }

  /// The text of --passage; nil if there is none.
  /// - Throws: `InputError` for a file that cannot be read.
  func passageText() throws -> String? {
    try passage.map { try TextInput.read(argument: nil, file: $0, what: "passage") }
  }

  /// Each option, whether it was given, and the methods that use it.
  private var uses: [(option: String, isGiven: Bool, methods: [DecodingMethod])] {
    let beam: [DecodingMethod] = ["beam", "diverse-beam"]
    return [
      ("--beams", beams != nil, beam), ("--length-penalty", lengthPenalty != nil, beam),
      ("--beam-stop", beamStop != nil, beam),
      ("--beam-groups", beamGroups != nil, ["diverse-beam"]),
      ("--diversity", diversity != nil, ["diverse-beam"]),
      ("--diversity-kind", diversityKind != nil, ["diverse-beam"]),
      ("--candidates", candidates != nil, ["contrastive"]),
      ("--penalty-alpha", penaltyAlpha != nil, ["contrastive"]),
      ("--passage", passage != nil, ["exact-extract"]),
      ("--longest-span", longestSpan != nil, ["exact-extract"]),
    ]
  }

  /// Checks that the method uses what was given.
  /// - Throws: `ValidationError` that names the fix.
  func check(with method: DecodingMethod) throws {
    if method == "exact-extract", passage == nil {
      throw ValidationError(
        "--decode exact-extract takes the answer from a text: name it with --passage FILE")
    }
    for (option, isGiven, methods) in uses where isGiven && !methods.contains(method) {
      let names = methods.map(\.rawValue).joined(separator: " or ")
      throw ValidationError(
        "\(option) is for --decode \(names), and --decode is \(method.rawValue); drop one of them")
    }
  }
}
