import Foundation

/// A small HTTP server on 127.0.0.1 for tests, on a thread of its own. It answers one request per
/// connection, and can lie and break off where a real server should not.
public final class LocalServer: Sendable {
  /// What a client asked for.
  public struct Request: Sendable {
    /// Path with its query.
    public let path: String
    /// Header fields, names in lower case.
    public let headers: [String: String]
  }

  /// What the server says.
  public struct Response: Sendable {
    /// Status code.
    public var status: Int
    /// Header fields besides `Content-Length` and `Connection`.
    public var headers: [String: String]
    /// Body.
    public var body: [UInt8]
    /// `Content-Length`, if it should differ from the body's length.
    public var claimedLength: Int?

    /// An answer with the right length unless it is changed.
    public init(_ status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
      self.status = status
      self.headers = headers
      self.body = body
    }
  }

  private let listener: Int32
  private let port: UInt16

  /// Starts to answer requests with `handler`, one after the other.
  public init(_ handler: @escaping @Sendable (Request) -> Response) throws {
    #if os(Linux)
      let stream = Int32(SOCK_STREAM.rawValue)
    #else
      let stream = SOCK_STREAM
    #endif
    let listener = socket(AF_INET, stream, 0)
    self.listener = listener
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let ready = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, size) == 0 && listen(listener, 16) == 0
          && getsockname(listener, address, &size) == 0
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    guard ready else { throw CocoaError(.fileReadUnknown) }
    Thread.detachNewThread {
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        Self.serve(connection, handler)
        close(connection)
      }
    }
  }

  /// Refuses connections from now on. A server that is not stopped lasts as long as the process.
  public func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  /// Address of the server's root.
  public var url: URL {
    URL(string: "http://127.0.0.1:\(port)") ?? URL(filePath: "/")
  }

  private static func serve(_ connection: Int32, _ handler: (Request) -> Response) {
    guard let request = read(connection) else { return }
    let response = handler(request)
    var head = "HTTP/1.1 \(response.status) Answer\r\nConnection: close\r\n"
    head += "Content-Length: \(response.claimedLength ?? response.body.count)\r\n"
    for (name, value) in response.headers { head += "\(name): \(value)\r\n" }
    send(Array((head + "\r\n").utf8) + response.body, to: connection)
  }

  private static func read(_ connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer.prefix(count)
    }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ")
    guard words.count > 1 else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] =
        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return Request(path: String(words[1]), headers: headers)
  }

  private static func send(_ bytes: [UInt8], to connection: Int32) {
    #if os(Linux)
      let flags = Int32(MSG_NOSIGNAL)
    #else
      let flags: Int32 = 0
    #endif
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        #if os(Linux)
          Glibc.send(connection, $0.baseAddress, $0.count, flags)
        #else
          Darwin.send(connection, $0.baseAddress, $0.count, flags)
        #endif
      }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}
