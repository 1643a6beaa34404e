import Foretoken

/// The answer to a chat, whole or in pieces.
struct ChatAnswer {
  private let id = Identifier.make("chatcmpl-")
  private let created = UnixTime.seconds
  private let model: String
  private let request: ChatRequest
  private(set) var choices: [ChatChoice]
  private var texts: [String]
  private var calls: [[JSONValue]]
  private var logProbabilities: [[JSONValue]]
  private var steps: [[JSONValue]]

  init(_ request: ChatRequest, served: ModelHost.Served) {
    self.request = request
    model = served.name
    let count = request.shared.count
    let choice = ChatChoice(
      tokenizer: served.model.tokenizer, traces: request.shared.traces,
      findsCalls: request.tools.isUsed)
    choices = Array(repeating: choice, count: count)
    texts = Array(repeating: "", count: count)
    calls = Array(repeating: [], count: count)
    logProbabilities = Array(repeating: [], count: count)
    steps = Array(repeating: [], count: count)
  }

  /// Takes an event of a choice, and returns what it adds.
  mutating func take(_ event: GenerationEvent, choice: Int) -> ChatChoice.Delta {
    choices[choice].take(event)
  }

  /// Keeps what an event adds, for `object`.
  mutating func keep(_ delta: ChatChoice.Delta, choice: Int) {
    texts[choice] += delta.content
    calls[choice] += delta.calls
    logProbabilities[choice] += delta.logProbabilities
    steps[choice] += delta.steps
  }

  private func head(_ object: String) -> [(String, JSONValue)] {
    [
      ("id", .string(id)), ("object", .string(object)), ("created", .integer(created)),
      ("model", .string(model)), ("system_fingerprint", .string(ServerVersion.fingerprint)),
    ]
  }

  private var usageObject: JSONValue {
    AnswerParts.usage(choices.compactMap(\.summary), choices: choices.count)
  }

  private var lists: Bool { request.shared.options.logProbabilities != nil }

  // MARK: Whole

  /// The whole answer.
  var object: JSONValue {
    var fields = head("chat.completion")
    fields.append(("choices", .array(choices.indices.map(choice))))
    fields.append(("usage", usageObject))
    if request.shared.traces {
      let traced = choices.indices.map { index -> JSONValue in
        [
          "index": .integer(index), "steps": .array(steps[index]),
          "summary": choices[index].summary.flatMap { AnswerParts.json($0) } ?? .null,
        ]
      }
      fields.append(("foretoken", ["choices": .array(traced)]))
    }
    return .object(JSONObject(fields))
  }

  private func choice(_ index: Int) -> JSONValue {
    let hasCalls = choices[index].hasCalls
    var message = JSONObject([
      ("role", "assistant"),
      ("content", hasCalls && texts[index].isEmpty ? .null : .string(texts[index])),
      ("refusal", .null),
    ])
    if hasCalls {
      message["tool_calls"] = .array(
        calls[index].map { call in
          var object = call.objectValue ?? JSONObject()
          object["index"] = nil
          return .object(object)
        })
    }
    return [
      "index": .integer(index), "message": .object(message),
      "logprobs": lists
        ? ["content": .array(logProbabilities[index]), "refusal": .null] : .null,
      "finish_reason": AnswerParts.finishReason(choices[index].summary, hasCalls: hasCalls),
    ]
  }

  // MARK: Pieces

  /// The first piece of a choice: who speaks.
  func opening(_ index: Int) -> JSONValue {
    chunk(index, delta: ["role": "assistant", "content": ""])
  }

  /// What an event adds to a choice.
  func piece(_ delta: ChatChoice.Delta, choice index: Int) -> JSONValue {
    var fields = JSONObject()
    if !delta.content.isEmpty || !delta.logProbabilities.isEmpty {
      fields["content"] = .string(delta.content)
    }
    if !delta.calls.isEmpty { fields["tool_calls"] = .array(delta.calls) }
    var block: JSONObject?
    if request.shared.traces {
      block = JSONObject([("steps", .array(delta.steps))])
      if !delta.tokens.isEmpty {
        block?["tokens"] = .array(delta.tokens.map { .integer(Int($0)) })
      }
    }
    return chunk(
      index, delta: .object(fields), logProbabilities: delta.logProbabilities, block: block)
  }

  /// The end of a choice.
  func closing(_ index: Int) -> JSONValue {
    let choice = choices[index]
    let reason = AnswerParts.finishReason(choice.summary, hasCalls: choice.hasCalls)
    var block: JSONObject?
    if request.shared.traces, let summary = choice.summary.flatMap({ AnswerParts.json($0) }) {
      block = JSONObject([("summary", summary)])
    }
    return chunk(index, delta: [:], reason: reason, block: block)
  }

  /// The last piece, if the usage was asked for.
  var usage: JSONValue? {
    guard request.shared.includesUsage else { return nil }
    return .object(
      JSONObject(
        head("chat.completion.chunk") + [
          ("choices", []), ("usage", usageObject),
        ]))
  }

  private func chunk(
    _ index: Int, delta: JSONValue, logProbabilities: [JSONValue] = [], reason: JSONValue = .null,
    block: JSONObject? = nil
  ) -> JSONValue {
    let choice: JSONValue = [
      "index": .integer(index), "delta": delta,
      "logprobs": logProbabilities.isEmpty
        ? .null : ["content": .array(logProbabilities), "refusal": .null],
      "finish_reason": reason,
    ]
    var fields = head("chat.completion.chunk") + [("choices", .array([choice]))]
    if request.shared.includesUsage { fields.append(("usage", .null)) }
    if let block { fields.append(("foretoken", .object(block))) }
    return .object(JSONObject(fields))
  }
}
