import ArgumentParser
import Foretoken

/// How many samples of one prompt are made, and which of them are shown.
struct SampleArguments: ParsableArguments {
  @Option(
    name: .customLong("n"), parsing: .unconditional,
    help: ArgumentHelp(
      "Samples of the prompt, with the seeds S, S + 1, … They share the prompt's work and what "
        + "drafters learn.", valueName: "count"))
  var count = 1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Make this many samples and show those of the highest mean log-probability. (default: --n)",
      valueName: "count"))
  var bestOf: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most samples that run at the same time. Changes the time, never a text.",
      valueName: "count"))
  var concurrency = Generator.defaultConcurrency

  /// Samples to make.
  var total: Int { bestOf ?? count }

  /// Generations to run: one where the method itself lists several texts.
  func runs(of decode: DecodingMethod) -> Int { decode.listsCandidates ? 1 : total }

  static let limit = 1000

  func validate() throws {
    guard (1...Self.limit).contains(count) else {
      throw ValidationError("--n is \(count), expected 1 to \(Self.limit)")
    }
    guard (1...Self.limit).contains(concurrency) else {
      throw ValidationError("--concurrency is \(concurrency), expected 1 to \(Self.limit)")
    }
    if let bestOf, !(count...Self.limit).contains(bestOf) {
      throw ValidationError(
        "--best-of is \(bestOf), expected --n (\(count)) to \(Self.limit): it makes the samples "
          + "of which --n are shown")
    }
  }

  /// The line of `--stats` about all samples together.
  static func total(of samples: [RunSample], in time: Duration) -> String {
    let tokens = samples.reduce(0) { $0 + $1.result.summary.generatedTokens }
    let seconds = time / .seconds(1)
    return "\(samples.count) samples: \(tokens) tokens in \(readableNumber(seconds * 1000)) ms, "
      + "\(readableNumber(Double(tokens) / max(seconds, 1e-9))) tokens/s together"
  }

  /// Checks what depends on both groups of options.
  /// - Throws: `ValidationError` that names the fix.
  func check(with sampling: SamplingArguments, decode: DecodingMethod) throws {
    if decode.listsCandidates {
      guard bestOf == nil else {
        throw ValidationError(
          "--decode \(decode.rawValue) lists its best texts with --n; drop --best-of")
      }
      return
    }
    if total > 1, sampling.temperature == 0 {
      throw ValidationError(
        "\(total) samples at temperature 0 are \(total) times the same text; give --temperature, "
          + "for example 0.8, or one sample")
    }
  }
}

/// A sample of `run --n`.
struct RunSample {
  /// Number, from 1, in the order of the seeds.
  let number: Int
  let result: RunResult
  let legend: [String]

  /// What the sample is ranked by; the lowest rank if it has no tokens.
  var rank: Double { result.transcript.meanLogProbability ?? -.infinity }

  /// The sample's object in `samples`.
  func json(listsLogProbabilities: Bool) -> JSONObject {
    var object = result.jsonObject(listsLogProbabilities: listsLogProbabilities)
    if let mean = result.transcript.meanLogProbability { object["mean_logprob"] = rounded(mean) }
    return object
  }

  /// The line above the sample's text.
  func title(of total: Int) -> String {
    let mean = result.transcript.meanLogProbability.map {
      ", mean log-probability \(readableRatio($0))"
    }
    return "--- sample \(number) of \(total), seed \(result.summary.seed)\(mean ?? "")"
  }
}
