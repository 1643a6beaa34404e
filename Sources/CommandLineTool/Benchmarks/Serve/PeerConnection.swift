import Foretoken
import Foundation

/// An address that answers OpenAI's API over plain HTTP.
struct PeerAddress: Sendable, Equatable {
  let host: String
  let port: Int
  /// What stands before `/v1`.
  let path: String

  /// Reads `http://host[:port][/path]`; nil for anything else.
  init?(_ text: String) {
    guard let url = URLComponents(string: text), url.scheme == "http", let host = url.host,
      !host.isEmpty, url.query == nil, url.fragment == nil, url.user == nil
    else { return nil }
    self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    port = url.port ?? 80
    var path = url.path
    while path.hasSuffix("/") { path.removeLast() }
    self.path = path.hasSuffix("/v1") ? String(path.dropLast(3)) : path
  }

  init(port: Int) { (host, self.port, path) = ("127.0.0.1", port, "") }

  /// For the `Host` field.
  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// What went wrong between the benchmark and a server.
struct PeerError: Error, CustomStringConvertible {
  let description: String
}

/// One connection to a server, for one request; reading blocks for two minutes at most.
final class PeerConnection {
  private let descriptor: Int32
  private let address: PeerAddress
  private var buffer: [UInt8] = []
  private var body: [UInt8] = []
  private var isChunked = false

  init(_ address: PeerAddress) throws {
    self.address = address
    descriptor = try Self.connect(address)
  }

  deinit { close(descriptor) }

  private static func connect(_ address: PeerAddress) throws -> Int32 {
    var hints = addrinfo()
    #if os(Linux)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.host, "\(address.port)", &hints, &found) == 0 else {
      throw PeerError(description: "\(address.authority): the host is not known")
    }
    defer { freeaddrinfo(found) }
    var entry = found
    while let candidate = entry {
      let info = candidate.pointee
      let descriptor = socket(info.ai_family, info.ai_socktype, info.ai_protocol)
      var limit = timeval(tv_sec: 120, tv_usec: 0)
      let size = socklen_t(MemoryLayout<timeval>.size)
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
      setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
      let isConnected = Foundation.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0
      if descriptor >= 0, isConnected { return descriptor }
      if descriptor >= 0 { close(descriptor) }
      entry = info.ai_next
    }
    throw PeerError(
      description: "\(address.authority): no connection (\(String(cString: strerror(errno))))")
  }

  /// Sends a request.
  func send(_ method: String, _ path: String, _ body: JSONValue?, key: String?) throws {
    let text = body?.serialized() ?? ""
    var head = "\(method) \(address.path)\(path) HTTP/1.1\r\nHost: \(address.authority)\r\n"
    head += "Connection: close\r\nAccept: */*\r\n"
    if let key { head += "Authorization: Bearer \(key)\r\n" }
    if body != nil {
      head += "Content-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n"
    }
    var rest = Array((head + "\r\n" + text).utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw closed }
      rest = rest.dropFirst(count)
    }
  }

  /// Reads the head of the answer.
  /// - Throws: `PeerError` for another status than 200, with the beginning of the body.
  func readHead() throws {
    let status = try readLine().split(separator: " ")
    while true {
      let line = try readLine().lowercased()
      if line.isEmpty { break }
      if line.hasPrefix("transfer-encoding:"), line.hasSuffix("chunked") { isChunked = true }
    }
    guard status.count > 1, status[1] == "200" else {
      let text = try readBodyLine() ?? ""
      throw PeerError(
        description: "\(address.authority) answered \(status.dropFirst().joined(separator: " ")): "
          + String(text.prefix(500)))
    }
  }

  /// The next line of the body, without its end; nil at the end of the body.
  func readBodyLine() throws -> String? {
    while true {
      if let end = body.firstIndex(of: 0x0A) {
        let line = body[..<end].filter { $0 != 0x0D }
        body.removeFirst(end + 1)
        return String(decoding: line, as: UTF8.self)
      }
      guard try fillBody() else {
        guard !body.isEmpty else { return nil }
        defer { body.removeAll() }
        return String(decoding: body, as: UTF8.self)
      }
    }
  }

  /// Reads more of the body; false at its end.
  private func fillBody() throws -> Bool {
    guard isChunked else {
      if buffer.isEmpty, try !fill() { return false }
      body += buffer
      buffer.removeAll()
      return true
    }
    guard let size = Int(try readLine().prefix { $0 != ";" }, radix: 16), size >= 0 else {
      throw PeerError(description: "\(address.authority) sent a chunk without its size")
    }
    if size == 0 { return false }
    while buffer.count < size + 2 { guard try fill() else { throw closed } }
    body += buffer.prefix(size)
    buffer.removeFirst(size + 2)
    return true
  }

  /// A line before the body or between its chunks.
  private func readLine() throws -> String {
    while true {
      if let end = buffer.firstIndex(of: 0x0A) {
        let line = buffer[..<end].filter { $0 != 0x0D }
        buffer.removeFirst(end + 1)
        return String(decoding: line, as: UTF8.self)
      }
      guard try fill() else { throw closed }
    }
  }

  private func fill() throws -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { throw closed }
    buffer += bytes.prefix(count)
    return count > 0
  }

  private var closed: PeerError {
    PeerError(
      description: "\(address.authority) has closed the connection, or sent nothing for two minutes"
    )
  }
}
