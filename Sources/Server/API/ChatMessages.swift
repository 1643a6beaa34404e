import Foretoken

/// Reads the messages of a conversation.
enum ChatMessages {
  private enum Role: String, CaseIterable { case system, developer, user, assistant, tool }

  /// Most messages of a request.
  static let most = 4096

  /// The messages under `messages`.
  static func read(_ fields: inout Fields) throws -> [ChatMessage] {
    guard let items = try fields.array("messages") else { throw fields.missing("messages") }
    guard (1...most).contains(items.count) else {
      throw APIError.invalid(
        "messages has \(items.count) messages, expected 1 to \(most)", parameter: "messages",
        code: "invalid_value")
    }
    return try items.enumerated().map { try message($1, path: "messages[\($0)]") }
  }

  private static func message(_ value: JSONValue, path: String) throws -> ChatMessage {
    var fields = try Fields(value, path: path)
    guard let role = try fields.word("role", of: Role.self) else { throw fields.missing("role") }
    let content = try fields.take("content").map { try text($0, path: fields.name("content")) }
    var extra: [(String, JSONValue)] = []
    if let name = try fields.string("name") { extra.append(("name", .string(name))) }
    var calls: [JSONValue] = []
    switch role {
    case .assistant:
      calls = try toolCalls(&fields)
      fields.ignore("refusal", "audio", "annotations", "function_call", "reasoning_content")
      if content == nil, calls.isEmpty { throw fields.missing("content") }
    case .tool:
      extra.append(("tool_call_id", .string(try fields.requiredString("tool_call_id"))))
      if content == nil { throw fields.missing("content") }
    case .system, .developer, .user:
      if content == nil { throw fields.missing("content") }
    }
    try fields.finish()
    // Templates know the older word only.
    return ChatMessage(
      role: role == .developer ? "system" : role.rawValue, content: content ?? "",
      toolCalls: calls, extra: extra)
  }

  /// A text, or the text of a list of parts.
  static func text(_ value: JSONValue, path: String) throws -> String {
    if let text = value.stringValue { return text }
    guard let parts = value.arrayValue else {
      throw APIError.invalid(
        "\(path) is \(Fields.kind(value)), expected a text or a list of parts", parameter: path,
        code: "invalid_value")
    }
    return try parts.enumerated().map { index, part in
      var fields = try Fields(part, path: "\(path)[\(index)]")
      let type = try fields.requiredString("type")
      guard type == "text" || type == "refusal" else {
        throw fields.wrong("type", .string(type), "\"text\": this server reads nothing but text")
      }
      let text = try fields.requiredString(type)
      try fields.finish()
      return text
    }.joined()
  }

  /// The calls of an assistant's message, as templates want them: arguments are values, not texts.
  private static func toolCalls(_ fields: inout Fields) throws -> [JSONValue] {
    guard let items = try fields.array("tool_calls") else { return [] }
    return try items.enumerated().map { index, item in
      var call = try Fields(item, path: "\(fields.name("tool_calls"))[\(index)]")
      let id = try call.requiredString("id")
      let type = try call.string("type") ?? "function"
      guard type == "function" else { throw call.wrong("type", .string(type), "\"function\"") }
      guard var function = try call.object("function") else { throw call.missing("function") }
      let name = try function.requiredString("name")
      let text = try function.requiredString("arguments")
      try function.finish()
      call.ignore("index")
      try call.finish()
      let arguments = (try? JSONValue(parsing: text)) ?? .string(text)
      return [
        "id": .string(id), "type": "function",
        "function": ["name": .string(name), "arguments": arguments],
      ]
    }
  }
}
