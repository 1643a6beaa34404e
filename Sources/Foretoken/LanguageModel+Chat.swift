import Decoding
import Tokenization

extension LanguageModel {
  /// The model's chat template, parsed.
  /// - Throws: `LanguageModelError.noChatTemplate`, or `ChatTemplateError` for one that is broken.
  public func chatTemplate() throws -> ChatTemplate {
    guard let source = tokenizer.chatTemplate else {
      throw LanguageModelError.noChatTemplate(model: reference)
    }
    return try ChatTemplate(source: source)
  }

  /// The tokens of a conversation, up to the beginning of the next answer.
  ///
  /// - Parameter tools: JSON array of the tools that the model may call.
  /// - Throws: as `chatTemplate()`; `ChatTemplateError` if the template refuses the messages.
  public func encode(_ messages: [ChatMessage], tools: JSONValue? = nil) throws -> [Int32] {
    let text = try chatTemplate().render(
      messages: messages, tools: tools, addGenerationPrompt: true,
      bosToken: text(of: tokenizer.bosToken), eosToken: text(of: tokenizer.eosToken))
    var tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: true)
    // Some templates write the BOS token themselves, others leave it to the tokenizer.
    if tokenizer.addsBOS, let bos = tokenizer.bosToken, tokens.first != bos {
      tokens.insert(bos, at: 0)
    }
    return tokens
  }

  /// Answers a conversation, in the format that the model was trained for.
  ///
  /// - Parameters:
  ///   - messages: oldest first; the last one is usually the user's.
  ///   - tools: JSON array of the tools that the model may call.
  ///   - options: what to generate and when to stop.
  /// - Returns: events; the last one is `finish`. Mistakes in the request, a model without a chat
  ///   template among them, are thrown by the stream.
  public func chat(
    _ messages: [ChatMessage], tools: JSONValue? = nil, options: GenerationOptions = .init()
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    chat(messages, tools: tools, options: options, conversation: nil)
  }

  func chat(
    _ messages: [ChatMessage], tools: JSONValue?, options: GenerationOptions,
    conversation: Generator.ConversationID?
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    do {
      return generator.generate(
        try encode(messages, tools: tools), options: options, conversation: conversation)
    } catch {
      return AsyncThrowingStream { throw error }
    }
  }

  private func text(of token: Int32?) -> String {
    token.map { String(decoding: tokenizer.bytes(of: $0), as: UTF8.self) } ?? ""
  }
}
