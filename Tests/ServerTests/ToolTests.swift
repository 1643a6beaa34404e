import Foretoken
import TestSupport
import Testing

@testable import Server

/// Calls of tools.
@Suite(.serialized) struct ToolTests {
  private func parts(_ text: String, by size: Int) -> [ToolCallParser.Part] {
    var parser = ToolCallParser()
    var parts: [ToolCallParser.Part] = []
    var rest = text[...]
    while !rest.isEmpty {
      parts += parser.append(String(rest.prefix(size)))
      rest = rest.dropFirst(size)
    }
    parts += parser.finish()
    // Texts that came in pieces.
    return parts.reduce(into: []) { joined, part in
      if case .text(let text) = part, case .text(let before)? = joined.last {
        joined[joined.count - 1] = .text(before + text)
      } else {
        joined.append(part)
      }
    }
  }

  @Test("calls of both formats are found, however the text is cut", arguments: [1, 2, 3, 7, 1000])
  func formats(_ size: Int) {
    let hermes = "{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}"
    #expect(
      parts("I look.\n<tool_call>\n\(hermes)\n</tool_call>\n", by: size) == [
        .text("I look."),
        .call(.init(name: "weather", arguments: "{\"city\":\"Paris\"}")),
      ])
    let coder =
      "<function=weather>\n<parameter=city>\nNew York\n</parameter>\n<parameter=days>\n3\n"
      + "</parameter>\n</function>"
    #expect(
      parts("<tool_call>\n\(coder)\n</tool_call><tool_call>\(hermes)</tool_call>", by: size) == [
        .call(.init(name: "weather", arguments: "{\"city\":\"New York\",\"days\":3}")),
        .call(.init(name: "weather", arguments: "{\"city\":\"Paris\"}")),
      ])
    // What cannot be read stays as it is, and so does what is no call.
    for text in ["a <tool_call>nonsense</tool_call> b", "1 < 2, <tool> and <tool_cal", "x  \n"] {
      #expect(parts(text, by: size) == [.text(text)], "\(text)")
    }
    #expect(
      parts("<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}", by: size) == [
        .call(.init(name: "f", arguments: "{\"a\": 1}"))
      ])
  }

  private static let tools: JSONValue = [
    [
      "type": "function",
      "function": [
        "name": "weather", "description": "The weather of a city.",
        "parameters": [
          "type": "object",
          "properties": [
            "city": ["type": "string", "maxLength": 16], "unit": ["enum": ["C", "F"]],
          ],
          "required": ["city", "unit"], "additionalProperties": false,
        ],
      ],
    ],
    [
      "type": "function",
      "function": ["name": "clock", "parameters": ["type": "object", "properties": [:]]],
    ],
  ]

  @Test("a call that is demanded is made, whole and as events", arguments: [1, 2])
  func forced(_ seed: Int) async throws {
    try await TestServer.with { server in
      func body(_ choice: JSONValue, streams: Bool) -> JSONValue {
        .chat(
          "What is the weather in Rome?", ("tools", Self.tools), ("tool_choice", choice),
          ("seed", .integer(seed)), ("max_tokens", 200), ("stream", .bool(streams)))
      }
      let named: JSONValue = ["type": "function", "function": ["name": "weather"]]
      let answer = try await server.chat(body(named, streams: false))
      #expect(answer.status == 200, "\(answer.body)")
      let choice = answer.json["choices"]?[0]
      #expect(choice?["finish_reason"] == "tool_calls")
      #expect(choice?["message"]?["content"]?.isNull == true)
      let function = choice?["message"]?["tool_calls"]?[0]?["function"]
      #expect(function?["name"] == "weather")
      let arguments = try JSONValue(parsing: function?["arguments"]?.stringValue ?? "")
      #expect(["C", "F"].contains(arguments["unit"]?.stringValue))

      let stream = try await server.chat(body(named, streams: true))
      let calls = stream.events.compactMap { $0["choices"]?[0]?["delta"]?["tool_calls"]?[0] }
      #expect(calls.count == 1 && calls[0]["function"] == function)
      #expect(stream.text.isEmpty && stream.isDone)

      let any = try await server.chat(body("required", streams: false))
      let name = any.json["choices"]?[0]?["message"]?["tool_calls"]?[0]?["function"]?["name"]
      #expect(["weather", "clock"].contains(name?.stringValue))

      // A conversation goes on with what the tool said.
      let call = choice?["message"]?["tool_calls"]?[0] ?? .null
      let next = try await server.chat([
        "model": "smollm2-135m", "max_tokens": 8, "tools": Self.tools, "tool_choice": "none",
        "messages": [
          ["role": "user", "content": "What is the weather in Rome?"],
          ["role": "assistant", "content": .null, "tool_calls": [call]],
          ["role": "tool", "tool_call_id": call["id"] ?? "", "content": "21 C"],
        ],
      ])
      #expect(next.status == 200, "\(next.body)")
    }
  }

  @Test("a template that knows tools is told of them, others get a description")
  func prompts() async throws {
    var fields = try Fields(["tools": Self.tools])
    let use = try ToolUse(&fields)
    let messages = [ChatMessage(role: "user", content: "Hello")]
    #expect(ToolPrompt.messages(messages, tools: use, template: "{{ tools }}") == messages)
    let told = ToolPrompt.messages(messages, tools: use, template: "{{ messages }}")
    #expect(told.count == 2 && told[0].role == "system")
    #expect(told[0].content?.contains("\"name\":\"weather\"") == true)
  }
}
