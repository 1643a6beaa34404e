import Foretoken
import Hummingbird

/// `POST /v1/completions`.
struct CompletionEndpoint {
  let server: ServerState

  func answer(_ incoming: IncomingRequest) async throws -> Response {
    let request = try CompletionRequest(
      await incoming.json(limits: server.options), limits: server.options)
    let served = try server.model(named: request.model)
    let tokenizer = served.model.tokenizer
    let prompts = try request.prompts.map { try $0.tokens(tokenizer, parameter: "prompt") }
    if server.options.logsPrompts, let prompt = prompts.last {
      incoming.record.update { $0.prompt = tokenizer.decode(prompt) }
    }
    let run = try await GenerationRun(
      prompts, samples: request.shared.samples, model: served.model, incoming: incoming,
      server: server)
    var answer = CompletionAnswer(request, prompts: prompts, served: served)
    guard request.shared.streams else {
      defer { run.finish() }
      while let (choice, event) = try await run.next() { answer.keep(event, choice: choice) }
      return .json(answer.object)
    }
    return .events { [server, answer] events in
      defer { run.finish() }
      var answer = answer
      try await server.pump(run, to: &events) { choice, event in
        answer.pieces(event, choice: choice)
      } last: {
        answer.usage
      }
    }
  }
}

/// The answer to a completion, whole or in pieces.
struct CompletionAnswer: Sendable {
  private struct Choice {
    var text = ""
    /// Length of the text so far, the pieces of a stream included, in characters.
    var length = 0
    var entries: [JSONValue] = []
    var steps: [JSONValue] = []
    var summary: GenerationSummary?
  }

  private let id = Identifier.make("cmpl-")
  private let created = UnixTime.seconds
  private let model: String
  private let tokenizer: Tokenizer
  private let request: CompletionRequest
  private let echoed: [String]
  private var choices: [Choice]

  init(_ request: CompletionRequest, prompts: [[Int32]], served: ModelHost.Served) {
    self.request = request
    model = served.name
    tokenizer = served.model.tokenizer
    let count = request.shared.count
    echoed = prompts.flatMap { [tokenizer] prompt in
      Array(repeating: request.echoes ? tokenizer.decode(prompt) : "", count: count)
    }
    choices = Array(repeating: Choice(), count: prompts.count * count)
  }

  /// Keeps what an event says, for `object`.
  mutating func keep(_ event: GenerationEvent, choice: Int) { _ = pieces(event, choice: choice) }

  /// The whole answer.
  var object: JSONValue {
    let list = choices.indices.map { index -> JSONValue in
      self.choice(
        index, text: echoed[index] + choices[index].text, entries: choices[index].entries,
        reason: reason(index))
    }
    var fields = head + [("choices", .array(list)), ("usage", usageObject)]
    if request.shared.traces {
      let traced = choices.enumerated().map { index, choice -> JSONValue in
        [
          "index": .integer(index), "steps": .array(choice.steps),
          "summary": choice.summary.flatMap { AnswerParts.json($0) } ?? .null,
        ]
      }
      fields.append(("foretoken", ["choices": .array(traced)]))
    }
    return .object(JSONObject(fields))
  }

  /// The pieces that an event adds to a stream.
  mutating func pieces(_ event: GenerationEvent, choice index: Int) -> [JSONValue] {
    switch event {
    case .prompt, .warning: return []
    case .step(let trace):
      guard request.shared.traces else { return [] }
      let step = AnswerParts.step(trace, tokenizer)
      choices[index].steps.append(step)
      return [chunk(index, text: "", block: ["steps": .array([step])])]
    case .text(let piece):
      let isFirst = choices[index].length == 0
      let entries = (piece.logProbabilities ?? []).map {
        AnswerParts.logProbability($0, tokenizer)
      }
      choices[index].text += piece.text
      choices[index].length += max(piece.text.count, 1)
      choices[index].entries += entries
      return [chunk(index, text: (isFirst ? echoed[index] : "") + piece.text, entries: entries)]
    case .finish(let summary):
      choices[index].summary = summary
      return [chunk(index, text: "", reason: reason(index))]
    }
  }

  /// The last piece, if the usage was asked for.
  var usage: JSONValue? {
    guard request.shared.includesUsage else { return nil }
    return .object(JSONObject(head + [("choices", []), ("usage", usageObject)]))
  }

  private var usageObject: JSONValue {
    AnswerParts.usage(choices.compactMap(\.summary), choices: request.shared.count)
  }

  private var head: [(String, JSONValue)] {
    [
      ("id", .string(id)), ("object", "text_completion"), ("created", .integer(created)),
      ("model", .string(model)), ("system_fingerprint", .string(ServerVersion.fingerprint)),
    ]
  }

  private func reason(_ index: Int) -> JSONValue {
    AnswerParts.finishReason(choices[index].summary, hasCalls: false)
  }

  private func choice(
    _ index: Int, text: String, entries: [JSONValue], reason: JSONValue
  ) -> JSONValue {
    [
      "text": .string(text), "index": .integer(index),
      "logprobs": request.shared.options.logProbabilities == nil ? .null : Self.lists(entries),
      "finish_reason": reason,
    ]
  }

  private func chunk(
    _ index: Int, text: String, entries: [JSONValue] = [], reason: JSONValue = .null,
    block: JSONValue? = nil
  ) -> JSONValue {
    var fields = head
    fields.append(
      ("choices", .array([choice(index, text: text, entries: entries, reason: reason)])))
    if request.shared.includesUsage { fields.append(("usage", .null)) }
    if let block { fields.append(("foretoken", block)) }
    return .object(JSONObject(fields))
  }

  /// The older form of log-probabilities: lists beside each other. Offsets count characters of the
  /// tokens listed.
  private static func lists(_ entries: [JSONValue]) -> JSONValue {
    var offset = 0
    var offsets: [JSONValue] = []
    for entry in entries {
      offsets.append(.integer(offset))
      offset += entry["token"]?.stringValue?.count ?? 0
    }
    return [
      "tokens": .array(entries.map { $0["token"] ?? .null }),
      "token_logprobs": .array(entries.map { $0["logprob"] ?? .null }),
      "top_logprobs": .array(
        entries.map { entry in
          .object(
            JSONObject(
              (entry["top_logprobs"]?.arrayValue ?? []).map {
                ($0["token"]?.stringValue ?? "", $0["logprob"] ?? .null)
              }))
        }),
      "text_offset": .array(offsets),
    ]
  }
}
