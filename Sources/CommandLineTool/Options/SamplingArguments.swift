import ArgumentParser
import Foretoken

/// How the next token is chosen.
struct SamplingArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "0 takes the likeliest token; higher values vary the text more.", valueName: "t"))
  var temperature = 0.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among the N likeliest tokens; 0 for all.", valueName: "n"))
  var topK = 0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Choose among the likeliest tokens of this probability together; 1 for all.",
      valueName: "p"))
  var topP = 1.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Leave out tokens less probable than this share of the likeliest; 0 for none.",
      valueName: "p"))
  var minP = 0.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Choose among the tokens of typical surprise, of this probability together; 1 for all.",
      valueName: "p"))
  var typicalP = 1.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Divides the logits of tokens seen among the last 64; 1 changes nothing.",
      valueName: "factor"))
  var repetitionPenalty = 1.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Subtracted from the logits of tokens seen.", valueName: "logits"))
  var presencePenalty = 0.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Subtracted from the logits of tokens for each time they were seen.", valueName: "logits"))
  var frequencyPenalty = 0.0

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Added to the logit of a token; -inf bans it. Repeatable. (default: none)",
      valueName: "id=logits"))
  var logitBias: [LogitBias] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Key of the noise: the same seed gives the same text. (default: drawn and reported)",
      valueName: "number"))
  var seed: UInt64?

  func validate() throws {
    do {
      // Token ids are checked again when the model is known.
      try options.validate(vocabularyCount: Int(Int32.max))
    } catch {
      throw ValidationError("\(error)")
    }
  }

  /// The library's options.
  var options: SamplingOptions {
    SamplingOptions(
      temperature: temperature, topK: topK, topP: topP, minP: minP, typicalP: typicalP,
      repetitionPenalty: repetitionPenalty, presencePenalty: presencePenalty,
      frequencyPenalty: frequencyPenalty,
      logitBias: Dictionary(logitBias.map { ($0.token, $0.bias) }) { $1 }, seed: seed)
  }
}

/// `ID=LOGITS`, as `--logit-bias` takes it.
struct LogitBias: ExpressibleByArgument {
  let token: Int32
  let bias: Float

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let token = Int32(parts[0]), let bias = Float(parts[1]) else {
      return nil
    }
    self.token = token
    self.bias = bias
  }
}
