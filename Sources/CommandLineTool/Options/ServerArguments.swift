import ArgumentParser
import Foundation
import Server

/// Where the server listens, who may ask, and how much.
struct ServerArguments: ParsableArguments {
  @Option(help: ArgumentHelp("Address to listen at.", valueName: "address"))
  var host = "127.0.0.1"

  @Option(help: ArgumentHelp("Port to listen at; 0 for any free one.", valueName: "number"))
  var port = 8080

  @Option(
    help: ArgumentHelp(
      "Key that a request must bring. Repeatable; other users of the machine can see it. "
        + "(default: those of $FORETOKEN_API_KEYS, separated by commas)", valueName: "key"))
  var apiKey: [String] = []

  @Option(
    help: ArgumentHelp("File of keys, one a line. (default: none)", valueName: "path"),
    completion: .file())
  var apiKeyFile: String?

  @Flag(help: "Serve other addresses than loopback without keys.")
  var insecure = false

  @Option(
    help: ArgumentHelp(
      "Origin whose pages may ask, such as https://example.org. Repeatable. (default: none)",
      valueName: "origin"))
  var corsOrigin: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Generations that run at the same time.", valueName: "count"))
  var maxConcurrency = 16

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Requests that wait; more are answered with 429.", valueName: "count"))
  var queue = 64

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Most tokens of prompt and answer of a request. (default: the model's context)",
      valueName: "tokens"))
  var maxContext: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Time for a request, waiting included.", valueName: "seconds"))
  var requestTimeout = 600.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Time for what runs to end when the server is told to.", valueName: "seconds"))
  var drainTimeout = 30.0

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Most bytes of a request's body.", valueName: "bytes"))
  var maxBody = 4 << 20

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Memory for keys and values of prompts that may come again; 0 for none.", valueName: "MiB"))
  var prefixCache = 1024

  @Flag(help: "Show the last message of each request in the log.")
  var logPrompts = false

  func validate() throws {
    try check("--port", port, 0...65535)
    try check("--max-concurrency", maxConcurrency, 1...512)
    try check("--queue", queue, 0...1_000_000)
    try check("--max-body", maxBody, 1024...(1 << 30))
    try check("--prefix-cache", prefixCache, 0...(1 << 20))
    if let maxContext { try check("--max-context", maxContext, 2...Int(Int32.max)) }
    for (name, seconds) in [
      ("--request-timeout", requestTimeout), ("--drain-timeout", drainTimeout),
    ] where !(0.001...86_400).contains(seconds) {
      throw ValidationError("\(name) is \(seconds), expected 0.001 to 86400 seconds")
    }
  }

  private func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw ValidationError(
        "\(name) is \(value), expected \(range.lowerBound) to \(range.upperBound)")
    }
  }

  /// The library's options.
  /// - Parameter context: tokens that the model is loaded for.
  /// - Throws: `ValidationError` for a file of keys that cannot be read.
  func options(context: Int?) throws -> ServerOptions {
    var options = ServerOptions()
    options.host = host
    options.port = port
    options.keys = try keys()
    options.isInsecure = insecure
    options.origins = corsOrigin
    options.concurrency = maxConcurrency
    options.queue = queue
    options.context = maxContext ?? context
    options.requestTimeout = .seconds(requestTimeout)
    options.drainTimeout = .seconds(drainTimeout)
    options.bodyBytes = maxBody
    options.prefixCacheBytes = prefixCache << 20
    options.logsPrompts = logPrompts
    return options
  }

  private func keys() throws -> [String] {
    var keys = apiKey
    if let apiKeyFile {
      guard let text = try? String(contentsOfFile: apiKeyFile, encoding: .utf8) else {
        throw ValidationError("--api-key-file \(apiKeyFile) cannot be read as text")
      }
      let lines = text.split(whereSeparator: \.isNewline).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      keys += lines.filter { !$0.isEmpty && !$0.hasPrefix("#") }
      if keys.isEmpty { throw ValidationError("--api-key-file \(apiKeyFile) has no keys") }
    }
    if keys.isEmpty {
      let variable = ProcessInfo.processInfo.environment["FORETOKEN_API_KEYS"] ?? ""
      keys = variable.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    return keys
  }
}
