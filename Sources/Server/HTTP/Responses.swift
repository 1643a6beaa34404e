import Foretoken
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
  /// An answer in JSON.
  static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: value.serialized())))
  }

  /// An answer in plain text of some kind.
  static func text(_ text: String, type: String) -> Response {
    Response(
      status: .ok, headers: [.contentType: type],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }

  /// An error.
  init(_ error: APIError) {
    self = .json(error.json, status: error.status)
    if let seconds = error.retryAfter { headers[.retryAfter] = "\(seconds)" }
    if let methods = error.allowedMethods { headers[.allow] = methods }
    if error.status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
    if error.closesConnection { headers[.connection] = "close" }
  }

  /// A stream of events.
  static func events(
    _ write: @escaping @Sendable (inout EventWriter) async throws -> Void
  ) -> Response {
    Response(
      status: .ok,
      headers: [
        .contentType: "text/event-stream", .cacheControl: "no-cache",
        // Proxies that collect answers would hold the events back.
        HTTPField.Name("X-Accel-Buffering") ?? .cacheControl: "no",
      ],
      body: ResponseBody { writer in
        var events = EventWriter(writer)
        try await write(&events)
        try await events.finish()
      })
  }
}

/// Writes server-sent events.
struct EventWriter {
  private var writer: any ResponseBodyWriter

  init(_ writer: any ResponseBodyWriter) { self.writer = writer }

  /// Writes `data:` and a value.
  mutating func write(_ value: JSONValue) async throws {
    try await writer.write(ByteBuffer(string: "data: \(value.serialized())\n\n"))
  }

  /// Writes the mark that nothing follows.
  mutating func writeDone() async throws {
    try await writer.write(ByteBuffer(string: "data: [DONE]\n\n"))
  }

  /// Ends the body.
  func finish() async throws { try await writer.finish(nil) }
}
