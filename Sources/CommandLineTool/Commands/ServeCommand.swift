import ArgumentParser
import Foretoken
import Foundation
import Server

/// `foretoken serve`: the model behind OpenAI's API.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a model by OpenAI's HTTP API.",
    discussion: """
      Requests run side by side in the same forward passes; what a seed gives does not depend on who \
      else asks. The page at / is for people. The log goes to standard error, a JSON object a line. \
      SIGTERM and Ctrl-C let what runs come to its end; SIGHUP loads the model anew.

      EXAMPLES:
        foretoken serve
        foretoken serve --model qwen2.5-coder-0.5b --port 9000 --max-concurrency 8
        FORETOKEN_API_KEYS=secret-key-1,secret-key-2 foretoken serve --host 0.0.0.0
        curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
          -d '{"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hello"}]}'
      """)

  @OptionGroup(title: "Model") var model: ModelArguments
  @OptionGroup(title: "Server") var server: ServerArguments

  func validate() throws {
    do {
      try server.options(context: model.context).validate()
    } catch let error as ServerError {
      throw ValidationError("\(error)")
    }
  }

  func run() async throws {
    let options = try server.options(context: model.context)
    let arguments = model
    let loaded = try await Interrupts.cancelling { try await arguments.load() }
    let log = ServerLog { try? TextStream.error.writeLine($0) }
    let service = try await ForetokenServer(
      loaded, options: options, reload: { try await arguments.load() }, log: log)
    let host = options.host.contains(":") ? "[\(options.host)]" : options.host
    try await service.run { port in
      note("serving \(arguments.selection.model) at http://\(host):\(port)")
    }
  }
}
