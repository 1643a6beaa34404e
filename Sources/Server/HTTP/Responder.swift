import Foretoken
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

/// What Hummingbird knows of a request, and its connection.
struct ServerContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }
}

/// Finds who answers a request, and sees to it that every answer is one of the API's.
struct Responder: HTTPResponder {
  let server: ServerState

  func respond(to request: Request, context: ServerContext) async throws -> Response {
    let lifetime = RequestLifetime()
    let record = RequestRecord()
    let channel = context.channel
    server.connections.begin(lifetime, on: channel)
    let deadline = channel.eventLoop.scheduleTask(
      in: TimeAmount(server.options.requestTimeout)
    ) { lifetime.end(.timeout) }
    let client = client(of: request, channel)
    let incoming = IncomingRequest(
      request: request, client: client, lifetime: lifetime, record: record)
    var response: Response
    do {
      response = try await answer(incoming)
    } catch let error as APIError {
      response = Response(error)
    } catch {
      server.log.note("error", [("error", .string("\(error)"))])
      response = Response(APIError.inside)
    }
    if server.connections.isDraining { response.headers[.connection] = "close" }
    addHeaders(to: &response, for: request)
    let status = response.status.code
    let ending = Ending { [server] failure in
      deadline.cancel()
      if let failure { record.update { $0.failure = failure } }
      server.connections.finish(lifetime, on: channel)
      server.metrics.count(record, path: Routes.label(request.uri.path), status: status)
      server.log.access(
        record, method: request.method.rawValue, path: request.uri.path, status: status,
        client: client)
    }
    response.body = response.body.followed(by: ending)
    return response
  }

  private func client(of request: Request, _ channel: any Channel) -> String {
    if let key = server.authentication.key(in: request.headers[.authorization]) {
      return "key \(key + 1)"
    }
    return channel.remoteAddress?.ipAddress ?? "local"
  }

  private func addHeaders(to response: inout Response, for request: Request) {
    response.headers[.xContentTypeOptions] = "nosniff"
    guard let origin = request.headers[.origin], server.options.origins.contains(origin) else {
      return
    }
    response.headers[.accessControlAllowOrigin] = origin
    response.headers[.vary] = "Origin"
  }

  // MARK: Routes

  private func answer(_ incoming: IncomingRequest) async throws -> Response {
    let path = incoming.request.uri.path
    guard let routes = Routes.all[path] ?? Routes.studio(path) else {
      throw APIError.unknownPath(path)
    }
    var method = incoming.request.method
    if method == .options { return try Origins(server.options).preflight(incoming, routes) }
    let isHead = method == .head
    if isHead { method = .get }
    guard let route = routes.first(where: { $0.method == method }) else {
      throw APIError.wrongMethod(
        incoming.request.method.rawValue, allowed: Routes.methods(routes))
    }
    try Origins(server.options).check(incoming.request)
    if !route.isPublic, !server.authentication.isOpen,
      server.authentication.key(in: incoming.request.headers[.authorization]) == nil
    {
      throw APIError.unauthorized(
        "this server wants a key: send the header 'Authorization: Bearer KEY'")
    }
    if server.connections.isDraining, method == .post { throw APIError.shuttingDown }
    let response = try await route.answer(server, incoming)
    return isHead ? response.createHeadResponse() : response
  }
}

/// What is done once when an answer is written, or cannot be.
private final class Ending: Sendable {
  private let action: Mutex<(@Sendable (String?) -> Void)?>

  /// - Parameter action: gets what went wrong, if something did.
  init(_ action: @escaping @Sendable (String?) -> Void) { self.action = Mutex(action) }

  /// A body that nobody writes goes with the connection.
  deinit { callAsFunction("the client has gone") }

  func callAsFunction(_ failure: String?) {
    action.withLock { $0.take() }?(failure)
  }
}

extension ResponseBody {
  /// The same body; the ending comes when it is written.
  fileprivate func followed(by ending: Ending) -> ResponseBody {
    let body = self
    return ResponseBody(contentLength: contentLength) { writer in
      do {
        try await body.write(writer)
        ending(nil)
      } catch {
        ending("the client has gone")
        throw error
      }
    }
  }
}
