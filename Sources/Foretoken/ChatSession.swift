import Decoding
import Synchronization
import Tokenization

/// A conversation with a model. What was said stays in the model's cache, so a turn costs only its
/// own tokens.
///
/// ```swift
/// let session = ChatSession(model, instructions: "Answer in one sentence.")
/// print(try await session.respond(to: "Why is the sky blue?"))
/// print(try await session.respond(to: "And at sunset?"))
/// ```
public actor ChatSession {
  /// The model that answers.
  public nonisolated let model: LanguageModel
  /// How answers are generated.
  public private(set) var options: GenerationOptions

  private nonisolated let conversation = Generator.ConversationID()
  private let instructions: [ChatMessage]
  private var settled: [ChatMessage]
  private var current: Turn?

  /// A question and as much of its answer as there is.
  private final class Turn: Sendable {
    let question: ChatMessage
    let answer = Mutex("")

    init(question: ChatMessage) { self.question = question }

    /// Both messages, or none while there is no answer.
    var messages: [ChatMessage] {
      let text = answer.withLock { $0 }
      return text.isEmpty ? [] : [question, ChatMessage(role: "assistant", content: text)]
    }
  }

  /// Starts a conversation.
  ///
  /// - Parameters:
  ///   - instructions: the system message; none if nil.
  ///   - history: messages of an earlier conversation to go on with.
  ///   - options: how answers are generated.
  public init(
    _ model: LanguageModel, instructions: String? = nil, history: [ChatMessage] = [],
    options: GenerationOptions = .init()
  ) {
    self.model = model
    self.options = options
    self.instructions = instructions.map { [ChatMessage(role: "system", content: $0)] } ?? []
    settled = self.instructions + history
  }

  deinit {
    let (generator, conversation) = (model.generator, conversation)
    Task { await generator.forget(conversation) }
  }

  /// Everything said so far, the answer that is being written included. A question that got no
  /// answer is left out.
  public var messages: [ChatMessage] { settled + (current?.messages ?? []) }

  /// Sets the generation options for the turns to come.
  public func setOptions(_ options: GenerationOptions) { self.options = options }

  /// Forgets everything but the instructions.
  public func clear() {
    settled = instructions
    current = nil
  }

  /// Asks, and reports the answer as it is written. Asking again ends an answer that is still
  /// being written; what there is of it stays in the conversation.
  ///
  /// - Returns: events, as from `LanguageModel.chat(_:tools:options:)`.
  public func events(replyingTo prompt: String) -> AsyncThrowingStream<GenerationEvent, any Error> {
    settled = messages
    let turn = Turn(question: ChatMessage(role: "user", content: prompt))
    current = turn
    let events = model.chat(
      settled + [turn.question], tools: nil, options: options, conversation: conversation)
    let source = EventSource(events)
    return AsyncThrowingStream {
      let event = try await source.next()
      if case .text(let piece) = event { turn.answer.withLock { $0 += piece.text } }
      return event
    }
  }

  /// Asks, and returns the whole answer.
  /// - Throws: as the stream of `events(replyingTo:)`.
  public func respond(to prompt: String) async throws -> String {
    var answer = ""
    for try await event in events(replyingTo: prompt) {
      if case .text(let piece) = event { answer += piece.text }
    }
    return answer
  }
}

/// One reader's place in a stream.
///
/// `@unchecked Sendable`: `AsyncThrowingStream` calls its closure for one reader at a time, and
/// nothing else touches the iterator.
private final class EventSource: @unchecked Sendable {
  private var iterator: AsyncThrowingStream<GenerationEvent, any Error>.Iterator

  init(_ events: AsyncThrowingStream<GenerationEvent, any Error>) {
    iterator = events.makeAsyncIterator()
  }

  func next() async throws -> GenerationEvent? { try await iterator.next() }
}
