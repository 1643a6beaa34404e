import Foretoken
import Foundation
import Testing

@testable import Server

/// The program itself: signals, clients of other languages, examples.
@Suite(.serialized) struct ProcessTests {
  private func stream(
    _ process: ServeProcess, seed: Int, tokens: Int
  ) async throws -> Socket {
    let body = JSONValue.chat(
      "Tell a story.", ("seed", .integer(seed)), ("max_tokens", .integer(tokens)),
      ("stream", true), ("foretoken", ["ignore_eos": true]))
    let port = process.port
    return try await onThread {
      let socket = try Socket(port: port)
      socket.send(
        TestServer.request("POST", "/v1/chat/completions", body.serialized(), port: port))
      return socket
    }
  }

  /// Waits for the heads of all streams, does `action`, and reads the streams to their ends.
  private func texts(
    _ sockets: [Socket], after action: () async throws -> Void
  ) async throws -> [String] {
    let heads = try await onThread { try sockets.map { try $0.readHead() } }
    #expect(heads.allSatisfy { $0.status == 200 })
    try await action()
    return try await onThread { try zip(sockets, heads).map { try $0.readBody($1) } }
  }

  @Test("at SIGTERM, 16 streams come to their ends, nothing new is taken, and the status is 0")
  func drain() async throws {
    let process = try await ServeProcess("--max-concurrency", "16")
    var sockets: [Socket] = []
    for seed in 0..<16 { sockets.append(try await stream(process, seed: seed, tokens: 40)) }
    let texts = try await texts(sockets) {
      process.send(SIGTERM)
      let isLogged = try await process.waitForLog("\"event\":\"drain\"")
      #expect(isLogged)
    }
    #expect(texts.allSatisfy { $0.hasSuffix("data: [DONE]\n\n") && !$0.contains("\"error\"") })
    #expect(texts.allSatisfy { $0.contains("\"finish_reason\":\"length\"") })
    #expect(try await process.finish() == 0)
  }

  @Test("what does not end in time is given an end")
  func drainTimeout() async throws {
    let process = try await ServeProcess("--drain-timeout", "0.3")
    var sockets: [Socket] = []
    for seed in 0..<4 { sockets.append(try await stream(process, seed: seed, tokens: 3900)) }
    let texts = try await texts(sockets) { process.send(SIGTERM) }
    #expect(texts.allSatisfy { $0.hasSuffix("data: [DONE]\n\n") })
    #expect(texts.allSatisfy { $0.contains("\"code\":\"shutting_down\"") })
    #expect(try await process.finish() == 0)
  }

  @Test("at SIGHUP the model is loaded anew, and no request is dropped")
  func reload() async throws {
    let process = try await ServeProcess("--log-prompts")
    let alone = try await texts([try await stream(process, seed: 5, tokens: 60)]) {}
    let during = try await texts([try await stream(process, seed: 5, tokens: 60)]) {
      process.send(SIGHUP)
      let isLogged = try await process.waitForLog("\"event\":\"reloaded\"")
      #expect(isLogged)
    }
    let after = try await texts([try await stream(process, seed: 5, tokens: 60)]) {}
    func words(_ texts: [String]) -> [String] {
      texts[0].components(separatedBy: "\n\n").compactMap {
        (try? JSONValue(parsing: String($0.dropFirst(6))))?["choices"]?[0]?["delta"]?["content"]?
          .stringValue
      }
    }
    #expect(words(alone).joined().count > 60)
    #expect(words(during).joined() == words(alone).joined())
    #expect(words(after).joined() == words(alone).joined())
    process.send(SIGINT)
    #expect(try await process.finish() == 0)
    #expect(process.logText.contains("\"prompt\":\"Tell a story.\""))
  }

  @Test("the log shows no prompts unless it is asked to")
  func log() async throws {
    let process = try await ServeProcess()
    _ = try await texts([try await stream(process, seed: 5, tokens: 3)]) {}
    #expect(try await process.waitForLog("\"completion_tokens\":3"))
    #expect(!process.logText.contains("story"))
    process.send(SIGTERM)
    #expect(try await process.finish() == 0)
  }

  // MARK: Clients

  private static let python = Task {
    let made = try await ServeProcess.run(
      ServeProcess.folder.appending(path: "Scripts/client-venv.sh"), [])
    guard made.status == 0, let path = made.output.split(separator: "\n").last else {
      throw Socket.Failure(description: "no Python environment: \(made.output)")
    }
    return URL(filePath: String(path))
  }

  @Test("the official Python client and the examples are content")
  func clients() async throws {
    let python = try await Self.python.value
    let process = try await ServeProcess("--max-context", "512")
    let environment = ["FORETOKEN_URL": process.url]
    let bash = URL(filePath: "/usr/bin/env")
    for (program, arguments) in [
      (python, ["Tests/ServerClients/openai_client.py"]),
      (python, ["Examples/chat.py"]), (bash, ["bash", "Examples/chat.sh"]),
      (ServeProcess.program("foretoken-example"), ["smollm2-135m", "Name a colour."]),
    ] {
      let result = try await ServeProcess.run(program, arguments, environment: environment)
      #expect(result.status == 0, "\(arguments): \(result.output)")
    }
    process.send(SIGTERM)
    #expect(try await process.finish() == 0)
  }

  @Test("what the document allows, and what it does not, is answered as it says")
  func fuzz() async throws {
    _ = try await Self.python.value
    let process = try await ServeProcess("--max-context", "64")
    let result = try await ServeProcess.run(
      URL(filePath: "/usr/bin/env"), ["bash", "Tests/ServerClients/fuzz.sh", "2"],
      environment: ["FORETOKEN_URL": process.url])
    #expect(result.status == 0, "\(result.output.suffix(6000))")
    #expect(result.output.contains(" passed"))
    process.send(SIGTERM)
    #expect(try await process.finish() == 0)
  }
}
