import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Checkpoints

/// `hf:` references against a server in this process.
@Suite struct HubTests {
  /// A model file of 100,000 bytes, and its SHA-256.
  private static let body: [UInt8] = (0..<100_000).map {
    UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8)
  }

  private static func digest() -> String {
    var digest = SHA256Digest()
    body.withUnsafeBytes { digest.update($0) }
    return digest.hexadecimal()
  }

  /// Requests seen by a server.
  private final class Log: Sendable {
    private let requests = Mutex<[LocalServer.Request]>([])

    func add(_ request: LocalServer.Request) -> Int {
      requests.withLock {
        $0.append(request)
        return $0.count
      }
    }

    var all: [LocalServer.Request] { requests.withLock { $0 } }
  }

  private func store(_ folder: TemporaryFolder, _ server: LocalServer) -> ModelStore {
    ModelStore(
      root: folder.url, hub: Hub(base: server.url, retryDelay: .zero, attempts: 3))
  }

  /// Serves `body` with ranges, as a hub's storage does.
  private static func serve(
    _ request: LocalServer.Request, tag: String = "\"v1\"", linked: String? = nil
  ) -> LocalServer.Response {
    var headers = ["ETag": tag]
    headers["X-Linked-ETag"] = linked.map { "\"\($0)\"" }
    guard let range = request.headers["range"], request.headers["if-range"] == tag,
      let start = Int(range.dropFirst("bytes=".count).dropLast())
    else { return .init(200, headers: headers, body: body) }
    guard start < body.count else { return .init(416, headers: headers) }
    headers["Content-Range"] = "bytes \(start)-\(body.count - 1)/\(body.count)"
    return .init(206, headers: headers, body: Array(body[start...]))
  }

  private func contents(_ model: ResolvedModel) -> [UInt8] {
    Array(FileManager.default.contents(atPath: model.url.path) ?? Data())
  }

  @Test("a file comes over a redirect, is checked, and is not fetched twice")
  func download() async throws {
    let log = Log()
    let server = try LocalServer { request in
      _ = log.add(request)
      guard request.path.contains("/resolve/") else { return Self.serve(request) }
      return .init(
        302,
        headers: [
          "Location": "/storage/blob", "X-Linked-ETag": "\"\(Self.digest())\"",
          "X-Linked-Size": "100000",
        ])
    }
    let folder = try TemporaryFolder()
    let store = store(folder, server)
    #expect(throws: StoreError.notPulled("hf:me/tiny/a b.gguf")) {
      try store.resolve("hf:me/tiny/a b.gguf")
    }
    let model = try await store.pull("hf:me/tiny/a b.gguf")
    #expect(contents(model) == Self.body)
    #expect(log.all.map(\.path) == ["/me/tiny/resolve/main/a%20b.gguf", "/storage/blob"])
    #expect(try await store.pull("hf:me/tiny/a b.gguf") == model)
    #expect(try store.resolve("hf:me/tiny").url == model.url)
    #expect(log.all.count == 2)
    let listed = store.list()
    #expect(listed.map(\.reference) == ["hf:me/tiny/a b.gguf"])
    #expect(listed.map(\.byteCount) == [100_000])
  }

  @Test("a connection that breaks is taken up where it broke")
  func brokenConnection() async throws {
    let log = Log()
    let server = try LocalServer { request in
      let number = log.add(request)
      var response = Self.serve(request, linked: Self.digest())
      if number < 4 {
        response.claimedLength = response.body.count
        response.body = Array(response.body.prefix(30_000))
      }
      return response
    }
    let folder = try TemporaryFolder()
    let model = try await store(folder, server).pull("hf:me/tiny/a.gguf")
    #expect(contents(model) == Self.body)
    #expect(
      log.all.map { $0.headers["range"] }
        == [nil, "bytes=30000-", "bytes=60000-", "bytes=90000-"])
  }

  @Test("a later run goes on from what an earlier one left, and starts again if the file changed")
  func laterRun() async throws {
    for changed in [false, true] {
      let log = Log()
      let server = try LocalServer { request in
        let number = log.add(request)
        var response = Self.serve(request, tag: changed && number > 3 ? "\"v2\"" : "\"v1\"")
        if number == 1 {
          response.claimedLength = response.body.count
          response.body = Array(response.body.prefix(40_000))
        } else if number <= 3 {
          response = .init(503)
        }
        return response
      }
      let folder = try TemporaryFolder()
      let store = store(folder, server)
      for _ in 0..<2 {
        await #expect(throws: StoreError.self) { try await store.pull("hf:me/tiny/a.gguf") }
      }
      let model = try await store.pull("hf:me/tiny/a.gguf")
      #expect(contents(model) == Self.body)
      #expect(log.all.last?.headers["range"] == "bytes=40000-")
      #expect(log.all.last?.headers["if-range"] == "\"v1\"")
    }
  }

  @Test("a server without ranges sends the file from its beginning")
  func noRanges() async throws {
    let log = Log()
    let server = try LocalServer { request in
      var response = LocalServer.Response(200, headers: ["ETag": "\"v1\""], body: Self.body)
      if log.add(request) == 1 {
        response.claimedLength = response.body.count
        response.body = Array(response.body.prefix(10))
      }
      return response
    }
    let folder = try TemporaryFolder()
    let model = try await store(folder, server).pull("hf:me/tiny/a.gguf")
    #expect(contents(model) == Self.body)
  }

  @Test("a wrong checksum is refused, and the next pull starts afresh")
  func wrongChecksum() async throws {
    let wrong = String(repeating: "0", count: 64)
    let log = Log()
    let server = try LocalServer { request in
      Self.serve(request, linked: log.add(request) == 1 ? wrong : Self.digest())
    }
    let folder = try TemporaryFolder()
    let store = store(folder, server)
    let error = await #expect(throws: StoreError.self) { try await store.pull("hf:me/tiny/a.gguf") }
    #expect(
      error
        == .wrongChecksum(path: "hf:me/tiny/a.gguf", expected: wrong, found: Self.digest()))
    #expect(throws: StoreError.notPulled("hf:me/tiny/a.gguf")) {
      try store.resolve("hf:me/tiny/a.gguf")
    }
    #expect(contents(try await store.pull("hf:me/tiny/a.gguf")) == Self.body)
  }

  @Test("a server that always breaks off without a new byte is given up")
  func alwaysBreaks() async throws {
    let log = Log()
    let server = try LocalServer { request in
      _ = log.add(request)
      var response = LocalServer.Response(200, headers: ["ETag": "\"v1\""])
      response.claimedLength = 1000
      return response
    }
    let folder = try TemporaryFolder()
    await #expect(throws: StoreError.self) {
      try await self.store(folder, server).pull("hf:me/tiny/a.gguf")
    }
    #expect(log.all.count == 3)
  }

  @Test("more bytes than announced are refused")
  func tooMuch() async throws {
    let server = try LocalServer { request in
      request.path.contains("/resolve/")
        ? .init(302, headers: ["Location": "/blob", "X-Linked-Size": "50"])
        : .init(200, headers: ["ETag": "\"v1\""], body: Self.body)
    }
    let folder = try TemporaryFolder()
    let error = await #expect(throws: StoreError.self) {
      try await self.store(folder, server).pull("hf:me/tiny/a.gguf")
    }
    #expect(error?.description.contains("more than the 50 bytes") == true)
  }

  @Test("redirects without end are refused")
  func redirectLoop() async throws {
    let server = try LocalServer { _ in .init(302, headers: ["Location": "/again"]) }
    let folder = try TemporaryFolder()
    await #expect(throws: StoreError.self) {
      try await self.store(folder, server).pull("hf:me/tiny/a.gguf")
    }
  }

  @Test("error statuses say what to do", arguments: [401, 404, 429, 500])
  func statuses(status: Int) async throws {
    let server = try LocalServer { _ in .init(status, body: Array("<html>".utf8)) }
    let folder = try TemporaryFolder()
    for reference in ["hf:me/tiny/a.gguf", "hf:me/tiny"] {
      let error = await #expect(throws: StoreError.self) {
        try await self.store(folder, server).pull(reference)
      }
      guard case .hub(_, status, let advice) = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(!advice.isEmpty)
    }
  }

  @Test("the listing chooses the only model file; several are an error that lists them")
  func listing() async throws {
    let one = #"{"siblings":[{"rfilename":"README.md"},{"rfilename":"sub/q4.gguf"}]}"#
    let two = #"{"siblings":[{"rfilename":"b.gguf"},{"rfilename":"a.gguf"}]}"#
    let answers = [
      "one": one, "two": two, "none": #"{"siblings":[]}"#, "odd": "[1,2",
      "evil": #"{"siblings":[{"rfilename":"../../evil.gguf"}]}"#,
      "deep": String(repeating: "[", count: 100_000),
    ]
    let server = try LocalServer { request in
      guard request.path.hasPrefix("/api/models/me/") else { return Self.serve(request) }
      let name = request.path.split(separator: "/").last.map(String.init) ?? ""
      return .init(200, body: Array((answers[name] ?? "").utf8))
    }
    let folder = try TemporaryFolder()
    let store = store(folder, server)
    let model = try await store.pull("hf:me/one")
    #expect(model.url.path.hasSuffix("hub/me/one/sub/q4.gguf"))
    #expect(contents(model) == Self.body)
    await #expect(
      throws: StoreError.ambiguous(
        "hf:me/two", choices: ["hf:me/two/a.gguf", "hf:me/two/b.gguf"])
    ) { try await store.pull("hf:me/two") }
    for name in ["none", "odd", "evil", "deep"] {
      await #expect(throws: StoreError.self, "\(name)") { try await store.pull("hf:me/\(name)") }
    }
  }

  @Test("a hub that cannot be reached is an error that says what to run elsewhere")
  func unreachable() async throws {
    let server = try LocalServer { _ in .init(500) }
    let address = server.url
    server.stop()
    let folder = try TemporaryFolder()
    let store = ModelStore(
      root: folder.url, hub: Hub(base: address, retryDelay: .zero, attempts: 1))
    let error = await #expect(throws: StoreError.self) { try await store.pull("hf:me/tiny/a.gguf") }
    guard case .offline(_, let destination, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(destination.hasSuffix("hub/me/tiny"))
    #expect(error?.description.contains("foretoken pull hf:me/tiny/a.gguf") == true)
  }

  @Test(
    "references that leave the store's folder are refused",
    arguments: [
      "hf:", "hf:me", "hf:me/", "hf:/x", "hf:../x", "hf:me/..", "hf:me/x/../../y.gguf", "hf:me/x/",
      "hf:me/x//y", "hf:me/x/\u{0}", "hf:me/x/a\\b", "hf:m e/x",
    ])
  func references(reference: String) throws {
    let error = #expect(throws: StoreError.self) {
      try ModelStore(root: URL(filePath: "/nonexistent")).resolve(reference)
    }
    guard case .invalidReference = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
}
