import Foretoken
import Foundation

/// Parts of answers that several endpoints have.
enum AnswerParts {
  /// `usage` of all choices.
  /// - Parameter choices: of each prompt; they share the prompt's tokens.
  static func usage(_ summaries: [GenerationSummary], choices: Int) -> JSONValue {
    let firsts = stride(from: 0, to: summaries.count, by: max(choices, 1)).map { summaries[$0] }
    let prompt = firsts.reduce(0) { $0 + $1.promptTokens }
    let cached = firsts.reduce(0) { $0 + $1.reusedTokens }
    let completion = summaries.reduce(0) { $0 + $1.generatedTokens }
    let accepted = summaries.reduce(0) { $0 + $1.acceptedTokens }
    let drafted = summaries.reduce(0) { $0 + $1.draftedTokens }
    return [
      "prompt_tokens": .integer(prompt), "completion_tokens": .integer(completion),
      "total_tokens": .integer(prompt + completion),
      "prompt_tokens_details": [
        "cached_tokens": .integer(cached)
      ],
      "completion_tokens_details": [
        "accepted_prediction_tokens": .integer(accepted),
        "rejected_prediction_tokens": .integer(drafted - accepted),
      ],
    ]
  }

  /// A token's log-probabilities as chat answers list them.
  static func logProbability(_ entry: TokenLogProbabilities, _ tokenizer: Tokenizer) -> JSONValue {
    var object = logProbability(entry.chosen, tokenizer)
    object["top_logprobs"] = .array(entry.top.map { .object(logProbability($0, tokenizer)) })
    return .object(object)
  }

  private static func logProbability(
    _ entry: TokenLogProbability, _ tokenizer: Tokenizer
  ) -> JSONObject {
    let bytes = tokenizer.bytes(of: entry.token)
    return JSONObject([
      ("token", .string(String(decoding: bytes, as: UTF8.self))),
      ("logprob", .number(Double(entry.logProbability))),
      ("bytes", .array(bytes.map { .integer(Int($0)) })),
    ])
  }

  /// A step as its trace says, with the texts of its tokens.
  static func step(_ trace: StepTrace, _ tokenizer: Tokenizer) -> JSONValue {
    guard var object = json(trace)?.objectValue else { return .null }
    func texts(_ tokens: [Int32]) -> JSONValue {
      .array(tokens.map { .string(String(decoding: tokenizer.bytes(of: $0), as: UTF8.self)) })
    }
    object["emitted_texts"] = texts(trace.emitted)
    object["draft_texts"] = texts(trace.draftTokens)
    return .object(object)
  }

  /// What a `Codable` value is in JSON.
  static func json(_ value: some Encodable) -> JSONValue? {
    guard let data = try? JSONEncoder().encode(value) else { return nil }
    return try? JSONValue(parsing: Array(data))
  }

  /// The word for why a choice has ended.
  static func finishReason(_ summary: GenerationSummary?, hasCalls: Bool) -> JSONValue {
    switch summary?.finishReason {
    case .stopToken, .stopString: hasCalls ? "tool_calls" : "stop"
    case .length, .contextFull, .cancelled, .error, nil: "length"
    }
  }
}
