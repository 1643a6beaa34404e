import ArgumentParser
import Foretoken

/// What is answered or continued.
struct PromptArguments: ParsableArguments {
  @Argument(help: ArgumentHelp("Text to answer or to continue; - for standard input."))
  var prompt: String?

  @Option(
    help: ArgumentHelp(
      "Read the prompt, or what follows it, from a file; - for standard input. (default: none)",
      valueName: "path"),
    completion: .file())
  var file: String?

  @Option(
    help: ArgumentHelp(
      "System message: how to answer. (default: the chat template's own)", valueName: "text"))
  var system: String?

  @Flag(help: "Continue the text as it is, without the model's chat template.")
  var raw = false

  func validate() throws {
    if raw, system != nil {
      throw ValidationError("--system needs the chat template, which --raw leaves out; drop one")
    }
  }

  /// The text of the prompt.
  /// - Throws: `UsageError` if there is none, `InputError`.
  func text() throws -> String {
    let text = try TextInput.read(argument: prompt, file: file, what: "prompt")
    guard raw || !text.allSatisfy(\.isWhitespace) else { throw UsageError("the prompt is empty") }
    return text
  }

  /// The tokens of a prompt, chat template included unless `raw` is set.
  /// - Throws: as `LanguageModel.encode(_:tools:)`.
  func tokens(_ text: String, for model: LanguageModel) throws -> [Int32] {
    if raw { return model.tokenizer.encode(text, addSpecial: true, parseSpecial: false) }
    let instructions = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
    return try model.encode(instructions + [ChatMessage(role: "user", content: text)])
  }
}
