import Foretoken

/// What is answered.
extension OpenAPI {
  private typealias S = Schema

  /// The schemas of answers, by name.
  static var answerSchemas: [(String, JSONValue)] {
    [
      (
        "Error",
        S.answer([
          (
            "error",
            S.answer([
              ("message", S.string), ("type", S.string), ("param", S.nullable(S.string)),
              ("code", S.nullable(S.string)),
            ])
          )
        ])
      ),
      (
        "Health",
        S.answer([
          ("status", S.words(["ok", "draining"])), ("model", S.string), ("running", S.count),
          ("waiting", S.count),
        ])
      ), ("Document", ["type": "object"]),
      (
        "ModelList",
        S.answer([
          ("object", S.constant("list")),
          (
            "data",
            S.list(
              S.answer([
                ("id", S.string), ("object", S.constant("model")), ("created", S.count),
                ("owned_by", S.string), ("foretoken", ["type": "object"]),
              ]))
          ),
        ])
      ), ("MethodList", methodList), ("ModelFacts", modelFacts), ("ChatAnswer", chatAnswer),
      ("Completion", completionAnswer), ("Usage", usage),
      (
        "EmbeddingList",
        S.answer([
          ("object", S.constant("list")), ("model", S.string),
          (
            "data",
            S.list(
              S.answer([
                ("object", S.constant("embedding")), ("index", S.count),
                ("embedding", S.either(S.list(S.number), S.string)),
              ]))
          ), ("usage", S.answer([("prompt_tokens", S.count), ("total_tokens", S.count)])),
        ])
      ),
      (
        "Tokens",
        S.answer(
          [("tokens", S.list(S.count)), ("count", S.count)],
          optional: [("pieces", S.list(S.string))])
      ), ("Content", S.answer([("content", S.string)])),
    ]
  }

  private static var methodList: JSONValue {
    let method = S.answer([
      ("number", S.nullable(S.count)), ("card", S.string), ("name", S.string), ("area", S.string),
      ("summary", S.string), ("guarantee", S.words(MethodGuarantee.allCases.map(\.rawValue))),
      ("status", S.words([MethodStatus.available, .planned].map(\.rawValue))),
      ("option", S.nullable(S.string)), ("values", S.list(S.string)), ("example", S.string),
      ("paper", S.nullable(S.answer([("title", S.string), ("url", S.string)]))),
    ])
    return S.answer([("methods", S.list(method))])
  }

  private static var modelFacts: JSONValue {
    let tensor = S.answer([
      ("name", S.string), ("type", S.string), ("shape", S.list(S.count)),
      ("bytes", S.nullable(S.count)),
    ])
    let counts = [
      "layers", "hidden_size", "feed_forward_size", "heads", "key_value_heads", "head_dimension",
      "rope_dimension", "vocabulary", "context", "served_context", "threads",
    ]
    return S.answer(
      counts.map { ($0, S.count) } + [
        ("id", S.string), ("architecture", S.string), ("norm_epsilon", S.number),
        ("sliding_window", S.nullable(S.count)), ("kv_type", S.string), ("chat", S.boolean),
      ],
      optional: [
        ("format", S.constant("gguf")), ("bytes", S.count), ("parameters", S.count),
        ("quantization", S.nullable(S.string)), ("metadata", ["type": "object"]),
        ("tensors", S.list(tensor)),
      ])
  }

  private static var head: [(String, JSONValue)] {
    [
      ("id", S.string), ("created", S.count), ("model", S.string), ("system_fingerprint", S.string),
      ("usage", S.reference("Usage")),
    ]
  }

  private static var usage: JSONValue {
    S.answer([
      ("prompt_tokens", S.count), ("completion_tokens", S.count), ("total_tokens", S.count),
      ("prompt_tokens_details", S.answer([("cached_tokens", S.count)])),
      (
        "completion_tokens_details",
        S.answer([
          ("accepted_prediction_tokens", S.count), ("rejected_prediction_tokens", S.count),
        ])
      ),
    ])
  }

  private static var chatAnswer: JSONValue {
    let token: [(String, JSONValue)] = [
      ("token", S.string), ("logprob", S.number), ("bytes", S.list(S.integer(0...255))),
    ]
    let call = S.answer([
      ("id", S.string), ("type", S.constant("function")),
      ("function", S.answer([("name", S.string), ("arguments", S.string)])),
    ])
    let choice = S.answer([
      ("index", S.count),
      (
        "message",
        S.answer(
          [
            ("role", S.constant("assistant")), ("content", S.nullable(S.string)),
            ("refusal", ["type": "null"]),
          ], optional: [("tool_calls", S.list(call))])
      ),
      (
        "logprobs",
        S.nullable(
          S.answer([
            ("content", S.list(S.answer(token + [("top_logprobs", S.list(S.answer(token)))]))),
            ("refusal", ["type": "null"]),
          ]))
      ), ("finish_reason", S.words(["stop", "length", "tool_calls"])),
    ])
    return S.answer(
      head + [("object", S.constant("chat.completion")), ("choices", S.list(choice))],
      optional: [("foretoken", ["type": "object"])])
  }

  private static var completionAnswer: JSONValue {
    let choice = S.answer([
      ("text", S.string), ("index", S.count),
      (
        "logprobs",
        S.nullable(
          S.answer([
            ("tokens", S.list(S.string)), ("token_logprobs", S.list(S.number)),
            ("top_logprobs", S.list(["type": "object"])), ("text_offset", S.list(S.count)),
          ]))
      ), ("finish_reason", S.words(["stop", "length"])),
    ])
    return S.answer(
      head + [("object", S.constant("text_completion")), ("choices", S.list(choice))],
      optional: [("foretoken", ["type": "object"])])
  }
}
