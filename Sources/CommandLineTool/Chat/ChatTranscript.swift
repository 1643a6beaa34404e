import Foretoken
import Foundation

/// A conversation as `/save` writes it: `{"messages": [{"role": …, "content": …}, …]}`.
struct ChatTranscript {
  /// The system message.
  var instructions: String?
  /// Questions and answers, oldest first.
  var history: [ChatMessage] = []

  init(instructions: String?) { self.instructions = instructions }

  /// - Parameter messages: a leading system message, if any, becomes the instructions.
  init(_ messages: [ChatMessage]) {
    let hasInstructions = messages.first?.role == "system"
    instructions = hasInstructions ? messages.first?.content : nil
    history = Array(hasInstructions ? messages.dropFirst() : messages[...])
  }

  /// Reads a saved conversation.
  /// - Throws: `InputError` with what is wrong.
  init(reading path: String) throws {
    let text = try TextInput.read(argument: nil, file: path, what: "conversation")
    let document: JSONValue
    do {
      document = try JSONValue(parsing: text)
    } catch {
      throw InputError(path, "is not JSON: \(error)")
    }
    guard let items = document["messages"]?.arrayValue else {
      throw InputError(path, "has no array 'messages': it was not written by /save")
    }
    let messages = try items.enumerated().map { index, item in
      guard let fields = item.objectValue, fields["role"]?.stringValue != nil,
        fields["content"]?.stringValue != nil
      else { throw InputError(path, "has no role and content in messages[\(index)]") }
      return ChatMessage(fields: fields)
    }
    self.init(messages)
  }

  /// Writes the conversation.
  /// - Throws: `InputError`.
  func write(to path: String) throws {
    let document: JSONValue = [
      "messages": .array(messages.map { .object($0.fields) })
    ]
    try OutputFile(path).write(document.serialized() + "\n")
  }

  private var messages: [ChatMessage] {
    (instructions.map { [ChatMessage(role: "system", content: $0)] } ?? []) + history
  }
}
