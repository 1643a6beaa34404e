import Foretoken

/// What can be asked.
extension OpenAPI {
  private typealias S = Schema

  /// The schemas of request bodies, by name.
  static func requestSchemas(model: String) -> [(String, JSONValue)] {
    [
      ("ChatRequest", chat(model)), ("CompletionRequest", completion(model)),
      (
        "EmbeddingRequest",
        S.object(
          [
            ("model", S.constant(model)), ("input", textInput),
            ("encoding_format", S.words(["float", "base64"])), ("dimensions", S.count),
            ("user", S.string),
          ], required: ["model", "input"])
      ),
      (
        "TokenizeRequest",
        S.object([
          ("model", S.constant(model)), ("content", S.string),
          ("messages", S.list(S.reference("Message"), 1...ChatMessages.most)),
          ("add_special", S.boolean), ("parse_special", S.boolean), ("with_pieces", S.boolean),
        ])
      ),
      (
        "DetokenizeRequest",
        S.object(
          [
            ("model", S.constant(model)), ("tokens", S.list(S.count)),
            ("render_special", S.boolean),
          ], required: ["tokens"])
      ), ("Message", message), ("Tool", tool), ("Foretoken", block),
    ]
  }

  private static var shared: [(String, JSONValue)] {
    [
      ("n", S.integer(1...SharedFields.mostChoices)), ("stream", S.boolean),
      (
        "stream_options",
        S.object([("include_usage", S.boolean), ("include_obfuscation", S.boolean)])
      ), ("temperature", S.number(0...2)), ("top_p", S.number(0...1)),
      ("presence_penalty", S.number(-2...2)), ("frequency_penalty", S.number(-2...2)),
      ("seed", S.integer(-(1 << 53)...1 << 53)),
      (
        "logit_bias",
        [
          "type": "object", "propertyNames": ["pattern": "^[0-9]{1,4}$"],
          "additionalProperties": S.number(-100...100), "maxProperties": 4096,
        ]
      ), ("stop", S.either(S.text(1...256), S.list(S.text(1...256), 0...16))),
      ("response_format", responseFormat), ("grammar", S.string),
      ("foretoken", S.reference("Foretoken")), ("user", S.string), ("store", S.boolean),
      ("metadata", ["type": "object"]), ("service_tier", S.string),
      ("safety_identifier", S.string), ("prompt_cache_key", S.string),
    ]
  }

  private static func chat(_ model: String) -> JSONValue {
    S.object(
      [
        ("model", S.constant(model)),
        ("messages", S.list(S.reference("Message"), 1...ChatMessages.most)),
        ("max_tokens", S.integer(1...Int(Int32.max))),
        ("max_completion_tokens", S.integer(1...Int(Int32.max))), ("logprobs", S.boolean),
        ("top_logprobs", S.integer(0...20)),
        ("tools", S.list(S.reference("Tool"), 0...ToolUse.most)),
        ("tool_choice", toolChoice), ("parallel_tool_calls", S.boolean),
        (
          "prediction",
          S.object(
            [("type", S.constant("content")), ("content", content)],
            required: ["type", "content"])
        ), ("reasoning_effort", S.string), ("verbosity", S.string),
      ] + shared, required: ["model", "messages"])
  }

  private static func completion(_ model: String) -> JSONValue {
    S.object(
      [
        ("model", S.constant(model)), ("prompt", textInput),
        ("max_tokens", S.integer(0...Int(Int32.max))), ("logprobs", S.integer(0...20)),
        ("echo", S.boolean), ("best_of", S.integer(1...SharedFields.mostChoices)),
        ("suffix", S.string),
      ] + shared, required: ["model", "prompt"])
  }

  private static var textInput: JSONValue {
    let tokens = S.list(S.count, 1...65_536)
    return S.either(S.string, tokens, S.list(S.either(S.string, tokens), 1...TextInput.most))
  }

  private static var content: JSONValue {
    S.either(
      S.string,
      S.list(
        S.object(
          [("type", S.constant("text")), ("text", S.string)], required: ["type", "text"])))
  }

  private static var message: JSONValue {
    let call = S.object(
      [
        ("id", S.string), ("type", S.constant("function")),
        (
          "function",
          S.object(
            [("name", S.string), ("arguments", S.string)], required: ["name", "arguments"])
        ),
      ], required: ["id", "type", "function"])
    return S.either(
      S.object(
        [
          ("role", S.words(["system", "developer", "user"])), ("content", content),
          ("name", S.string),
        ], required: ["role", "content"]),
      S.object(
        [
          ("role", S.constant("assistant")), ("content", S.nullable(content)),
          ("name", S.string), ("tool_calls", S.list(call)), ("refusal", S.nullable(S.string)),
        ], required: ["role"]),
      S.object(
        [
          ("role", S.constant("tool")), ("content", content), ("tool_call_id", S.string),
          ("name", S.string),
        ], required: ["role", "content", "tool_call_id"]))
  }

  private static var tool: JSONValue {
    S.object(
      [
        ("type", S.constant("function")),
        (
          "function",
          S.object(
            [
              ("name", ["type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"]),
              ("description", S.string), ("parameters", ["type": "object"]),
              ("strict", S.nullable(S.boolean)),
            ], required: ["name"])
        ),
      ], required: ["type", "function"])
  }

  private static var toolChoice: JSONValue {
    S.either(
      S.words(["none", "auto", "required"]),
      S.object(
        [
          ("type", S.constant("function")),
          ("function", S.object([("name", S.string)], required: ["name"])),
        ], required: ["type", "function"]))
  }

  private static var responseFormat: JSONValue {
    S.either(
      S.object([("type", S.words(["text", "json_object"]))], required: ["type"]),
      S.object(
        [
          ("type", S.constant("json_schema")),
          (
            "json_schema",
            S.object(
              [
                ("name", S.string), ("description", S.string),
                ("schema", S.either(["type": "object"], S.boolean)),
                ("strict", S.nullable(S.boolean)),
              ], required: ["name", "schema"])
          ),
        ], required: ["type", "json_schema"]))
  }

  private static var block: JSONValue {
    let speculation = S.object([
      ("method", S.string), ("verify", S.words(VerificationMethod.allCases.map(\.rawValue))),
      ("tree", S.words(TreeMethod.allCases.map(\.rawValue))), ("draft_depth", S.integer(1...511)),
      ("max_draft", S.integer(1...511)), ("planner", S.words(["on", "off"])),
    ])
    return S.object([
      ("speculation", S.either(S.string, speculation)), ("decode", S.string),
      ("trace", S.boolean), ("top_k", S.integer(0...Int(Int32.max))),
      ("min_p", S.number(0...1)), ("typical_p", S.number(0...1)),
      ("repetition_penalty", S.number(0.01...100)), ("ignore_eos", S.boolean),
    ])
  }
}
