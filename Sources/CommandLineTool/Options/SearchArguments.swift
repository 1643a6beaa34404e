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

  /// The library's settings.
  var options: SearchOptions {
    var options = SearchOptions()
    beams.map { options.beam.beams = $0 }
    options.beam.groups = beamGroups
    diversity.map { options.beam.diversity = $0 }
    diversityKind.map { options.beam.diversityKind = $0 }
    lengthPenalty.map { options.beam.lengthPenalty = $0 }
    beamStop.map { options.beam.stopping = $0 }
    return options
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
    ]
  }

  /// Checks that the method uses what was given.
  /// - Throws: `ValidationError` that names the fix.
  func check(with method: DecodingMethod) throws {
    for (option, isGiven, methods) in uses where isGiven && !methods.contains(method) {
      let names = methods.map(\.rawValue).joined(separator: " or ")
      throw ValidationError(
        "\(option) is for --decode \(names), and --decode is \(method.rawValue); drop one of them")
    }
  }
}
