import Foretoken
import HTTPTypes
import Hummingbird
import NIOCore

/// A request that may be answered: it has a key if one is asked for.
struct IncomingRequest: Sendable {
  let request: Request
  /// Who asks, for the queue and the log: the number of the key, or the address.
  let client: String
  let lifetime: RequestLifetime
  /// What the log will say.
  let record: RequestRecord

  /// Reads the body as JSON.
  /// - Throws: `APIError` for a body of another kind, one that is too large, and one that is no JSON.
  func json(limits: ServerOptions) async throws -> JSONValue {
    try checkType()
    var bytes: [UInt8] = []
    if let length = request.headers[.contentLength].flatMap({ Int($0) }) {
      guard length <= limits.bodyBytes else { throw APIError.tooLarge(limit: limits.bodyBytes) }
      bytes.reserveCapacity(length)
    }
    do {
      for try await buffer in request.body {
        guard bytes.count + buffer.readableBytes <= limits.bodyBytes else {
          throw APIError.tooLarge(limit: limits.bodyBytes)
        }
        bytes.append(contentsOf: buffer.readableBytesView)
      }
    } catch let error as APIError {
      throw error
    } catch {
      throw APIError.invalid("the body could not be read to its end", code: "broken_body")
    }
    do {
      return try JSONValue(parsing: bytes, maximumDepth: limits.jsonDepth)
    } catch let error as JSONError {
      throw APIError.invalid(
        "the body is no JSON: \(error.message), at byte \(error.offset)", code: "invalid_json")
    }
  }

  private func checkType() throws {
    let type = request.headers[.contentType]?.split(separator: ";").first?.lowercased()
    guard type?.trimmingWhitespace == "application/json" else {
      throw APIError.unsupportedMedia(
        "the body has the type \(APIError.printable(type ?? "")), expected application/json")
    }
    if let encoding = request.headers[.contentEncoding], encoding.lowercased() != "identity" {
      throw APIError.unsupportedMedia("the body is compressed; send it as it is")
    }
  }
}
