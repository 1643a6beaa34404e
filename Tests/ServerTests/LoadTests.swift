import Foretoken
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Server

/// Many clients at the same time, and clients that go.
@Suite(.serialized) struct LoadTests {
  /// Requests of mixed lengths and methods, each with its seed.
  private static func requests(_ count: Int) -> [JSONValue] {
    var random = SeededGenerator(seed: 77)
    func number(_ range: ClosedRange<Int>) -> Int {
      range.lowerBound + Int(random.next() % UInt64(range.count))
    }
    let methods = ["auto", "none", "copy", "recycling", "stand", "jacobi"]
    let words = ["river", "stone", "one", "two", "three", "night", "the", "of", "green"]
    return (0..<count).map { index in
      let text = (0..<number(1...60)).map { _ in words[number(0...words.count - 1)] }
      var request: JSONObject =
        JSONValue.chat(
          text.joined(separator: " "), ("max_tokens", .integer(number(2...16))),
          ("seed", .integer(index)), ("temperature", .number(Double(number(0...12)) / 10)),
          ("foretoken", ["speculation": .string(methods[index % methods.count])]),
          ("stream", .bool(index % 2 == 0))
        ).objectValue ?? .init()
      switch index % 8 {
      case 3: request["response_format"] = ["type": "json_object"]
      case 5: request["frequency_penalty"] = 0.5
      case 6: request["stop"] = ["the", "\n"]
      default: break
      }
      return .object(request)
    }
  }

  @Test("64 requests at the same time give the texts that each gives alone")
  func invariance() async throws {
    let requests = Self.requests(64)
    var alone: [String] = []
    var options = ServerOptions()
    options.prefixCacheBytes = 0
    try await TestServer.with(options) { server in
      for request in requests { alone.append(try await server.chat(request).text) }
    }
    // With kept prompts, and again when these are warm.
    options.prefixCacheBytes = 64 << 20
    try await TestServer.with(options) { server in
      for _ in 0..<2 {
        let texts = try await withThrowingTaskGroup(of: (Int, String).self) { group in
          for (index, request) in requests.enumerated() {
            group.addTask {
              let answer = try await server.chat(request)
              #expect(answer.status == 200, "\(answer.body)")
              return (index, answer.text)
            }
          }
          var texts: [Int: String] = [:]
          for try await (index, text) in group { texts[index] = text }
          return requests.indices.map { texts[$0] }
        }
        #expect(texts == alone)
      }
      #expect(try await server.leakedPages() == 0)
    }
  }

  @Test("clients that go in the middle of their answers leave no pages, and free their places")
  func disconnects() async throws {
    var options = ServerOptions()
    options.concurrency = 8
    options.prefixCacheBytes = 16 << 20
    try await TestServer.with(options) { server in
      for round in 0..<4 {
        var sockets: [Socket] = []
        for index in 0..<16 {
          let body = JSONValue.chat(
            "Tell a long story.", ("seed", .integer(round * 16 + index)), ("max_tokens", 3000),
            // Half of them have nothing to read until the end.
            ("stream", .bool(index % 2 == 0)), ("foretoken", ["ignore_eos": true]))
          let socket = try await server.open("/v1/chat/completions", body)
          sockets.append(socket)
          // The first one streams: it runs before the others come.
          if index == 0 { _ = try await onThread { try socket.readHead() } }
        }
        for socket in sockets { socket.close() }
        #expect(try await server.leakedPages() == 0, "round \(round)")
        #expect(server.server.load.waiting == 0)
      }
      let answer = try await server.chat(.chat("Hello", ("max_tokens", 3)))
      #expect(answer.status == 200)
    }
  }

  /// Kilobytes of this process that are in memory.
  private func residentKilobytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
    return Int(line.split(separator: " ").dropLast().last ?? "") ?? 0
  }

  /// `FORETOKEN_SOAK_REQUESTS` sets how many; 400 otherwise.
  @Test("memory stays flat over many requests, half of which are given up")
  func memory() async throws {
    let variable = ProcessInfo.processInfo.environment["FORETOKEN_SOAK_REQUESTS"] ?? ""
    let count = Int(variable) ?? 400
    var options = ServerOptions()
    options.prefixCacheBytes = 24 << 20
    try await TestServer.with(options) { server in
      func batch(_ numbers: Range<Int>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for number in numbers {
            group.addTask {
              let body = JSONValue.chat(
                "Question \(number)?", ("max_tokens", number % 2 == 0 ? 2 : 500),
                ("stream", .bool(number % 4 < 2)), ("seed", .integer(number)),
                ("foretoken", ["speculation": "none", "ignore_eos": true]))
              if number % 2 == 0 {
                let answer = try await server.chat(body)
                #expect(answer.status == 200)
              } else {
                try await server.open("/v1/chat/completions", body).close()
              }
            }
          }
          try await group.waitForAll()
        }
      }
      // What grows once: slabs, buffers, threads, the cache.
      for begin in stride(from: 0, to: 160, by: 16) { try await batch(begin..<begin + 16) }
      #expect(try await server.leakedPages() == 0)
      let before = try residentKilobytes()
      for begin in stride(from: 160, to: 160 + count, by: 16) {
        try await batch(begin..<begin + 16)
      }
      #expect(try await server.leakedPages() == 0)
      let grown = try residentKilobytes() - before
      #expect(grown < 24_000, "\(grown) kB over \(count) requests")
    }
  }

  @Test("who finds places and queue taken is told to come back, and others come in turn")
  func queue() async throws {
    var options = ServerOptions()
    options.concurrency = 1
    options.queue = 1
    try await TestServer.with(options) { server in
      let long = JSONValue.chat(
        "Tell a story.", ("max_tokens", 3000), ("stream", true), ("seed", 1),
        ("foretoken", ["ignore_eos": true]))
      let runs = try await server.open("/v1/chat/completions", long)
      _ = try await onThread { try runs.readHead() }
      let waits = try await server.open(
        "/v1/chat/completions", .chat("Hello", ("max_tokens", 2), ("seed", 1)))
      while server.server.load.waiting == 0 { await Task.yield() }
      let refused = try await server.chat(.chat("Hello", ("max_tokens", 2)))
      #expect(refused.status == 429)
      #expect((1...60).contains(Int(refused.fields["retry-after"] ?? "") ?? 0))
      // What needs no place is answered all the same.
      #expect(try await server.ask("POST", "/tokenize", ["content": "a"]).status == 200)
      runs.close()
      let status = try await onThread { try waits.readHead().status }
      #expect(status == 200)
    }
  }

  @Test("a request that takes too long gets an end, and its pages are free")
  func timeout() async throws {
    var options = ServerOptions()
    options.requestTimeout = .milliseconds(300)
    options.prefixCacheBytes = 0
    try await TestServer.with(options) { server in
      let long = JSONValue.chat(
        "Tell a story.", ("max_tokens", 3500), ("foretoken", ["ignore_eos": true])
      )
      let whole = try await server.chat(long)
      #expect(whole.status == 504 && whole.json["error"]?["type"] == "timeout_error")
      var streaming = long.objectValue ?? .init()
      streaming["stream"] = true
      let stream = try await server.chat(.object(streaming))
      #expect(stream.status == 200 && stream.isDone)
      #expect(stream.events.last?["error"]?["code"] == "timeout")
      #expect(try await server.leakedPages() == 0)
    }
  }

  @Test("200 connections that send a byte now and then do not stop a healthy client")
  func slowLoris() async throws {
    var options = ServerOptions()
    options.headTimeout = .seconds(2)
    try await TestServer.with(options) { server in
      let port = server.port
      let loris = try await onThread {
        try (0..<200).map { _ in
          let socket = try Socket(port: port)
          socket.send("POST /v1/chat/completions HTTP/1.1\r\nhost: 127")
          return socket
        }
      }
      for index in 0..<5 {
        for socket in loris { socket.send("\(index)") }
        #expect(try await server.chat(.chat("Hello", ("max_tokens", 2))).status == 200)
      }
      // A byte now and then moves no deadline.
      let areClosed = try await onThread { loris.allSatisfy { $0.isClosedByServer() } }
      #expect(areClosed)
      #expect(try await server.ask("GET", "/health").status == 200)
    }
  }

  @Test("a client that takes nothing is closed, and its generation ends")
  func slowReader() async throws {
    var options = ServerOptions()
    options.writeTimeout = .seconds(1)
    options.prefixCacheBytes = 0
    try await TestServer.with(options) { server in
      // Traces fill what the system holds between the two.
      let socket = try await server.open(
        "/v1/chat/completions",
        .chat(
          "Tell a story.", ("max_tokens", 3000), ("stream", true), ("logprobs", true),
          ("top_logprobs", 20), ("foretoken", ["trace": true, "ignore_eos": true])),
        receiveBuffer: 2048)
      while server.server.load.running == 0 { await Task.yield() }
      #expect(try await server.leakedPages() == 0)
      _ = socket
    }
  }
}
