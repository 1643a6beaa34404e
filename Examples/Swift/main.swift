// Asks a model in this process, without a server.
//
// usage: foretoken-example MODEL QUESTION

import Foretoken

let arguments = CommandLine.arguments.dropFirst()
guard let name = arguments.first, let question = arguments.dropFirst().first else {
  print("usage: foretoken-example MODEL QUESTION")
  throw CancellationError()
}
let model = try await LanguageModel.load(name)
let chat = ChatSession(model, options: GenerationOptions(maxTokens: 40))
for try await event in await chat.events(replyingTo: question) {
  if case .text(let piece) = event { print(piece.text, terminator: "") }
}
print()
