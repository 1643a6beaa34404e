import Foretoken
import Hummingbird

/// `POST /v1/chat/completions`.
struct ChatEndpoint {
  let server: ServerState

  func answer(_ incoming: IncomingRequest) async throws -> Response {
    let request = try ChatRequest(
      await incoming.json(limits: server.options), limits: server.options)
    let served = try server.model(named: request.model)
    if server.options.logsPrompts {
      incoming.record.update { $0.prompt = request.messages.last?.content }
    }
    let run = try await GenerationRun(
      [try prompt(request, served)], samples: request.shared.samples, model: served.model,
      incoming: incoming, server: server)
    return request.shared.streams
      ? stream(run, request, served) : try await whole(run, request, served)
  }

  private func prompt(_ request: ChatRequest, _ served: ModelHost.Served) throws -> [Int32] {
    do {
      let messages = ToolPrompt.messages(
        request.messages, tools: request.tools,
        template: served.model.tokenizer.chatTemplate ?? "")
      return try served.model.encode(
        messages, tools: request.tools.isUsed ? request.tools.definitions : nil)
    } catch {
      throw RequestErrors.error(for: error)
    }
  }

  private func whole(
    _ run: GenerationRun, _ request: ChatRequest, _ served: ModelHost.Served
  ) async throws -> Response {
    defer { run.finish() }
    var answer = ChatAnswer(request, served: served)
    while let (choice, event) = try await run.next() {
      let delta = answer.take(event, choice: choice)
      answer.keep(delta, choice: choice)
    }
    return .json(answer.object)
  }

  private func stream(
    _ run: GenerationRun, _ request: ChatRequest, _ served: ModelHost.Served
  ) -> Response {
    .events { [server] events in
      defer { run.finish() }
      var answer = ChatAnswer(request, served: served)
      for index in answer.choices.indices { try await events.write(answer.opening(index)) }
      try await server.pump(run, to: &events) { choice, event in
        let delta = answer.take(event, choice: choice)
        var pieces: [JSONValue] = []
        if !delta.isEmpty { pieces.append(answer.piece(delta, choice: choice)) }
        if case .finish = event { pieces.append(answer.closing(choice)) }
        return pieces
      } last: {
        answer.usage
      }
    }
  }
}

extension ServerState {
  /// Writes the events of a run; a failure becomes the last event but for the mark of the end.
  func pump(
    _ run: GenerationRun, to events: inout EventWriter,
    _ pieces: (Int, GenerationEvent) -> [JSONValue], last: () -> JSONValue?
  ) async throws {
    do {
      while let (choice, event) = try await run.next() {
        for piece in pieces(choice, event) { try await events.write(piece) }
      }
      if let usage = last() { try await events.write(usage) }
    } catch let error as APIError {
      try await events.write(error.json)
    }
    try await events.writeDone()
  }
}
