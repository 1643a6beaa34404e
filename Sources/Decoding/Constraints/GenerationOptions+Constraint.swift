import Constraints

extension GenerationOptions {
  /// Throws for settings that do not go with a constraint.
  func checkConstraint() throws {
    guard constraint != nil else {
      guard alignment == .none else {
        throw GenerationError.invalidOption(
          name: "alignment", value: "\(alignment.rawValue) without a constraint",
          expected: "a grammar, a JSON schema or a regular expression beside it")
      }
      return
    }
    if ignoresEndOfText {
      throw GenerationError.invalidOption(
        name: "constraint", value: "given with the end of text ignored",
        expected: "one of them: a text under a constraint ends where it is complete")
    }
    if decoding != .plain {
      throw GenerationError.invalidOption(
        name: "constraint", value: "given with the search \(decoding.rawValue)",
        expected: "the search plain")
    }
    if alignment != .none { try checkAlignment() }
  }

  /// ASAp is defined by the model's own probabilities at a temperature.
  private func checkAlignment() throws {
    func require(_ isAllowed: Bool, _ setting: String, _ expected: String) throws {
      guard !isAllowed else { return }
      throw GenerationError.invalidOption(
        name: "alignment", value: "\(alignment.rawValue) with \(setting)", expected: expected)
    }
    try require(!sampling.isGreedy, "temperature 0", "a temperature above 0")
    try require(
      sampling.topK == 0 && sampling.topP == 1 && sampling.minP == 0 && sampling.typicalP == 1,
      "tokens left out by top-k, top-p, min-p or typical-p",
      "the model's whole distribution: leave these settings out")
    try require(
      !sampling.hasPenalties && sampling.logitBias.isEmpty, "penalties or a logit bias",
      "the model's own distribution: leave these settings out")
  }

  /// Follows the constraint of one generation; nil if there is none.
  /// - Throws: `ConstraintError` for a constraint that cannot be compiled.
  func constraintTracker(
    in memory: DrafterMemory, _ setup: DrafterSetup, promptCount: Int
  ) throws -> ConstraintTracker? {
    guard let constraint else { return nil }
    return ConstraintTracker(
      try ConstraintMemory.shared(in: memory).matcher(of: constraint, setup.tokenizer),
      tokenizer: setup.tokenizer, promptCount: promptCount)
  }

  /// The sample of a generation whose samples are aligned; nil for others.
  ///
  /// - Parameter memory: what the samples of the prompt share.
  func alignedSample(
    _ tracker: ConstraintTracker?, prompt: [Int32], in memory: DrafterMemory
  ) -> AlignedSample? {
    guard alignment == .asap, let tracker, let constraint else { return nil }
    let key = PriorSamplesKey(
      constraint: constraint, prompt: prompt, temperature: sampling.temperature,
      maxTokens: maxTokens)
    let shared = memory.value("alignment") { SharedPriorSamples() }
    return AlignedSample(
      tracker, prior: shared.samples(of: key), temperature: sampling.temperature,
      promptCount: prompt.count)
  }
}

/// What samples must have in common to learn from each other.
private struct PriorSamplesKey: Equatable {
  var constraint: Constraint
  var prompt: [Int32]
  var temperature: Double
  var maxTokens: Int?
}

/// The prior samples of the latest prompt.
private final class SharedPriorSamples {
  private var latest: (key: PriorSamplesKey, samples: PriorSamples)?

  func samples(of key: PriorSamplesKey) -> PriorSamples {
    if let latest, latest.key == key { return latest.samples }
    let samples = PriorSamples()
    latest = (key, samples)
    return samples
  }
}
