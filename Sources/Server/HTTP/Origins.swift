import HTTPTypes
import Hummingbird

/// Keeps pages of other origins out: browsers say where a page is from, and send what it wants.
struct Origins {
  private let options: ServerOptions

  init(_ options: ServerOptions) { self.options = options }

  /// Throws for a request that comes from a page of another origin, or that was led here by a name
  /// that is not this server's.
  func check(_ request: Request) throws {
    let authority = request.head.authority ?? ""
    if let origin = request.headers[.origin], !options.origins.contains(origin),
      !isOwn(origin, authority)
    {
      throw APIError.forbidden(
        "pages of \(APIError.printable(origin)) may not ask; start the server with --cors-origin")
    }
    // A name that a stranger makes point at loopback would pass for the page's own origin.
    guard options.isLoopback, options.keys.isEmpty else { return }
    let name = Self.hostName(authority)
    guard ["localhost", "127.0.0.1", "[::1]", options.host].contains(name) || name.isEmpty else {
      throw APIError.forbidden(
        "this server answers at \(options.host) only, not at \(APIError.printable(name))")
    }
  }

  /// The answer to a browser that asks whether it may ask.
  func preflight(_ incoming: IncomingRequest, _ routes: [Route]) throws -> Response {
    guard let origin = incoming.request.headers[.origin], options.origins.contains(origin) else {
      throw APIError.wrongMethod("OPTIONS", allowed: Routes.methods(routes))
    }
    return Response(
      status: .noContent,
      headers: [
        .accessControlAllowMethods: Routes.methods(routes),
        .accessControlAllowHeaders: "authorization, content-type", .accessControlMaxAge: "600",
      ])
  }

  private func isOwn(_ origin: String, _ authority: String) -> Bool {
    !authority.isEmpty && (origin == "http://\(authority)" || origin == "https://\(authority)")
  }

  /// The host without its port.
  private static func hostName(_ authority: String) -> String {
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      return String(authority[...end])
    }
    return String(authority.prefix { $0 != ":" })
  }
}
