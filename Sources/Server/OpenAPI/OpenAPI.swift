import Foretoken

/// `GET /openapi.json`: what can be asked, and what is answered (OpenAPI 3.1).
enum OpenAPI {
  /// The description of a server.
  static func document(_ server: ServerState) -> JSONValue {
    [
      "openapi": "3.1.0",
      "info": [
        "title": "Foretoken", "version": .string(ServerVersion.version),
        "description": "A language model on this machine's processors, by OpenAI's API.",
      ],
      "paths": .object(JSONObject(paths)),
      "components": [
        "schemas": .object(
          JSONObject(requestSchemas(model: server.host.served.name) + answerSchemas)),
        "securitySchemes": ["key": ["type": "http", "scheme": "bearer"]],
      ],
      "security": server.authentication.isOpen ? [] : [["key": []]],
    ]
  }

  private static var paths: [(String, JSONValue)] {
    [
      ("/health", get("health", "Whether the server answers.", "Health", isPublic: true)),
      ("/v1/models", get("models", "The model that is served.", "ModelList")),
      (
        "/v1/chat/completions",
        post("chat", "Answers a conversation.", "ChatRequest", "ChatAnswer", streams: true)
      ),
      (
        "/v1/completions",
        post("complete", "Goes on with a text.", "CompletionRequest", "Completion", streams: true)
      ),
      (
        "/v1/embeddings",
        post("embed", "A vector for each text.", "EmbeddingRequest", "EmbeddingList")
      ),
      ("/tokenize", post("tokenize", "The tokens of a text.", "TokenizeRequest", "Tokens")),
      (
        "/detokenize",
        post("detokenize", "The text of tokens.", "DetokenizeRequest", "Content")
      ),
      ("/foretoken/methods", get("methods", "The catalogue of methods.", "MethodList")),
      ("/foretoken/model", get("model", "What the model is, without where it is.", "ModelFacts")),
      ("/metrics", get("metrics", "Figures in Prometheus' format.", nil)),
      ("/openapi.json", get("openapi", "This document.", "Document", isPublic: true)),
    ]
  }

  private static func get(
    _ name: String, _ summary: String, _ answer: String?, isPublic: Bool = false
  ) -> JSONValue {
    let content: JSONValue =
      answer.map { json(Schema.reference($0)) }
      ?? .object(
        JSONObject([("text/plain", JSONValue.object(JSONObject([("schema", Schema.string)])))]))
    var operation = JSONObject([
      ("operationId", .string(name)), ("summary", .string(summary)),
      ("responses", responses(["description": "The answer.", "content": content], body: false)),
    ])
    if isPublic { operation["security"] = [] }
    return ["get": .object(operation)]
  }

  private static func post(
    _ name: String, _ summary: String, _ request: String, _ answer: String, streams: Bool = false
  ) -> JSONValue {
    var content = json(Schema.reference(answer)).objectValue ?? JSONObject()
    // OpenAPI 3.1 cannot say what an event holds, and programs differ in whether a schema here is that
    // of an event or of the whole text.
    if streams { content["text/event-stream"] = .object(JSONObject()) }
    return [
      "post": [
        "operationId": .string(name), "summary": .string(summary),
        "requestBody": ["required": true, "content": json(Schema.reference(request))],
        "responses": responses(
          ["description": "The answer.", "content": .object(content)], body: true),
      ]
    ]
  }

  private static func json(_ schema: JSONValue) -> JSONValue {
    ["application/json": ["schema": schema]]
  }

  private static func responses(_ success: JSONValue, body: Bool) -> JSONValue {
    var codes = [
      ("400", "The request is not what it should be."), ("401", "A key is missing or wrong."),
      ("403", "A page of another origin asks."), ("404", "No such path or model."),
      ("405", "The path does not take this method."), ("503", "The server is shutting down."),
    ]
    if body {
      codes += [
        ("413", "The body is too large."), ("415", "The body is not JSON."),
        ("429", "All places and the queue are taken."), ("500", "A mistake of the server."),
        ("504", "The request took too long."),
      ]
    }
    let errors = codes.map { code, description -> (String, JSONValue) in
      (
        code,
        [
          "description": .string(description),
          "content": json(
            code == "503" && !body
              ? Schema.either(Schema.reference("Error"), Schema.reference("Health"))
              : Schema.reference("Error")),
        ]
      )
    }
    return .object(JSONObject([("200", success)] + errors))
  }
}
