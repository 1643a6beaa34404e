import Foretoken
import Testing

@testable import Server

/// What each endpoint answers.
@Suite(.serialized) struct EndpointTests {
  @Test("a chat answers the same whole and as events, and tells the usage")
  func chat() async throws {
    try await TestServer.with { server in
      let fields: [(String, JSONValue)] = [("max_tokens", 20), ("seed", 4), ("temperature", 0.8)]
      var body = JSONValue.chat("Name three rivers.").objectValue ?? .init()
      for (key, value) in fields { body[key] = value }
      let whole = try await server.chat(.object(body))
      #expect(whole.status == 200)
      #expect(whole.json["object"] == "chat.completion")
      #expect(whole.json["usage"]?["completion_tokens"] == 20)
      #expect(whole.json["choices"]?[0]?["finish_reason"] == "length")
      #expect(!whole.text.isEmpty)
      body["stream"] = true
      body["stream_options"] = ["include_usage": true]
      let stream = try await server.chat(.object(body))
      #expect(stream.fields["content-type"] == "text/event-stream")
      #expect(stream.text == whole.text)
      #expect(stream.isDone)
      #expect(stream.events.first?["choices"]?[0]?["delta"]?["role"] == "assistant")
      #expect(stream.events.last?["choices"] == [])
      #expect(stream.events.last?["usage"]?["total_tokens"] == whole.json["usage"]?["total_tokens"])
    }
  }

  @Test("the library gives the same text as the server")
  func library() async throws {
    let model = try await TestServer.model.value
    let options = GenerationOptions(
      maxTokens: 24, sampling: .init(temperature: 1, penaltyWindow: nil, seed: 11))
    var expected = ""
    for try await event in model.chat(
      [ChatMessage(role: "user", content: "Tell me of the sea.")], options: options)
    {
      if case .text(let piece) = event { expected += piece.text }
    }
    try await TestServer.with { server in
      let answer = try await server.chat(
        .chat("Tell me of the sea.", ("max_completion_tokens", 24), ("seed", 11)))
      #expect(answer.text == expected)
    }
  }

  @Test("choices have seeds of their own, and share their prompt")
  func choices() async throws {
    try await TestServer.with { server in
      let three = try await server.chat(
        .chat("Name a colour.", ("n", 3), ("seed", 7), ("max_tokens", 12)))
      let choices = three.json["choices"]?.arrayValue ?? []
      #expect(choices.count == 3)
      #expect(three.json["usage"]?["prompt_tokens"]?.intValue ?? 99 < 50)
      for (index, choice) in choices.enumerated() {
        let alone = try await server.chat(
          .chat("Name a colour.", ("seed", .integer(7 + index)), ("max_tokens", 12)))
        #expect(choice["message"]?["content"]?.stringValue == alone.text)
      }
    }
  }

  @Test("log-probabilities, stops, biases and constraints are as asked")
  func options() async throws {
    try await TestServer.with { server in
      let listed = try await server.chat(
        .chat("Hello", ("max_tokens", 4), ("logprobs", true), ("top_logprobs", 2)))
      let tokens = listed.json["choices"]?[0]?["logprobs"]?["content"]?.arrayValue ?? []
      #expect(tokens.count == 4)
      #expect(tokens.allSatisfy { $0["top_logprobs"]?.arrayValue?.count == 2 })
      #expect(tokens.allSatisfy { $0["logprob"]?.doubleValue ?? 1 <= 0 })

      let greedy = JSONValue.chat("Count: one, two,", ("max_tokens", 24), ("temperature", 0))
      let plain = try await server.chat(greedy)
      let word = String(plain.text.split(separator: " ").dropFirst(2).first ?? "")
      var stopped = greedy.objectValue ?? .init()
      stopped["stop"] = .string(word)
      let cut = try await server.chat(.object(stopped))
      #expect(cut.json["choices"]?[0]?["finish_reason"] == "stop")
      #expect(!word.isEmpty && !cut.text.contains(word) && plain.text.hasPrefix(cut.text))

      let object = try await server.chat(
        .chat(
          "A person as JSON.", ("max_tokens", 200), ("seed", 3),
          (
            "response_format",
            [
              "type": "json_schema",
              "json_schema": [
                "name": "person",
                "schema": [
                  "type": "object",
                  "properties": [
                    "name": ["type": "string", "maxLength": 12],
                    "age": ["type": "integer", "minimum": 0, "maximum": 120],
                  ],
                  "required": ["name", "age"], "additionalProperties": false,
                ],
              ],
            ]
          )))
      let person = try JSONValue(parsing: object.text)
      #expect((0...120).contains(person["age"]?.intValue ?? -1))

      let yes = try await server.chat(
        .chat("Yes or no?", ("grammar", "root ::= \"yes\" | \"no\"")))
      #expect(["yes", "no"].contains(yes.text))
      #expect(yes.json["choices"]?[0]?["finish_reason"] == "stop")
    }
  }

  @Test("a prediction is drafted from, and changes no text")
  func prediction() async throws {
    try await TestServer.with { server in
      let plain = JSONValue.chat(
        "Say the alphabet.", ("max_tokens", 40), ("temperature", 0),
        ("foretoken", ["speculation": "none"]))
      let expected = try await server.chat(plain)
      let predicted = try await server.chat(
        .chat(
          "Say the alphabet.", ("max_tokens", 40), ("temperature", 0),
          ("prediction", ["type": "content", "content": .string(expected.text)]),
          ("foretoken", ["trace": true, "speculation": ["method": "input", "planner": "off"]])))
      #expect(predicted.text == expected.text)
      let details = predicted.json["usage"]?["completion_tokens_details"]
      #expect(details?["accepted_prediction_tokens"]?.intValue ?? 0 > 10)
      let trace = predicted.json["foretoken"]?["choices"]?[0]
      #expect(trace?["summary"]?["forwards"]?.intValue ?? 99 < 30)
      let steps = trace?["steps"]?.arrayValue ?? []
      let texts = steps.flatMap { $0["emitted_texts"]?.arrayValue ?? [] }
      #expect(texts.compactMap(\.stringValue).joined().hasPrefix(String(expected.text.prefix(20))))
    }
  }

  @Test("completions take texts and tokens, several at a time")
  func completions() async throws {
    try await TestServer.with { server in
      func complete(_ fields: (String, JSONValue)...) async throws -> TestServer.Answer {
        let base: [(String, JSONValue)] = [
          ("model", "smollm2-135m"), ("temperature", 0), ("max_tokens", 8),
        ]
        return try await server.ask(
          "POST", "/v1/completions", .object(JSONObject(base + fields)))
      }
      func texts(_ answer: TestServer.Answer) -> [String] {
        (answer.json["choices"]?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }
      }
      let both = try await complete(("prompt", ["The capital of France is", "One, two,"]))
      #expect(both.status == 200)
      let alone = try await complete(("prompt", "One, two,"))
      #expect(texts(both).count == 2 && texts(both)[1] == texts(alone)[0])
      let tokens = try await server.ask(
        "POST", "/tokenize", ["content": "One, two,", "with_pieces": true])
      #expect(tokens.json["pieces"]?.arrayValue?.count == tokens.json["count"]?.intValue)
      let list = tokens.json["tokens"] ?? .null
      #expect(texts(try await complete(("prompt", list))) == texts(alone))
      let echoed = try await complete(("prompt", "One, two,"), ("echo", true), ("logprobs", 1))
      #expect(texts(echoed)[0] == "One, two," + texts(alone)[0])
      #expect(echoed.json["choices"]?[0]?["logprobs"]?["tokens"]?.arrayValue?.count == 8)
      let streamed = try await complete(("prompt", "One, two,"), ("stream", true))
      let pieces = streamed.events.compactMap { $0["choices"]?[0]?["text"]?.stringValue }
      #expect(pieces.joined() == texts(alone)[0] && streamed.isDone)
      let back = try await server.ask("POST", "/detokenize", ["tokens": list])
      #expect(back.json["content"] == "One, two,")
    }
  }

  @Test("embeddings are unit vectors that do not depend on their neighbours")
  func embeddings() async throws {
    try await TestServer.with { server in
      func embed(_ input: JSONValue, _ format: String) async throws -> [JSONValue] {
        let answer = try await server.ask(
          "POST", "/v1/embeddings",
          ["model": "smollm2-135m", "input": input, "encoding_format": .string(format)])
        #expect(answer.status == 200, "\(answer.body)")
        return (answer.json["data"]?.arrayValue ?? []).compactMap { $0["embedding"] }
      }
      let texts: JSONValue = ["A cat sat.", "Dogs bark at night, as they like to do."]
      let vectors = try await embed(texts, "float")
      let alone = try await embed("A cat sat.", "float")
      #expect(vectors.count == 2 && vectors[0] == alone[0] && vectors[0] != vectors[1])
      let numbers = (vectors[0].arrayValue ?? []).compactMap(\.doubleValue)
      #expect(numbers.count == 576)
      #expect(abs(numbers.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
      let base64 = try await embed("A cat sat.", "base64")
      #expect(base64[0].stringValue?.count == 576 * 4 * 4 / 3)
    }
  }

  @Test("health, models, metrics, the document and the page are there")
  func fixed() async throws {
    try await TestServer.with { server in
      #expect(try await server.ask("GET", "/health").json["status"] == "ok")
      let models = try await server.ask("GET", "/v1/models")
      #expect(models.json["data"]?[0]?["id"] == "smollm2-135m")
      _ = try await server.chat(.chat("Hello", ("max_tokens", 3)))
      let metrics = try await server.ask("GET", "/metrics")
      #expect(metrics.body.contains("foretoken_completion_tokens_total 3\n"))
      #expect(
        metrics.body.contains(
          "foretoken_requests_total{path=\"/v1/chat/completions\",status=\"200\"} 1\n"))
      let document = try await server.ask("GET", "/openapi.json")
      let paths = Set(document.json["paths"]?.objectValue?.keys ?? [])
      #expect(paths == Set(Routes.all.keys))
      let page = try await server.ask("GET", "/")
      #expect(page.status == 200 && page.body.hasPrefix("<!doctype html>"))
      let head = try await server.ask("HEAD", "/health")
      #expect(head.status == 200)
    }
  }
}
