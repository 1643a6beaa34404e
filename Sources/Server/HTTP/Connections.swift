import NIOCore
import Synchronization

/// The open connections, and the requests that run on them.
final class Connections: Sendable {
  private struct Connection {
    var requests: [ObjectIdentifier: RequestLifetime] = [:]
    var isHalfClosed = false
  }

  private struct State {
    var open: [ObjectIdentifier: Connection] = [:]
    var isDraining = false
  }

  private let state = Mutex(State())

  /// Number of open connections.
  var count: Int { state.withLock { $0.open.count } }

  /// Requests that are being answered.
  var requestCount: Int { state.withLock { $0.open.values.reduce(0) { $0 + $1.requests.count } } }

  /// Whether no new request is taken.
  var isDraining: Bool { state.withLock { $0.isDraining } }

  /// A connection was made.
  func opened(_ channel: any Channel) {
    state.withLock { $0.open[ObjectIdentifier(channel)] = Connection() }
  }

  /// The client sends nothing more, or has gone: its requests are ended.
  func clientLeft(_ channel: any Channel, isClosed: Bool) {
    let requests = state.withLock { state -> [RequestLifetime] in
      let id = ObjectIdentifier(channel)
      let requests = state.open[id].map { Array($0.requests.values) } ?? []
      if isClosed { state.open[id] = nil } else { state.open[id]?.isHalfClosed = true }
      return requests
    }
    for request in requests { request.end(.disconnected) }
  }

  /// A request begins on a connection.
  func begin(_ request: RequestLifetime, on channel: any Channel) {
    let isGone = state.withLock { state in
      let id = ObjectIdentifier(channel)
      guard let connection = state.open[id], !connection.isHalfClosed else { return true }
      state.open[id]?.requests[ObjectIdentifier(request)] = request
      return false
    }
    if isGone { request.end(.disconnected) }
  }

  /// A request is over.
  func finish(_ request: RequestLifetime, on channel: any Channel) {
    request.finish()
    state.withLock { state in
      state.open[ObjectIdentifier(channel)]?.requests[ObjectIdentifier(request)] = nil
    }
  }

  /// Takes no new requests.
  func drain() { state.withLock { $0.isDraining = true } }

  /// Ends all requests.
  func endAll(_ reason: RequestLifetime.End) {
    let requests = state.withLock { $0.open.values.flatMap { $0.requests.values } }
    for request in requests { request.end(reason) }
  }
}
