import Foundation

/// A TCP connection to 127.0.0.1 that does exactly what it is told, and waits 60 seconds at most.
final class Socket: @unchecked Sendable {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isClosed = false

  init(port: Int, receiveBuffer: Int32? = nil) throws {
    #if os(Linux)
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    if var size = receiveBuffer {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Failure(description: "no connection: \(errno)") }
  }

  deinit { close() }

  /// Sends bytes; false if the other end has closed.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        #if os(Linux)
          Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        #else
          Darwin.send(descriptor, $0.baseAddress, $0.count, 0)
        #endif
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  @discardableResult
  func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Says that nothing more is sent.
  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    #if os(Linux)
      _ = Glibc.close(descriptor)
    #else
      _ = Darwin.close(descriptor)
    #endif
  }

  /// Reads more; false at the end.
  private func fill() -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = recv(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return false }
    buffer += bytes.prefix(count)
    return true
  }

  /// The bytes up to and with `mark`; nil if the other end closes before.
  func read(through mark: String) -> String? {
    let mark = Array(mark.utf8)
    var searched = 0
    while true {
      if buffer.count >= mark.count {
        for index in searched...(buffer.count - mark.count)
        where buffer[index..<index + mark.count].elementsEqual(mark) {
          let text = String(decoding: buffer[..<(index + mark.count)], as: UTF8.self)
          buffer.removeFirst(index + mark.count)
          return text
        }
        searched = max(buffer.count - mark.count + 1, 0)
      }
      guard fill() else { return nil }
    }
  }

  func read(count: Int) -> [UInt8]? {
    while buffer.count < count { guard fill() else { return nil } }
    defer { buffer.removeFirst(count) }
    return Array(buffer.prefix(count))
  }

  /// Whether the other end closes the connection, whatever it sends before.
  func isClosedByServer() -> Bool {
    while fill() { buffer.removeAll() }
    return true
  }

  // MARK: HTTP

  struct Head {
    let status: Int
    let fields: [String: String]
  }

  /// Reads the head of an answer.
  func readHead() throws -> Head {
    guard let text = read(through: "\r\n\r\n") else {
      throw Failure(description: "the connection was closed before an answer")
    }
    let lines = text.components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ")
    guard words.count > 1, let status = Int(words[1]) else {
      throw Failure(description: "no status line: \(lines[0])")
    }
    var fields: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon].lowercased()] =
        line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return Head(status: status, fields: fields)
  }

  /// Reads the next chunk of a body in chunks; nil at its end.
  func readChunk() throws -> String? {
    guard let line = read(through: "\r\n"),
      let size = Int(line.trimmingCharacters(in: .whitespacesAndNewlines), radix: 16)
    else {
      throw Failure(description: "the connection was closed in the middle of a body")
    }
    guard let bytes = read(count: size + 2) else {
      throw Failure(description: "the connection was closed in the middle of a chunk")
    }
    return size == 0 ? nil : String(decoding: bytes.dropLast(2), as: UTF8.self)
  }

  /// Reads a whole body.
  func readBody(_ head: Head) throws -> String {
    if head.fields["transfer-encoding"] == "chunked" {
      var text = ""
      while let chunk = try readChunk() { text += chunk }
      return text
    }
    let length = head.fields["content-length"].flatMap { Int($0) } ?? 0
    guard let bytes = read(count: length) else {
      throw Failure(description: "the connection was closed in the middle of a body")
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Runs blocking work on a thread of its own, so that the tests' threads stay free.
func onThread<Result: Sendable>(
  _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
  }
}
