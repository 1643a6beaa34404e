import Decoding
import Foretoken

/// The generations of one request: they wait for their places, run, and give the places back.
struct GenerationRun: Sendable {
  let events: SampleEvents
  private let ticket: Admission.Ticket
  private let incoming: IncomingRequest
  private let admission: Admission
  private let timeout: Duration
  private let began = ContinuousClock.now

  /// Waits for places and for the first event.
  ///
  /// - Parameters:
  ///   - prompts: tokens of each prompt, fewer than the context holds.
  ///   - samples: the options of each choice of a prompt; the choices are numbered through all prompts.
  /// - Throws: `APIError` for what is wrong with the request, for a full queue, and at a lifetime's
  ///   end.
  init(
    _ prompts: [[Int32]], samples: [GenerationOptions], model: LanguageModel,
    incoming: IncomingRequest, server: ServerState
  ) async throws {
    let limit = server.options.contextLimit(model)
    for prompt in prompts where prompt.count >= limit {
      throw APIError.invalid(
        "the prompt has \(prompt.count) tokens, and with the answer there is room for \(limit); send "
          + "a shorter one", code: "context_length_exceeded")
    }
    self.incoming = incoming
    admission = server.admission
    timeout = server.options.requestTimeout
    let ticket = try await admission.enter(
      places: min(prompts.count * samples.count, server.options.concurrency),
      client: incoming.client, lifetime: incoming.lifetime)
    if let error = incoming.lifetime.error(timeout: timeout) { throw error }
    guard let ticket else { throw APIError.shuttingDown }
    self.ticket = ticket
    let cancellation = GenerationCancellation()
    incoming.lifetime.onEnd { cancellation.cancel() }
    incoming.record.update { $0.promptTokens = prompts.reduce(0) { $0 + $1.count } }
    events = SampleEvents(
      prompts.flatMap { prompt in
        let limited = samples.map { sample in
          var sample = sample
          sample.maxTokens = min(sample.maxTokens ?? .max, limit - prompt.count)
          return sample
        }
        return model.generator.generate(prompt, samples: limited, cancellation: cancellation)
      })
    do {
      try await events.start()
    } catch {
      ticket.release()
      throw RequestErrors.error(for: error)
    }
  }

  /// The next event and its choice; nil when all choices are over.
  /// - Throws: `APIError` for a failure, and where the lifetime has ended before the generations.
  func next() async throws -> (choice: Int, event: GenerationEvent)? {
    do {
      let next = try await events.next()
      if let next { note(next.event) }
      if case .finish(let summary)? = next?.event, summary.finishReason == .cancelled {
        throw incoming.lifetime.error(timeout: timeout) ?? APIError.shuttingDown
      }
      return next
    } catch {
      throw RequestErrors.error(for: error)
    }
  }

  /// Gives the places back.
  func finish() {
    admission.note(seconds: began.duration(to: .now) / .seconds(1))
    ticket.release()
  }

  private func note(_ event: GenerationEvent) {
    let elapsed = incoming.record.elapsed
    incoming.record.update { figures in
      switch event {
      case .step(let step):
        if figures.firstToken == nil { figures.firstToken = elapsed }
        figures.completionTokens += step.emitted.count
        figures.draftedTokens += step.draftTokens.count
        figures.acceptedTokens += step.accepted.count
      case .prompt(let progress): figures.cachedTokens = progress.reused
      case .text, .warning, .finish: break
      }
    }
  }
}

/// Tells mistakes of requests from those of the server.
enum RequestErrors {
  /// What a client is told of an error.
  static func error(for error: any Error) -> APIError {
    switch error {
    case let error as APIError: error
    case GenerationError.promptTooLong:
      APIError.invalid("\(error)", code: "context_length_exceeded")
    case is GenerationError, is SamplingError, is MethodError, is ConstraintError,
      is ChatTemplateError, is LanguageModelError, is DraftModelError:
      APIError.invalid("\(error)", code: "invalid_value")
    default: APIError.inside
    }
  }
}
