import Foretoken

/// `POST /v1/chat/completions`.
struct ChatRequest {
  let model: String
  var shared: SharedFields
  let messages: [ChatMessage]
  let tools: ToolUse

  /// Reads and checks a whole request.
  /// - Throws: `APIError` that names the field.
  init(_ body: JSONValue, limits: ServerOptions) throws {
    var fields = try Fields(body)
    model = try fields.requiredString("model")
    messages = try ChatMessages.read(&fields)
    var shared = try SharedFields(&fields, limits: limits)
    let old = try fields.integer("max_tokens", 1...Int(Int32.max))
    let new = try fields.integer("max_completion_tokens", 1...Int(Int32.max))
    shared.options.maxTokens = new ?? old
    let lists = try fields.bool("logprobs") ?? false
    let top = try fields.integer("top_logprobs", 0...20)
    if top != nil, !lists {
      throw APIError.invalid(
        "top_logprobs needs logprobs to be true", parameter: "top_logprobs", code: "invalid_value")
    }
    shared.options.logProbabilities = lists ? top ?? 0 : nil
    shared.options.constraint = try ResponseFormat.constraint(&fields)
    shared.options.prediction = try Self.prediction(&fields)
    if shared.options.prediction != nil, shared.options.speculation == .auto {
      // The text that is predicted is known: nothing else needs to be asked.
      shared.options.speculation = "input"
    }
    tools = try ToolUse(&fields)
    if let constraint = try tools.constraint() {
      guard shared.options.constraint == nil else {
        throw APIError.invalid(
          "tool_choice demands a call, and response_format or grammar demand a text; drop one of "
            + "them", parameter: "tool_choice", code: "invalid_value")
      }
      shared.options.constraint = constraint
    }
    fields.ignore("reasoning_effort", "verbosity")
    try fields.finish()
    self.shared = shared
  }

  /// `{"type": "content", "content": text or parts}`.
  private static func prediction(_ fields: inout Fields) throws -> String? {
    guard var prediction = try fields.object("prediction") else { return nil }
    let type = try prediction.requiredString("type")
    guard type == "content" else {
      throw prediction.wrong("type", .string(type), "\"content\"")
    }
    guard let content = prediction.take("content") else { throw prediction.missing("content") }
    let text = try ChatMessages.text(content, path: prediction.name("content"))
    try prediction.finish()
    return text
  }
}
