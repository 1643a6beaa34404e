import Foretoken

/// How the server serves.
public struct ServerOptions: Sendable {
  /// Address that is listened at.
  public var host = "127.0.0.1"
  /// Port; 0 for any free one.
  public var port = 8080
  /// Keys of which a request must bring one; none asks for none.
  public var keys: [String] = []
  /// Whether other addresses than loopback may be served without keys.
  public var isInsecure = false
  /// Origins whose pages may ask, such as `https://example.org`; none allows none but the server's own.
  public var origins: [String] = []
  /// Generations that run at the same time.
  public var concurrency = 16
  /// Requests that wait for a place.
  public var queue = 64
  /// Most tokens of prompt and answer together; nil for what the model was loaded with.
  public var context: Int?
  /// Time for a request, waiting included.
  public var requestTimeout = Duration.seconds(600)
  /// Most bytes of a body.
  public var bodyBytes = 4 << 20
  /// Deepest nesting of a body's arrays and objects.
  public var jsonDepth = 64
  /// Connections at the same time; more wait to be accepted.
  public var connections = 1024
  /// Time for the head of a request, from the connection or the answer before on.
  public var headTimeout = Duration.seconds(20)
  /// Time for the body of a request.
  public var bodyTimeout = Duration.seconds(60)
  /// Time in which a client has to take something of what is written.
  public var writeTimeout = Duration.seconds(30)
  /// Time for what runs to end when the server is told to.
  public var drainTimeout = Duration.seconds(30)
  /// Bytes of keys and values that are kept for prompts to come; 0 for none.
  public var prefixCacheBytes = 1 << 30
  /// Whether the log shows prompts.
  public var logsPrompts = false

  /// The defaults.
  public init() {}

  /// Whether the address is this machine's own.
  public var isLoopback: Bool {
    host == "localhost" || host == "::1" || host.hasPrefix("127.")
  }

  /// Throws `ServerError` for what must not be served.
  public func validate() throws {
    guard isLoopback || isInsecure || !keys.isEmpty else { throw ServerError.openAddress(host) }
    if let index = keys.firstIndex(where: { !Authentication.isUsable($0) }) {
      throw ServerError.badKey(number: index + 1)
    }
  }

  /// Most tokens of a sequence of `model`.
  func contextLimit(_ model: LanguageModel) -> Int {
    min(context ?? model.contextLimit, model.contextLimit)
  }
}

/// Why the server does not serve.
public enum ServerError: Error, Equatable, CustomStringConvertible {
  /// Everybody in the network could use it.
  case openAddress(String)
  /// A key that cannot be sent in a header.
  case badKey(number: Int)

  /// What was found, what to do.
  public var description: String {
    switch self {
    case .openAddress(let host):
      "\(host) can be reached from other machines: give --api-key or --api-key-file, or --insecure "
        + "if everybody may use the server"
    case .badKey(let number):
      "API key \(number) is not made of 8 to 512 visible ASCII characters"
    }
  }
}
