import ArgumentParser
import Foretoken
import Server

/// `foretoken bench serve`: what clients of the server see.
struct BenchServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Measure the server: tokens per second and times to tokens of several clients.",
    discussion: """
      Starts the server on a free port of loopback and asks it over HTTP. Each client asks again as \
      soon as it has its answer (a closed loop). Then a long prompt is asked cold, and once more as \
      the second turn of its conversation. --peer sends the same requests to another server that \
      speaks OpenAI's API over plain HTTP, instead.

      EXAMPLES:
        foretoken bench serve
        foretoken bench serve --clients 1,4,16 --requests 4 --tokens 64 --json
        foretoken bench serve --peer http://127.0.0.1:8081 --peer-model other
      """)

  @Option(help: ArgumentHelp("Numbers of clients, 1 to 256 each.", valueName: "list"))
  var clients = SequenceCounts([1, 4, 16])

  @Option(help: ArgumentHelp("Requests of each client, 1 to 1000.", valueName: "count"))
  var requests = 4

  @Option(help: ArgumentHelp("Tokens of each answer, 1 to 4096.", valueName: "count"))
  var tokens = 64

  @Option(
    help: ArgumentHelp(
      "Tokens of the long prompt whose second turn is measured; 0 for none.", valueName: "count"))
  var turnTokens = 2000

  @Option(
    help: ArgumentHelp(
      "Address of another server, as in http://127.0.0.1:8081. (default: none)",
      valueName: "url"))
  var peer: String?

  @Option(
    help: ArgumentHelp(
      "Name of the other server's model. (default: the first that it lists)", valueName: "name"))
  var peerModel: String?

  @Option(
    help: ArgumentHelp("Key that the other server asks for. (default: none)", valueName: "key"))
  var peerKey: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup(title: "Model") var model: ModelArguments

  func validate() throws {
    for (name, value, range) in [
      ("--requests", requests, 1...1000), ("--tokens", tokens, 1...4096),
      ("--turn-tokens", turnTokens, 0...100_000),
    ] where !range.contains(value) {
      throw ValidationError(
        "\(name) is \(value), expected \(range.lowerBound) to \(range.upperBound)")
    }
    if let peer, PeerAddress(peer) == nil {
      throw ValidationError("--peer is \(peer), expected http://host[:port][/path]")
    }
    if peer == nil, peerModel != nil || peerKey != nil {
      throw ValidationError("--peer-model and --peer-key are for --peer URL; add that option")
    }
  }

  func run() async throws {
    try await Interrupts.cancelling { try await measure() }
  }

  private func measure() async throws {
    if let peer, let address = PeerAddress(peer) {
      let name =
        if let peerModel { peerModel } else {
          try await ServeLoad.firstModel(address, key: peerKey)
        }
      let load = ServeLoad(
        address: address, model: name, key: peerKey, isOwn: false, tokens: tokens)
      return try await report(load, server: peer)
    }
    let loaded = try await model.load()
    var options = ServerOptions()
    options.port = 0
    options.concurrency = clients.counts.max() ?? 1
    let server = try await ForetokenServer(loaded, options: options)
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { continuation.finish() }
        try await server.run(handlesSignals: false) { continuation.yield($0) }
      }
      if let port = await ports.first(where: { _ in true }) {
        let load = ServeLoad(
          address: PeerAddress(port: port), model: server.modelName, key: nil, isOwn: true,
          tokens: tokens)
        try await report(load, server: "foretoken serve")
        group.cancelAll()
      }
      do { try await group.waitForAll() } catch is CancellationError {}
    }
  }

  private func report(_ load: ServeLoad, server: String) async throws {
    // The first request of a server pays for what is made once.
    _ = try await load.ask(ServeLoad.question(100_000), seed: 0)
    var rows: [ServeReport.Row] = []
    for count in clients.counts {
      let found = try await load.run(clients: count, requests: requests)
      rows.append(.init(clients: count, answers: found.answers, seconds: found.seconds))
    }
    let report = ServeReport(
      server: server, model: load.model, tokens: tokens, rows: rows,
      turns: turnTokens > 0 ? try await turns(load) : nil)
    if json {
      try TextStream.output.writeLine(report.json.serialized())
    } else {
      for line in report.lines(for: .output) { try TextStream.output.writeLine(line) }
    }
  }

  /// Long prompts, cold and as the first turn of what goes on.
  private func turns(_ load: ServeLoad) async throws -> ServeReport.Turns {
    var (cold, second) = ([Double](), [Double]())
    for number in 0..<3 {
      // About a token a word.
      let words = (0..<turnTokens).map { ["the", "sea", "is", "wide", "and", "old"][$0 % 6] }
      let first = ChatMessage(
        role: "user", content: "Text \(number): " + words.joined(separator: " "))
      let answer = try await load.ask([first], seed: 1, tokens: 8)
      cold.append(answer.first * 1000)
      let next = try await load.ask(
        [
          first, ChatMessage(role: "assistant", content: answer.text),
          ChatMessage(role: "user", content: "Go on."),
        ], seed: 2, tokens: 8)
      second.append(next.first * 1000)
    }
    return ServeReport.Turns(
      promptTokens: turnTokens, cold: Samples(cold), second: Samples(second))
  }
}
