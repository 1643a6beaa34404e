import Foretoken
import Hummingbird

/// All that the requests of a server share.
final class ServerState: Sendable {
  let options: ServerOptions
  let host: ModelHost
  let admission: Admission
  let connections = Connections()
  let metrics = Metrics()
  let authentication: Authentication
  let log: ServerLog

  init(options: ServerOptions, host: ModelHost, log: ServerLog) {
    self.options = options
    self.host = host
    self.log = log
    admission = Admission(concurrency: options.concurrency, queue: options.queue)
    authentication = Authentication(options.keys)
  }

  /// The model, if it is the one that is asked for.
  func model(named name: String) throws -> ModelHost.Served {
    let served = host.served
    guard name == served.name else {
      throw APIError.unknownModel(name, served: served.name)
    }
    return served
  }
}
