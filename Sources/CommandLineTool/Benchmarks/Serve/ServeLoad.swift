import Foretoken
import Foundation

/// Asks a server for streams and measures them.
struct ServeLoad: Sendable {
  /// One answer.
  struct Measured: Sendable {
    /// Seconds to the first text.
    let first: Double
    /// Seconds to the end.
    let whole: Double
    /// Tokens, as the server counts them.
    let tokens: Int
    let text: String

    /// Seconds of each token after the first.
    var perToken: Double? { tokens > 1 ? (whole - first) / Double(tokens - 1) : nil }
  }

  let address: PeerAddress
  let model: String
  let key: String?
  /// Whether the server knows the block `foretoken`.
  let isOwn: Bool
  let tokens: Int

  /// The name of the first model that a server lists.
  static func firstModel(_ address: PeerAddress, key: String?) async throws -> String {
    try await blocking {
      let connection = try PeerConnection(address)
      try connection.send("GET", "/v1/models", nil, key: key)
      try connection.readHead()
      while let line = try connection.readBodyLine() {
        if let id = (try? JSONValue(parsing: line))?["data"]?[0]?["id"]?.stringValue { return id }
      }
      throw PeerError(
        description: "\(address.authority) lists no models; name one with --peer-model")
    }
  }

  /// Asks and reads to the end.
  func ask(_ messages: [ChatMessage], seed: Int, tokens: Int? = nil) async throws -> Measured {
    var fields: [(String, JSONValue)] = [
      ("model", .string(model)), ("messages", .array(messages.map { .object($0.fields) })),
      ("max_tokens", .integer(tokens ?? self.tokens)), ("seed", .integer(seed)),
      ("temperature", 0), ("stream", true), ("stream_options", ["include_usage": true]),
    ]
    if isOwn { fields.append(("foretoken", ["ignore_eos": true])) }
    let request = JSONValue.object(JSONObject(fields))
    return try await Self.blocking { try measure(request) }
  }

  private func measure(_ request: JSONValue) throws -> Measured {
    let clock = ContinuousClock()
    let began = clock.now
    func elapsed() -> Double { began.duration(to: clock.now) / .seconds(1) }
    let connection = try PeerConnection(address)
    try connection.send("POST", "/v1/chat/completions", request, key: key)
    try connection.readHead()
    var (text, pieces, first) = ("", 0, Double?.none)
    var count: Int?
    while let line = try connection.readBodyLine() {
      guard line.hasPrefix("data: ") else { continue }
      if line == "data: [DONE]" { break }
      let event = try JSONValue(parsing: String(line.dropFirst(6)))
      if let message = event["error"]?["message"]?.stringValue {
        throw PeerError(description: "\(address.authority): \(message)")
      }
      count = event["usage"]?["completion_tokens"]?.intValue ?? count
      guard let piece = event["choices"]?[0]?["delta"]?["content"]?.stringValue, !piece.isEmpty
      else {
        continue
      }
      if first == nil { first = elapsed() }
      text += piece
      pieces += 1
    }
    let whole = elapsed()
    return Measured(first: first ?? whole, whole: whole, tokens: count ?? pieces, text: text)
  }

  /// Runs `clients` clients that each ask `requests` times, one after the other.
  ///
  /// - Returns: all answers, and the seconds from the first request to the last end.
  func run(clients: Int, requests: Int) async throws -> (answers: [Measured], seconds: Double) {
    let clock = ContinuousClock()
    let began = clock.now
    let answers = try await withThrowingTaskGroup(of: [Measured].self) { group in
      for client in 0..<clients {
        group.addTask {
          var answers: [Measured] = []
          for index in 0..<requests {
            try Task.checkCancellation()
            let number = client * requests + index
            answers.append(try await ask(Self.question(number), seed: number))
          }
          return answers
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    return (answers, began.duration(to: clock.now) / .seconds(1))
  }

  private static let questions = [
    "Explain in a few sentences why the sky is blue.", "What is photosynthesis?",
    "Write a short story about a fisherman who finds a bottle.", "Describe the water cycle.",
    "Write a polite email that asks for a day off.", "Compare cats and dogs as pets.",
    "How do I make pancakes? List the ingredients and the steps.",
    "Give three tips for learning a language.",
  ]

  /// A question that no other number has, so that nobody finds its beginning in a cache.
  static func question(_ number: Int) -> [ChatMessage] {
    let text = questions[number % questions.count]
    return [ChatMessage(role: "user", content: "Question \(number): \(text)")]
  }

  /// Runs blocking work on a thread of its own.
  private static func blocking<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
  }
}
