import Foretoken

/// Tells models of tools whose chat template does not.
enum ToolPrompt {
  /// The messages for a template: those of the request, with a description of the tools in the
  /// system message where the template knows no tools.
  static func messages(
    _ messages: [ChatMessage], tools: ToolUse, template: String
  ) -> [ChatMessage] {
    guard tools.isUsed, !template.contains("tools") else { return messages }
    let text = description(of: tools)
    guard let first = messages.first, first.role == "system" else {
      return [ChatMessage(role: "system", content: text)] + messages
    }
    let system = ChatMessage(role: "system", content: (first.content ?? "") + "\n\n" + text)
    return [system] + messages.dropFirst()
  }

  private static func description(of tools: ToolUse) -> String {
    let lines = (tools.definitions.arrayValue ?? []).map { $0.serialized() }
    return """
      You can call these functions. Each line is the JSON description of one:
      \(lines.joined(separator: "\n"))
      To call one, write nothing but
      \(ToolCallFormat.opening)
      {"name": "the function's name", "arguments": {"argument": "value"}}
      \(ToolCallFormat.closing)
      """
  }
}
