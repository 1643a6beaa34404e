import Foretoken

/// One run of a method in a race.
struct Lap: Sendable {
  /// The text in runs of one origin.
  let runs: [DraftedRun]
  /// Names of the drafters in `runs`.
  let drafters: [String]
  /// Accepted tokens of each drafter.
  let acceptedCounts: [Int]
  let tokens: [Int32]
  let counts: StepCounts
  let summary: GenerationSummary

  /// The whole text.
  var text: String { runs.reduce("") { $0 + $1.text } }
}

/// A method in a race, with its runs.
struct Contestant {
  let name: String
  private(set) var laps: [Lap] = []

  init(name: String) { self.name = name }

  mutating func append(_ lap: Lap) { laps.append(lap) }

  /// Tokens per second of the runs.
  var rates: Samples { Samples(laps.map(\.summary.decodeTokensPerSecond)) }

  /// Tokens per forward pass over all runs; nil if there was nothing to count.
  var tokensPerForward: Double? {
    var counts = StepCounts()
    for lap in laps { counts.add(lap.counts) }
    return counts.tokensPerForward
  }

  var json: JSONValue {
    guard let lap = laps.first else { return .null }
    return [
      "name": .string(name), "method": .string(lap.summary.method),
      "guarantee": .string(lap.summary.guarantee.rawValue), "text": .string(lap.text),
      "tokens": .array(lap.tokens.map { .integer(Int($0)) }),
      "tokens_per_forward": tokensPerForward.map(rounded) ?? .null,
      "tokens_per_second": rates.json, "drafted": .integer(lap.summary.draftedTokens),
      "accepted": .integer(lap.summary.acceptedTokens),
      "finish_reason": .string(lap.summary.finishReason.name),
    ]
  }
}

/// What a race found.
struct RaceResult {
  let first: Contestant
  let second: Contestant
  let seed: UInt64
  let promptTokens: Int

  /// Speed of the first as a multiple of the second's: the median of the ratios of two runs that
  /// followed each other, so that what else the machine did hit both. nil if one is too short to
  /// have a speed.
  var ratio: Double? {
    let ratios = zip(first.laps, second.laps).map { one, other in
      one.summary.decodeTokensPerSecond / other.summary.decodeTokensPerSecond
    }
    return ratios.allSatisfy { $0.isFinite && $0 > 0 } ? Samples(ratios).median : nil
  }

  /// Index of the first token in which two runs differ, whoever made them; nil if all agree.
  var difference: Int? {
    let all = (first.laps + second.laps).map(\.tokens)
    guard let reference = all.first else { return nil }
    return all.dropFirst().compactMap { tokens -> Int? in
      if tokens == reference { return nil }
      let common = zip(tokens, reference).prefix { $0 == $1 }.count
      return common
    }.min()
  }

  /// Whether both methods promise the tokens of plain decoding.
  var mustAgree: Bool {
    (first.laps + second.laps).allSatisfy { $0.summary.guarantee == .bitwise }
  }

  var json: JSONValue {
    [
      "prompt_tokens": .integer(promptTokens),
      "seed": Int(exactly: seed).map { .integer($0) } ?? .string("\(seed)"),
      "repeats": .integer(first.laps.count), "between": [first.json, second.json],
      "ratio": ratio.map(rounded) ?? .null, "bytes_agree": .bool(difference == nil),
      "must_agree": .bool(mustAgree),
    ]
  }
}

/// Two methods that promise the same bytes did not give them.
struct RaceDisagreement: Error, CustomStringConvertible {
  let first: String
  let second: String
  let token: Int

  var description: String {
    "BYTES DISAGREE: \(first) and \(second) both promise the tokens of plain decoding and differ "
      + "from token \(token) on. This must not be: please report it with the command and the model"
  }
}
