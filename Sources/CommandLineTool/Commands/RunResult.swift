import Foretoken

/// A finished generation, for machines and for people.
struct RunResult {
  let model: LanguageModel
  let options: GenerationOptions
  let transcript: RunOutput.Transcript
  let summary: GenerationSummary

  /// The one object of `run --json`.
  var json: JSONValue { .object(jsonObject()) }

  /// - Parameter listsLogProbabilities: false where they were computed for something else.
  func jsonObject(listsLogProbabilities: Bool = true) -> JSONObject {
    var object = JSONObject([
      ("text", .string(transcript.text)),
      ("tokens", .array(transcript.tokens.map { .integer(Int($0)) })),
      ("prompt_tokens", .integer(summary.promptTokens)),
      ("finish_reason", .string(summary.finishReason.name)),
      ("timings", timings),
      ("forwards", .integer(summary.forwards)),
      ("drafted", .integer(summary.draftedTokens)),
      ("accepted", .integer(summary.acceptedTokens)),
      ("tokens_per_forward", tokensPerForward.map(rounded) ?? .null),
      ("verification", .string(options.verificationName)),
      ("method", .string(summary.method)),
      ("guarantee", .string(summary.guarantee.rawValue)),
      // Seeds go up to 2^64 - 1, which most readers of JSON numbers would round.
      ("seed", Int(exactly: summary.seed).map { .integer($0) } ?? .string("\(summary.seed)")),
      ("model", .string(model.reference)),
    ])
    if listsLogProbabilities, let entries = transcript.logProbabilities {
      object["logprobs"] = .array(entries.map(logProbabilities))
    }
    if !summary.warnings.isEmpty {
      object["warnings"] = .array(
        summary.warnings.map {
          [
            "drafter": .string($0.drafter), "stage": .string($0.stage.rawValue),
            "reason": .string($0.reason),
          ]
        })
    }
    if let figures = summary.figures {
      object["figures"] = .object(
        JSONObject(figures.sorted { $0.key < $1.key }.map { ($0.key, rounded($0.value)) }))
    }
    if let candidates = summary.candidates {
      object["candidates"] = .array(candidates.map { .object(Self.candidate($0)) })
    }
    if let remark = summary.finishReason.note { object["note"] = .string(remark) }
    return object
  }

  /// Tokens that a forward pass gave on average. A step of a search may have several passes, so there
  /// all passes count, the prompt's included.
  private var tokensPerForward: Double? {
    guard options.decoding != .plain else { return transcript.counts.tokensPerForward }
    return summary.forwards > 0
      ? Double(summary.generatedTokens) / Double(summary.forwards) : nil
  }

  /// The lines of `--stats`.
  var statistics: [String] {
    let reused = summary.reusedTokens > 0 ? " (\(summary.reusedTokens) from the cache)" : ""
    let rows = [
      ("load", milliseconds(loadMilliseconds), ""),
      (
        "prefill", milliseconds(summary.prefillMilliseconds),
        "\(summary.promptTokens) tokens\(reused), "
          + "\(readableNumber(summary.prefillTokensPerSecond)) tokens/s"
      ),
      (
        "decode", milliseconds(summary.decodeMilliseconds),
        "\(summary.generatedTokens) tokens, "
          + "\(readableNumber(summary.decodeTokensPerSecond)) tokens/s"
      ),
    ]
    let speeds: [String] = rows.map { name, time, detail in
      let line = name.padded(to: 8) + time.padded(to: 10, alignment: .right)
      return detail.isEmpty ? line : "\(line)   \(detail)"
    }
    let drafted = "\(summary.draftedTokens)".padded(to: 10, alignment: .right)
    return speeds + [
      "drafts  \(drafted)   \(summary.acceptedTokens) accepted, "
        + "\(readableRatio(tokensPerForward)) tokens per forward pass",
      "\(summary.forwards) forward passes, method \(summary.method), "
        + "seed \(summary.seed), finished by \(summary.finishReason.name)",
    ] + figureLines
  }

  /// The method's own figures.
  private var figureLines: [String] {
    (summary.figures ?? [:]).sorted { $0.key < $1.key }.map { name, value in
      name.replacing("_", with: " ").padded(to: 24) + readableRatio(value)
    }
  }

  private var loadMilliseconds: Double { model.loadTime / .milliseconds(1) }

  private var timings: JSONValue {
    [
      "load_ms": rounded(loadMilliseconds),
      "prefill_ms": rounded(summary.prefillMilliseconds),
      "decode_ms": rounded(summary.decodeMilliseconds),
      "prefill_tokens_per_second": rounded(summary.prefillTokensPerSecond),
      "decode_tokens_per_second": rounded(summary.decodeTokensPerSecond),
    ]
  }

  private func milliseconds(_ value: Double) -> String { readableNumber(value) + " ms" }

  private func logProbabilities(_ entry: TokenLogProbabilities) -> JSONValue {
    .object(
      JSONObject([
        ("token", .integer(Int(entry.chosen.token))),
        ("text", .string(text(of: entry.chosen.token))),
        ("logprob", .number(Double(entry.chosen.logProbability))),
        (
          "top",
          .array(
            entry.top.map { top in
              [
                "token": .integer(Int(top.token)), "text": .string(text(of: top.token)),
                "logprob": .number(Double(top.logProbability)),
              ]
            })
        ),
      ]))
  }

  private func text(of token: Int32) -> String {
    String(decoding: model.tokenizer.bytes(of: token), as: UTF8.self)
  }
}

/// A figure with three digits after the point, for JSON.
func rounded(_ value: Double) -> JSONValue { .number((value * 1000).rounded() / 1000) }
