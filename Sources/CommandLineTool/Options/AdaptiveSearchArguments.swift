import ArgumentParser
import Foretoken

extension CNTPOptions.TrialRule: ExpressibleByArgument {}
extension CNTPOptions.Score: ExpressibleByArgument {}
extension EADOptions.Lane: ExpressibleByArgument {}
extension EADOptions.Trigger: ExpressibleByArgument {}

/// Settings of the methods of `--decode` that act on the model's uncertainty, and of superposed drafts.
struct AdaptiveSearchArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most trials of --decode cautious where the model is unsure, 1 to 64. (default: 10)",
      valueName: "count"))
  var trials: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Entropy up to which cautious makes no trials; inf for none at all. (default: 0.01)",
      valueName: "nats"))
  var trialsAbove: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Entropy from which cautious makes all its trials. (default: 1.5)", valueName: "nats"))
  var trialsFull: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most tokens of a trial that meets no punctuation mark. (default: 64)", valueName: "tokens"))
  var trialLength: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Fewest tokens of a trial before a punctuation mark ends it. (default: 1)",
      valueName: "tokens"))
  var leastTrial: Int?

  @Option(
    help: ArgumentHelp(
      "How trials follow from the entropy: as the paper or as its authors' code says. "
        + "(default: paper)", valueName: "rule"))
  var trialRule: CNTPOptions.TrialRule?

  @Option(
    help: ArgumentHelp(
      "Probabilities that trials are compared by: warped, after temperature and truncation, or raw. "
        + "(default: warped)", valueName: "kind"))
  var trialScore: CNTPOptions.Score?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Rolling entropy from which --decode entropy-adaptive lets the large model write; 0 for that "
        + "model alone, inf for the --draft model alone. (default: 0.75)", valueName: "bits"))
  var switchEntropy: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens that the rolling entropy looks back on, 1 to 32. (default: 5)", valueName: "tokens"))
  var switchWindow: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Fewest tokens that a model writes before the other one takes over. (default: 10)",
      valueName: "tokens"))
  var switchAfter: Int?

  @Option(
    help: ArgumentHelp(
      "What of the window's entropies is compared: mean or max. (default: mean)",
      valueName: "kind"))
  var switchBy: EADOptions.Trigger?

  @Option(
    help: ArgumentHelp(
      "Which model writes first: small or large. (default: small; large if --switch-entropy is 0)",
      valueName: "model"))
  var startWith: EADOptions.Lane?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Texts that --decode superposed writes in one pass, 1 to 32. (default: 3)",
      valueName: "count"))
  var drafts: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most tokens of a superposed text, up to --max-tokens. (default: 10)", valueName: "tokens"))
  var draftLength: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Divides the logits of superposed. (default: 0.06)", valueName: "temperature"))
  var draftTemperature: Double?

  @Option(
    help: ArgumentHelp(
      "n-gram model that filters superposed texts, from 'foretoken train ngrams'. (default: none)",
      valueName: "path"),
    completion: .file())
  var ngrams: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Weight of the n-grams beside the model, 0 to 1. (default: 0.54)", valueName: "share"))
  var ngramWeight: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens after which superposed goes on with one of its texts, read as it is. "
        + "(default: never)", valueName: "tokens"))
  var resetEvery: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Entropy from which --decode adadec pauses; inf for greedy decoding. (default: what was learnt "
        + "for the model)", valueName: "nats"))
  var pauseEntropy: Double?

  @Option(
    help: ArgumentHelp(
      "Threshold of adadec, from 'foretoken train adadec-threshold'. (default: none)",
      valueName: "path"),
    completion: .file())
  var pauseThreshold: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Candidates that adadec compares at a pause, 1 to 32. (default: 3)", valueName: "count"))
  var pauseCandidates: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens that adadec looks ahead behind each candidate, 0 to 32. (default: 5)",
      valueName: "tokens"))
  var lookahead: Int?

  /// Puts what was given in the place of the defaults.
  func apply(to options: inout SearchOptions) {
    trials.map { options.cautious.trials = $0 }
    trialsAbove.map { options.cautious.lowEntropy = $0 }
    trialsFull.map { options.cautious.highEntropy = $0 }
    trialLength.map { options.cautious.trialLength = $0 }
    leastTrial.map { options.cautious.leastTrialLength = $0 }
    trialRule.map { options.cautious.rule = $0 }
    trialScore.map { options.cautious.score = $0 }
    switchEntropy.map { options.adaptive.threshold = $0 }
    switchWindow.map { options.adaptive.window = $0 }
    switchAfter.map { options.adaptive.leastStretch = $0 }
    switchBy.map { options.adaptive.trigger = $0 }
    options.adaptive.start = startWith
    options.pausing.pauseEntropy = pauseEntropy
    options.pausing.thresholdFile = pauseThreshold
    pauseCandidates.map { options.pausing.candidates = $0 }
    lookahead.map { options.pausing.lookahead = $0 }
    drafts.map { options.superposed.drafts = $0 }
    draftLength.map { options.superposed.length = $0 }
    draftTemperature.map { options.superposed.temperature = $0 }
    options.superposed.ngrams = ngrams
    ngramWeight.map { options.superposed.ngramWeight = $0 }
    options.superposed.resetEvery = resetEvery
  }

  /// Each option, whether it was given, and the method that uses it.
  private var uses: [(option: String, isGiven: Bool, method: DecodingMethod)] {
    [
      ("--trials", trials != nil, "cautious"),
      ("--trials-above", trialsAbove != nil, "cautious"),
      ("--trials-full", trialsFull != nil, "cautious"),
      ("--trial-length", trialLength != nil, "cautious"),
      ("--least-trial", leastTrial != nil, "cautious"),
      ("--trial-rule", trialRule != nil, "cautious"),
      ("--trial-score", trialScore != nil, "cautious"),
      ("--switch-entropy", switchEntropy != nil, "entropy-adaptive"),
      ("--switch-window", switchWindow != nil, "entropy-adaptive"),
      ("--switch-after", switchAfter != nil, "entropy-adaptive"),
      ("--switch-by", switchBy != nil, "entropy-adaptive"),
      ("--start-with", startWith != nil, "entropy-adaptive"),
      ("--pause-entropy", pauseEntropy != nil, "adadec"),
      ("--pause-threshold", pauseThreshold != nil, "adadec"),
      ("--pause-candidates", pauseCandidates != nil, "adadec"),
      ("--lookahead", lookahead != nil, "adadec"),
      ("--drafts", drafts != nil, "superposed"),
      ("--draft-length", draftLength != nil, "superposed"),
      ("--draft-temperature", draftTemperature != nil, "superposed"),
      ("--ngrams", ngrams != nil, "superposed"),
      ("--ngram-weight", ngramWeight != nil, "superposed"),
      ("--reset-every", resetEvery != nil, "superposed"),
    ]
  }

  /// Checks that the method uses what was given.
  /// - Throws: `ValidationError` that names the fix.
  func check(with decode: DecodingMethod) throws {
    for (option, isGiven, method) in uses where isGiven && method != decode {
      throw ValidationError(
        "\(option) is for --decode \(method.rawValue), and --decode is \(decode.rawValue); drop one "
          + "of them")
    }
    if pauseEntropy != nil, pauseThreshold != nil {
      throw ValidationError(
        "--pause-entropy and --pause-threshold both say where to pause; drop one of them")
    }
    if ngramWeight != nil, ngrams == nil {
      throw ValidationError("--ngram-weight weighs the n-grams of --ngrams FILE; add that option")
    }
  }
}
