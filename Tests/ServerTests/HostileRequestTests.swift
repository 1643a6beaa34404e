import Foretoken
import Testing

@testable import Server

/// Requests that are not what they should be.
@Suite(.serialized) struct HostileRequestTests {
  private struct Case {
    let name: String
    var path = "/v1/chat/completions"
    let body: String
    var status = 400
    var parameter: String?
  }

  private static func chat(_ fields: String) -> String {
    "{\"model\":\"smollm2-135m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
      + "\"max_tokens\":2,\(fields)}"
  }

  private static let cases: [Case] = {
    let deep = String(repeating: "[", count: 100_000)
    let nested = "{\"model\":" + String(repeating: "[", count: 200)
    var cases = [
      Case(name: "nothing", body: ""), Case(name: "half", body: "{\"model\": \"smollm2-135m\""),
      Case(name: "no JSON", body: "model=x"), Case(name: "a list", body: "[]"),
      Case(name: "null", body: "null"), Case(name: "deep", body: deep),
      Case(name: "deep value", body: nested + String(repeating: "]", count: 200) + "}"),
      Case(name: "no model", body: "{\"messages\": []}", parameter: "model"),
      Case(
        name: "another model",
        body: "{\"model\":\"gpt-9\",\"messages\":[{\"role\":\"user\","
          + "\"content\":\"a\"}]}", status: 404, parameter: "model"),
      Case(
        name: "no messages", body: "{\"model\":\"smollm2-135m\"}", parameter: "messages"),
      Case(
        name: "empty messages", body: "{\"model\":\"smollm2-135m\",\"messages\":[]}",
        parameter: "messages"),
      Case(
        name: "an image",
        body: "{\"model\":\"smollm2-135m\",\"messages\":[{\"role\":\"user\","
          + "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}",
        parameter: "messages[0].content[0].type"),
      Case(
        name: "a role",
        body: "{\"model\":\"smollm2-135m\",\"messages\":[{\"role\":\"king\","
          + "\"content\":\"a\"}]}", parameter: "messages[0].role"),
      Case(
        name: "tokens out of range", path: "/v1/completions",
        body: "{\"model\":\"smollm2-135m\",\"prompt\":[1,99999999]}", parameter: "prompt"),
      Case(
        name: "negative tokens", path: "/detokenize", body: "{\"tokens\":[-1]}",
        parameter: "tokens"),
      Case(
        name: "huge numbers", path: "/detokenize",
        body: "{\"tokens\":[123456789012345678901234567890]}", parameter: "tokens"),
      Case(name: "infinite", path: "/detokenize", body: "{\"tokens\":[1e999]}"),
      Case(
        name: "no input", path: "/v1/embeddings", body: "{\"model\":\"smollm2-135m\"}",
        parameter: "input"),
      Case(
        name: "empty input", path: "/v1/embeddings",
        body: "{\"model\":\"smollm2-135m\",\"input\":\"\"}", parameter: "input"),
      Case(
        name: "a prompt longer than the context", path: "/v1/completions",
        body: "{\"model\":\"smollm2-135m\",\"prompt\":\""
          + String(repeating: "one ", count: 8000) + "\"}"),
    ]
    let wrong: [(String, String, String?)] = [
      ("temperature", "-1", nil), ("temperature", "1e300", nil), ("temperature", "\"hot\"", nil),
      ("top_p", "-0.1", nil), ("top_p", "2", nil), ("n", "0", nil), ("n", "-3", nil),
      ("n", "1000000", nil), ("n", "1.5", nil), ("max_tokens", "0", nil),
      ("max_tokens", "-9223372036854775808", nil), ("max_completion_tokens", "1e18", nil),
      ("seed", "1.5", nil), ("seed", "\"x\"", nil), ("stop", "\"\"", nil), ("stop", "[1]", nil),
      ("stop", "[\"" + String(repeating: "x", count: 2000) + "\"]", nil),
      ("logprobs", "3", nil), ("top_logprobs", "3", nil), ("logit_bias", "{\"x\":1}", nil),
      ("logit_bias", "{\"1\":1000}", nil), ("logit_bias", "{\"99999999\":1}", ""),
      ("stream", "\"yes\"", nil), ("stream_options", "{}", nil),
      ("presence_penalty", "3", nil), ("frequency_penalty", "[]", nil),
      ("response_format", "{\"type\":\"xml\"}", "response_format.type"),
      ("response_format", "{\"type\":\"json_schema\"}", "response_format.json_schema"),
      (
        "response_format",
        "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"type\":7}}}",
        "response_format.json_schema.schema"
      ), ("grammar", "\"root ::= (\"", nil), ("grammar", "\"\"", nil),
      ("tools", "{}", nil), ("tools", "[{\"type\":\"function\"}]", "tools[0].function"),
      ("tool_choice", "\"required\"", nil), ("tool_choice", "{\"type\":\"x\"}", "tool_choice.type"),
      ("prediction", "{\"type\":\"content\"}", "prediction.content"),
      ("foretoken", "{\"speculation\":\"magic\"}", ""),
      ("foretoken", "{\"decode\":\"magic\"}", ""), ("foretoken", "{\"x\":1}", "foretoken.x"),
      ("foretoken", "{\"draft_memory\":\"/etc/passwd\"}", "foretoken.draft_memory"),
      ("unheard_of", "1", nil),
    ]
    for (field, value, parameter) in wrong {
      cases.append(
        Case(
          name: "\(field): \(value.prefix(40))", body: chat("\"\(field)\":\(value)"),
          parameter: parameter == "" ? nil : parameter ?? field))
    }
    return cases
  }()

  @Test("each gets its error, names what is wrong, and the server goes on")
  func bodies() async throws {
    try await TestServer.with { server in
      for test in Self.cases {
        let answer = try await server.ask("POST", test.path, text: test.body)
        #expect(answer.status == test.status, "\(test.name): \(answer.body)")
        let error = answer.json["error"]
        #expect(error?["type"]?.stringValue != nil, "\(test.name)")
        if let parameter = test.parameter {
          #expect(error?["param"]?.stringValue == parameter, "\(test.name): \(answer.body)")
        }
        let message = error?["message"]?.stringValue ?? "/"
        #expect(!message.isEmpty && !message.contains("/root") && !message.contains(".swift"))
        #expect(message.utf8.count < 1000, "\(test.name)")
      }
      #expect(try await server.chat(.chat("Hello", ("max_tokens", 2))).status == 200)
      #expect(try await server.leakedPages() == 0)
    }
  }

  @Test("invalid UTF-8, wrong types, lengths and methods get their statuses")
  func envelopes() async throws {
    var options = ServerOptions()
    options.bodyBytes = 10_000
    try await TestServer.with(options) { server in
      let port = server.port
      let bytes = Array("{\"model\":\"".utf8) + [0xFF, 0xC0, 0xAF] + Array("\"}".utf8)
      let (utf8, afterwards) = try await onThread {
        let socket = try Socket(port: port)
        socket.send(
          "POST /tokenize HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            + "content-length: \(bytes.count)\r\n\r\n")
        socket.send(bytes)
        let head = try socket.readHead()
        _ = try socket.readBody(head)
        socket.send("GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        return (head.status, try socket.readHead().status)
      }
      #expect(utf8 == 400 && afterwards == 200)
      let large = try await server.ask(
        "POST", "/tokenize", text: String(repeating: " ", count: 20_000))
      #expect(large.status == 413 && large.fields["connection"] == "close")
      let chunked = try await onThread {
        let socket = try Socket(port: port)
        socket.send(
          "POST /tokenize HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            + "transfer-encoding: chunked\r\n\r\n")
        for _ in 0..<30 {
          socket.send("400\r\n" + String(repeating: " ", count: 1024) + "\r\n")
        }
        return try socket.readHead().status
      }
      #expect(chunked == 413)
      let text = try await server.ask(
        "POST", "/tokenize", text: "{}", headers: ["content-type": "text/plain"])
      #expect(text.status == 415)
      let packed = try await server.ask(
        "POST", "/tokenize", text: "{}", headers: ["content-encoding": "gzip"])
      #expect(packed.status == 415)
      let wrong = try await server.ask("PUT", "/v1/models")
      #expect(wrong.status == 405 && wrong.fields["allow"] == "GET, HEAD")
      #expect(try await server.ask("GET", "/../../etc/passwd").status == 404)
      #expect(try await server.ask("OPTIONS", "/v1/models").status == 405)
      let broken = try await onThread {
        let socket = try Socket(port: port)
        socket.send("NONSENSE\u{1}\r\n\r\n")
        return try socket.readHead().status
      }
      #expect(broken == 400)
      let fields = try await onThread {
        let socket = try Socket(port: port)
        let field = "x: " + String(repeating: "y", count: 60_000) + "\r\n"
        socket.send("GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\(field)\r\n")
        return (try? socket.readHead().status) ?? 400
      }
      #expect(fields == 400 || fields == 431)
      #expect(try await server.ask("GET", "/health").status == 200)
    }
  }

  @Test("pages of other origins and foreign names are kept out, unless they are let in")
  func origins() async throws {
    var options = ServerOptions()
    options.origins = ["https://example.org"]
    try await TestServer.with(options) { server in
      func status(_ headers: [String: String]) async throws -> Int {
        try await server.ask("GET", "/v1/models", headers: headers).status
      }
      #expect(try await status(["origin": "https://evil.example"]) == 403)
      #expect(try await status(["host": "evil.example"]) == 403)
      #expect(try await status(["origin": "http://127.0.0.1:\(server.port)"]) == 200)
      let allowed = try await server.ask(
        "GET", "/v1/models", headers: ["origin": "https://example.org"])
      #expect(allowed.fields["access-control-allow-origin"] == "https://example.org")
      let asked = try await server.ask(
        "OPTIONS", "/v1/models", headers: ["origin": "https://example.org"])
      #expect(asked.status == 204)
      #expect(
        try await server.ask("GET", "/v1/models").fields["access-control-allow-origin"] == nil)
    }
  }

  @Test("where there are keys, one of them has to be brought")
  func keys() async throws {
    var options = ServerOptions()
    options.keys = ["first-key-123", "second-key-456"]
    try await TestServer.with(options) { server in
      for (header, status) in [
        (nil, 401), ("Bearer wrong-key-123", 401), ("Bearer first-key-12", 401),
        ("Bearer first-key-1234", 401), ("first-key-123", 401), ("Basic first-key-123", 401),
        ("Bearer first-key-123", 200), ("bearer second-key-456", 200),
      ] as [(String?, Int)] {
        let headers = header.map { ["authorization": $0] } ?? [:]
        let answer = try await server.ask("GET", "/v1/models", headers: headers)
        #expect(answer.status == status, "\(header ?? "none")")
      }
      #expect(try await server.ask("GET", "/health").status == 200)
      #expect(try await server.ask("GET", "/metrics").status == 401)
    }
    var open = ServerOptions()
    open.host = "0.0.0.0"
    #expect(throws: ServerError.openAddress("0.0.0.0")) { try open.validate() }
    open.isInsecure = true
    try open.validate()
    open.keys = ["short"]
    #expect(throws: ServerError.badKey(number: 1)) { try open.validate() }
  }
}
