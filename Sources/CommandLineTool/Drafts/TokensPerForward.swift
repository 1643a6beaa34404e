import Foretoken

/// Counts of the steps of one generation, from its traces.
struct StepCounts: Sendable {
  /// Steps after the one that ended the prompt.
  private(set) var decodeSteps = 0
  /// Tokens that those steps gave, one that ended the text included.
  private(set) var decodeTokens = 0
  private var hasBegun = false

  /// Takes the next step.
  mutating func append(_ step: StepTrace) {
    defer { hasBegun = true }
    // The prompt's own pass gives one token whatever the method is.
    guard hasBegun else { return }
    decodeSteps += 1
    decodeTokens += step.emitted.count
  }

  /// Adds the counts of another generation.
  mutating func add(_ other: StepCounts) {
    decodeSteps += other.decodeSteps
    decodeTokens += other.decodeTokens
  }

  /// Tokens of a forward pass on average, the prompt's not counted: 1 for plain decoding; nil if
  /// there was no pass after the prompt's.
  var tokensPerForward: Double? {
    decodeSteps > 0 ? Double(decodeTokens) / Double(decodeSteps) : nil
  }
}

extension GenerationOptions {
  /// How drafts are tested, as `--verify` names it.
  var verificationName: String {
    (verification ?? (sampling.isGreedy ? .greedy : .coupled)).rawValue
  }
}

/// A number with two digits after the point, for tokens per forward pass and ratios.
func readableRatio(_ value: Double?) -> String {
  guard let value, value.isFinite, abs(value) < 1e15 else { return "–" }
  let hundredths = Int((value * 100).rounded())
  let rest = abs(hundredths) % 100
  return "\(hundredths < 0 ? "-" : "")\(abs(hundredths) / 100).\(rest < 10 ? "0" : "")\(rest)"
}
