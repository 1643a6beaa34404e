import Foretoken

/// Writes lines of JSON: one for each request, and what else happens.
public struct ServerLog: Sendable {
  private let write: @Sendable (String) -> Void

  /// - Parameter write: takes lines, without line breaks, from any thread.
  public init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  /// Nothing is written.
  public static let silent = ServerLog { _ in }

  /// Notes that something happened.
  func note(_ event: String, _ fields: [(String, JSONValue)] = []) {
    let head: [(String, JSONValue)] = [
      ("time", .string(UnixTime.stamp)), ("event", .string(event)),
    ]
    write(JSONValue.object(JSONObject(head + fields)).serialized())
  }

  /// Notes that a request is done.
  func access(
    _ record: RequestRecord, method: String, path: String, status: Int, client: String
  ) {
    let figures = record.figures
    var fields: [(String, JSONValue)] = [
      ("method", .string(method)), ("path", .string(path)), ("status", .integer(status)),
      ("ms", .integer(Int(record.elapsed / .milliseconds(1)))), ("client", .string(client)),
    ]
    if figures.promptTokens > 0 {
      fields += [
        ("prompt_tokens", .integer(figures.promptTokens)),
        ("cached_tokens", .integer(figures.cachedTokens)),
        ("completion_tokens", .integer(figures.completionTokens)),
      ]
    }
    if let failure = figures.failure { fields.append(("failure", .string(failure))) }
    if let prompt = figures.prompt { fields.append(("prompt", .string(prompt))) }
    note("request", fields)
  }
}
