import Foundation
import TestSupport
import Testing
import Tokenization

@Suite("Chat templates")
struct ChatTemplateTests {
  private func golden(_ name: String) throws -> JSONValue {
    let data = try Data(contentsOf: Goldens.directory.appending(path: "\(name).json"))
    return try JSONValue(parsing: [UInt8](data))
  }

  @Test("the templates of the models render every conversation as transformers does")
  func modelTemplates() throws {
    let models = try #require(golden("chat_templates").objectValue)
    var count = 0
    for (model, golden) in models.entries {
      let template = try ChatTemplate(source: #require(golden["template"]?.stringValue))
      for example in try #require(golden["cases"]?.arrayValue) {
        let messages = try #require(example["messages"]?.arrayValue)
        let rendered = try template.render(
          messages: messages.map { ChatMessage(fields: try #require($0.objectValue)) },
          tools: example["tools"],
          addGenerationPrompt: example["add_generation_prompt"] == true)
        #expect(JSONValue.string(rendered) == example["rendered"], "\(model)")
        count += 1
      }
    }
    #expect(count == 50)
  }

  @Test("the template inside a model file is the one that was compared")
  func templateInFile() async throws {
    let models = try #require(golden("chat_templates").objectValue)
    for (model, golden) in models.entries {
      let tokenizer = try await ModelTokenizers.shared.tokenizer(model)
      #expect(tokenizer.chatTemplate == golden["template"]?.stringValue)
    }
  }

  @Test("small templates give what Python's Jinja2 gives, errors included")
  func agreesWithJinja() throws {
    let table = try golden("jinja_cases")
    let variables = try #require(table["variables"]?.objectValue).entries.map { ($0.key, $0.value) }
    let now = TemplateDate(secondsSince1970: try #require(table["now"]?.intValue))
    let cases = try #require(table["cases"]?.arrayValue)
    #expect(cases.count >= 150)
    for example in cases {
      let source = try #require(example["template"]?.stringValue)
      do {
        let text = try ChatTemplate(source: source).render(variables: variables, now: now)
        #expect(example["expected"] == .string(text), "\(source)")
      } catch let error as ChatTemplateError {
        switch error.kind {
        case .syntax: #expect(example["fails"] == "syntax", "\(source): \(error)")
        case .evaluation: #expect(example["fails"] == "evaluation", "\(source): \(error)")
        case .raised: #expect(example["raises"] == .string(error.message), "\(source)")
        case .limit: Issue.record("\(source): \(error)")
        }
      }
    }
  }

  @Test(
    "templates in the style of common models render whole conversations as Jinja2 does",
    arguments: ["llama3", "mistral", "phi", "gemma", "qwen3"])
  func styles(style: String) throws {
    let table = try golden("template_styles")
    let template = try ChatTemplate(source: #require(table["templates"]?[style]?.stringValue))
    let conversations = try #require(table["conversations"]?.arrayValue)
    let now = TemplateDate(secondsSince1970: try #require(table["now"]?.intValue))
    let cases = try #require(table["cases"]?.arrayValue).filter { $0["style"] == .string(style) }
    #expect(cases.count >= 26)
    for example in cases {
      let index = try #require(example["conversation"]?.intValue)
      let messages = try #require(conversations[index].arrayValue)
      let name: Comment = "\(style), conversation \(index)"
      do {
        let text = try template.render(
          messages: messages.map { ChatMessage(fields: try #require($0.objectValue)) },
          tools: example["tools"] == true ? table["tools"] : nil,
          addGenerationPrompt: example["add_generation_prompt"] == true, bosToken: "<s>",
          eosToken: "</s>", now: now)
        #expect(example["rendered"] == .string(text), name)
      } catch let error as ChatTemplateError {
        switch error.kind {
        case .evaluation: #expect(example["fails"] == "evaluation", name)
        case .raised: #expect(example["raises"] == .string(error.message), name)
        case .syntax, .limit: Issue.record("\(name): \(error)")
        }
      }
    }
  }

  @Test("a message with all its fields reaches the template")
  func messages() throws {
    let template = try ChatTemplate(
      source: "{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ m.tool_calls|tojson "
        + "if m.tool_calls }}:{{ m.name }};{% endfor %}{{ bos_token }}{{ eos_token }}{{ flag }}"
        + "{{ tools is none }}{{ add_generation_prompt }}")
    let text = try template.render(
      messages: [
        ChatMessage(
          role: "assistant", content: "é", toolCalls: [["name": "f"]], extra: [("name", "n")])
      ], addGenerationPrompt: false, bosToken: "<s>", eosToken: "</s>", extra: ["flag": 3])
    #expect(text == #"assistant:é:[{"name": "f"}]:n;<s></s>3TrueFalse"#)
  }

  @Test("texts are told apart by their bytes, not by canonical equivalence")
  func bytesDecide() throws {
    let template = try ChatTemplate(
      source: "{{ a == b }} {{ a in [b] }} {{ {a: 1}[b] is defined }} {{ a|length }}{{ b|length }}")
    let text = try template.render(variables: [("a", "é"), ("b", "e\u{301}")])
    #expect(text == "False False False 12")
  }

  @Test("an error names line and column of the template")
  func errorPlaces() throws {
    let failing = try ChatTemplate(
      source: "line one\n{% if true %}\n  é{{ missing.field }}\n{% endif %}")
    let error = #expect(throws: ChatTemplateError.self) { try failing.render(variables: []) }
    #expect(error?.line == 3 && error?.column == 14 && error?.kind == .evaluation)
    let syntax = #expect(throws: ChatTemplateError.self) {
      try ChatTemplate(source: "a\nb {{ 1 ++ }}")
    }
    #expect(syntax?.line == 2 && syntax?.column == 11 && syntax?.kind == .syntax)
  }

  @Test("dates are told as strftime tells them")
  func dates() throws {
    let template = try ChatTemplate(
      source: "{{ strftime_now('%Y-%m-%d %H:%M:%S %a %j %-d|%e %q') }}")
    let tell = { (seconds: Int, offset: Int) in
      try template.render(
        variables: [], now: TemplateDate(secondsSince1970: seconds, utcOffset: offset))
    }
    #expect(try tell(0, 0) == "1970-01-01 00:00:00 Thu 001 1| 1 %q")
    #expect(try tell(951_782_399, 0) == "2000-02-28 23:59:59 Mon 059 28|28 %q")
    #expect(try tell(951_782_399, 1) == "2000-02-29 00:00:00 Tue 060 29|29 %q")
    #expect(try tell(-1, 0) == "1969-12-31 23:59:59 Wed 365 31|31 %q")
    #expect(try tell(.max, .max).hasSuffix("%q"))
  }
}
