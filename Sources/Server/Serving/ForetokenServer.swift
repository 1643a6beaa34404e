import Foretoken
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import UnixSignals

/// Serves a model by OpenAI's API.
///
/// ```swift
/// let model = try await LanguageModel.load("smollm2-135m")
/// let server = await ForetokenServer(model, options: ServerOptions())
/// try await server.run()
/// ```
public struct ForetokenServer: Sendable {
  private let state: ServerState
  private let reload: (@Sendable () async throws -> LanguageModel)?

  /// - Parameters:
  ///   - model: what is served.
  ///   - options: addresses, keys and limits.
  ///   - reload: loads the model anew, when the process gets SIGHUP; nil for no reloads.
  ///   - log: takes a line for each request.
  /// - Throws: `ServerError` for what must not be served.
  public init(
    _ model: LanguageModel, options: ServerOptions = .init(),
    reload: (@Sendable () async throws -> LanguageModel)? = nil, log: ServerLog = .silent
  ) async throws {
    try options.validate()
    let host = await ModelHost(model, options: options)
    state = ServerState(options: options, host: host, log: log)
    self.reload = reload
  }

  /// The name by which the model is asked for.
  public var modelName: String { state.host.served.name }

  /// Generations that run, and requests that wait.
  public var load: (running: Int, waiting: Int) { state.admission.load }

  /// Serves until the process is told to end (SIGTERM, SIGINT), or the task is cancelled.
  ///
  /// Then nothing new is taken, and what runs has `drainTimeout` to end; what has not ended then gets
  /// an error as its end.
  ///
  /// - Parameters:
  ///   - handlesSignals: whether SIGTERM and SIGINT end it, and SIGHUP reloads the model.
  ///   - onStart: gets the port once requests are taken.
  /// - Throws: what binding to the address throws.
  public func run(
    handlesSignals: Bool = true, onStart: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws {
    var logger = Logger(label: "foretoken.server") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    let options = state.options
    var application = Application(
      responder: Responder(server: state), server: .http1(configuration: channelConfiguration),
      configuration: ApplicationConfiguration(
        address: .hostname(options.host, port: options.port), serverName: "foretoken",
        availableConnectionsDelegate: MaximumAvailableConnections(
          options.connections, logger: logger)),
      onServerRunning: { onStart($0.localAddress?.port ?? options.port) }, logger: logger)
    if handlesSignals, let reload {
      application.addServices(ReloadService(server: state, reload: reload))
    }
    var configuration = ServiceGroupConfiguration(
      services: [DrainingService(server: state, application: application)],
      gracefulShutdownSignals: handlesSignals ? [.sigterm, .sigint] : [], logger: logger)
    // What is written at the end of the drain has a little time of its own.
    configuration.maximumGracefulShutdownDuration = options.drainTimeout + .seconds(5)
    try await ServiceGroup(configuration: configuration).run()
  }

  private var channelConfiguration: HTTP1Channel.Configuration {
    let (connections, options) = (state.connections, state.options)
    let times = ConnectionGuard.Times(
      head: TimeAmount(options.headTimeout), body: TimeAmount(options.bodyTimeout),
      write: TimeAmount(options.writeTimeout))
    return HTTP1Channel.Configuration(
      additionalChannelHandlers: [ConnectionGuard(connections: connections, times: times)],
      httpDecoderConfiguration: .init(
        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))
  }
}

/// Serves; when told to end, ends what runs within the time for it.
struct DrainingService<Application: ApplicationProtocol>: Service {
  let server: ServerState
  let application: Application

  func run() async throws {
    // Services of one group are told one after the other, the last one first: this one has to know
    // while connections still are open.
    try await withGracefulShutdownHandler {
      try await application.run()
    } onGracefulShutdown: {
      drain()
    }
  }

  private func drain() {
    server.connections.drain()
    server.log.note("drain", [("requests", .integer(server.connections.requestCount))])
    Task {
      try await Task.sleep(for: server.options.drainTimeout)
      server.connections.endAll(.shutdown)
    }
  }
}

/// Loads the model anew when the process gets SIGHUP.
struct ReloadService: Service {
  let server: ServerState
  let reload: @Sendable () async throws -> LanguageModel

  func run() async throws {
    for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
      server.log.note("reload")
      do {
        let model = try await reload()
        await server.host.replace(with: model, options: server.options)
        server.log.note("reloaded", [("model", .string(model.servedName))])
      } catch {
        server.log.note("reload failed", [("error", .string("\(error)"))])
      }
    }
  }
}
