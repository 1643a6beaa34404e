import Foretoken
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Server

/// A server in this process, on a port of its own, with a real model.
final class TestServer: Sendable {
  let port: Int
  let server: ForetokenServer
  private let task: Task<Void, any Error>

  /// The model of all tests, loaded once.
  static let model = Task {
    try await LanguageModel.load(
      TestModels.path("smollm2-135m"), reference: "smollm2-135m", options: .init(context: 4096))
  }

  private init(port: Int, server: ForetokenServer, task: Task<Void, any Error>) {
    self.port = port
    self.server = server
    self.task = task
  }

  /// Starts a server, does `body`, and ends the server.
  static func with<Result>(
    _ options: ServerOptions = .init(), log: ServerLog = .silent,
    _ body: (TestServer) async throws -> Result
  ) async throws -> Result {
    var options = options
    options.port = 0
    let server = try await ForetokenServer(model.value, options: options, log: log)
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let task = Task {
      defer { continuation.finish() }
      try await server.run(handlesSignals: false) { continuation.yield($0) }
    }
    guard let port = await ports.first(where: { _ in true }) else {
      try await task.value
      throw Socket.Failure(description: "the server ended at once")
    }
    let running = TestServer(port: port, server: server, task: task)
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(running)) } catch { result = .failure(error) }
    task.cancel()
    _ = await task.result
    return try result.get()
  }

  /// Waits until nothing runs and nothing is in use but what is kept of prompts; how many pages are
  /// in use beyond that after 20 seconds.
  func leakedPages() async throws -> Int {
    let generator = try await Self.model.value.generator
    var leaked = 0
    for _ in 0..<4000 {
      let kept = await generator.prefixCache.pages
      leaked = await generator.usedPages - kept
      if leaked == 0, server.load.running == 0 { return 0 }
      try await Task.sleep(for: .milliseconds(5))
    }
    return leaked
  }

  // MARK: Asking

  struct Answer: Sendable {
    let status: Int
    let fields: [String: String]
    let body: String

    var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }

    /// The values of a stream's events, the mark of the end left out.
    var events: [JSONValue] {
      body.components(separatedBy: "\n\n").compactMap { line in
        guard line.hasPrefix("data: "), line != "data: [DONE]" else { return nil }
        return try? JSONValue(parsing: String(line.dropFirst(6)))
      }
    }

    var isDone: Bool { body.hasSuffix("data: [DONE]\n\n") }

    /// The text of the first choice, whole or from a stream.
    var text: String {
      if let text = json["choices"]?[0]?["message"]?["content"]?.stringValue { return text }
      return events.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.stringValue }.joined()
    }
  }

  /// Asks and reads the whole answer.
  func ask(
    _ method: String, _ path: String, _ body: JSONValue? = nil, headers: [String: String] = [:]
  ) async throws -> Answer {
    try await ask(method, path, text: body?.serialized(), headers: headers)
  }

  func ask(
    _ method: String, _ path: String, text: String?, headers: [String: String] = [:]
  ) async throws -> Answer {
    let port = port
    return try await onThread {
      let socket = try Socket(port: port)
      socket.send(Self.request(method, path, text, headers, port: port))
      let head = try socket.readHead()
      let isBodiless = method == "HEAD" || head.status == 204
      return Answer(
        status: head.status, fields: head.fields, body: isBodiless ? "" : try socket.readBody(head))
    }
  }

  static func request(
    _ method: String, _ path: String, _ body: String?, _ headers: [String: String] = [:], port: Int
  ) -> String {
    var fields = ["host": "127.0.0.1:\(port)"]
    if let body {
      fields["content-type"] = "application/json"
      fields["content-length"] = "\(body.utf8.count)"
    }
    for (name, value) in headers { fields[name.lowercased()] = value }
    let lines = fields.map { "\($0): \($1)\r\n" }.joined()
    return "\(method) \(path) HTTP/1.1\r\n\(lines)\r\n\(body ?? "")"
  }

  /// Opens a connection and sends a request, whose answer nobody has read yet.
  func open(
    _ path: String, _ body: JSONValue, receiveBuffer: Int32? = nil
  ) async throws -> Socket {
    let port = port
    return try await onThread {
      let socket = try Socket(port: port, receiveBuffer: receiveBuffer)
      socket.send(Self.request("POST", path, body.serialized(), port: port))
      return socket
    }
  }

  func chat(_ body: JSONValue) async throws -> Answer {
    try await ask("POST", "/v1/chat/completions", body)
  }
}

extension JSONValue {
  /// A chat with one message and further fields.
  static func chat(_ text: String, _ fields: (String, JSONValue)...) -> JSONValue {
    let base: [(String, JSONValue)] = [
      ("model", "smollm2-135m"), ("messages", [["role": "user", "content": .string(text)]]),
    ]
    return .object(JSONObject(base + fields))
  }
}
