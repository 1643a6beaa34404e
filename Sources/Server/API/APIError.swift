import HTTPTypes
import Tokenization

/// An error as OpenAI's API tells it: a status, and an object with a message for people and words for
/// programs.
struct APIError: Error, Equatable {
  /// Status of the answer.
  var status: HTTPResponse.Status
  /// Kind of error, such as `invalid_request_error`.
  var type: String
  /// What was found, what was expected, what to do.
  var message: String
  /// The field of the request that is wrong, if one is.
  var parameter: String?
  /// Which error it is, for programs.
  var code: String?
  /// Seconds after which the request may be sent again.
  var retryAfter: Int?
  /// Methods that the path takes, where it was asked by another one.
  var allowedMethods: String?
  /// Whether the connection is closed after the answer: what is left of the request is not read.
  var closesConnection = false

  /// A request that cannot be carried out as it is.
  static func invalid(
    _ message: String, parameter: String? = nil, code: String? = nil
  ) -> APIError {
    APIError(
      status: .badRequest, type: "invalid_request_error", message: message, parameter: parameter,
      code: code)
  }

  /// A key is missing or wrong.
  static func unauthorized(_ message: String) -> APIError {
    APIError(
      status: .unauthorized, type: "authentication_error", message: message,
      code: "invalid_api_key")
  }

  /// A request that a page of another origin has sent, or might have.
  static func forbidden(_ message: String) -> APIError {
    APIError(status: .forbidden, type: "permission_error", message: message, code: "forbidden")
  }

  /// There is nothing at this path.
  static func unknownPath(_ path: String) -> APIError {
    APIError(
      status: .notFound, type: "invalid_request_error",
      message: "there is nothing at \(printable(path)); the paths are listed at /openapi.json",
      code: "not_found")
  }

  /// Another model than the one that is served.
  static func unknownModel(_ name: String, served: String) -> APIError {
    APIError(
      status: .notFound, type: "invalid_request_error",
      message: "the model \(printable(name)) is not served here; this server has \(served)",
      parameter: "model", code: "model_not_found")
  }

  /// The path is there, but not for this method.
  static func wrongMethod(_ method: String, allowed: String) -> APIError {
    APIError(
      status: .methodNotAllowed, type: "invalid_request_error",
      message: "this path does not take \(printable(method)); it takes \(allowed)",
      code: "method_not_allowed", allowedMethods: allowed)
  }

  /// The body has more bytes than are taken.
  static func tooLarge(limit: Int) -> APIError {
    APIError(
      status: .contentTooLarge, type: "invalid_request_error",
      message: "the body is larger than \(limit) bytes; send a shorter one, or start the server "
        + "with a larger --max-body", code: "request_too_large", closesConnection: true)
  }

  /// The body is not what it has to be.
  static func unsupportedMedia(_ message: String) -> APIError {
    APIError(
      status: .unsupportedMediaType, type: "invalid_request_error", message: message,
      code: "unsupported_media_type", closesConnection: true)
  }

  /// The queue is full.
  static func busy(retryAfter: Int) -> APIError {
    APIError(
      status: .tooManyRequests, type: "rate_limit_error",
      message: "all places and the queue are taken; send the request again in \(retryAfter) s",
      code: "server_busy", retryAfter: retryAfter)
  }

  /// The request took longer than a request may.
  static func timeout(seconds: Double) -> APIError {
    APIError(
      status: .gatewayTimeout, type: "timeout_error",
      message: "the request was not done within \(seconds) s; ask for fewer tokens",
      code: "timeout")
  }

  /// The server is about to end.
  static var shuttingDown: APIError {
    APIError(
      status: .serviceUnavailable, type: "server_error",
      message: "the server is shutting down; send the request to another one, or again later",
      code: "shutting_down", retryAfter: 5, closesConnection: true)
  }

  /// A mistake of the server's own; what exactly is in its log only.
  static var inside: APIError {
    APIError(
      status: .internalServerError, type: "server_error",
      message: "the server could not answer this request; its log says why", code: "internal_error"
    )
  }

  /// The object under `error`.
  var json: JSONValue {
    [
      "error": [
        "message": .string(message), "type": .string(type),
        "param": parameter.map { .string($0) } ?? .null, "code": code.map { .string($0) } ?? .null,
      ]
    ]
  }

  /// Text from outside, cut to a length that fits into a message.
  static func printable(_ text: String) -> String {
    text.count > 80 ? String(text.prefix(80)).debugDescription + "…" : text.debugDescription
  }
}
