import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Takes the body of an HTTP answer.
protocol TransferSink: AnyObject {
  /// The answer begins; `head` has its final status and sizes. Throws to refuse it.
  func begin(_ head: HubTransfer.Head) throws
  func consume(_ bytes: UnsafeRawBufferPointer) throws
}

/// One HTTP request whose body streams into a sink.
///
/// `@unchecked Sendable`: the state is touched on the session's delegate queue only, which runs one
/// callback at a time, and before the request starts.
final class HubTransfer: NSObject, URLSessionDataDelegate, @unchecked Sendable {
  /// What the answer's headers say, those of redirects included.
  struct Head: Sendable {
    var status = 0
    /// Entity tag of the bytes that are served, for `If-Range`.
    var entityTag: String?
    /// First byte and total size of a partial answer.
    var contentRange: (start: Int, total: Int?)?
    /// Bytes in this answer, if the server says.
    var length: Int?
    /// Entity tag and size of the model file itself, as a hub names them in a redirect to its
    /// storage.
    var linkedTag: String?
    var linkedSize: Int?
  }

  enum Failure: Error {
    /// No connection, or it broke.
    case transport(any Error)
    /// An error status of the server.
    case status(Int, URL?)
    /// The sink has refused the answer.
    case refused(any Error)
  }

  private static let redirectLimit = 10
  private static let idleTimeout: TimeInterval = 30

  private let sink: any TransferSink
  private var head = Head()
  private var redirects = 0
  private var failure: Failure?
  private var completion: ((Result<Head, Failure>) -> Void)?

  private init(sink: any TransferSink) {
    self.sink = sink
  }

  /// Runs `request` to the end of its body.
  ///
  /// - Throws: `Failure`; `CancellationError` if the task is cancelled.
  static func run(_ request: URLRequest, sink: any TransferSink) async throws -> Head {
    let transfer = HubTransfer(sink: sink)
    let queue = OperationQueue()
    queue.maxConcurrentOperationCount = 1
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = idleTimeout
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    let session = URLSession(configuration: configuration, delegate: transfer, delegateQueue: queue)
    defer { session.finishTasksAndInvalidate() }
    let task = session.dataTask(with: request)
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        transfer.completion = { continuation.resume(returning: $0) }
        task.resume()
      }
    } onCancel: {
      task.cancel()
    }
    try Task.checkCancellation()
    return try result.get()
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask,
    willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
    completionHandler: @escaping @Sendable (URLRequest?) -> Void
  ) {
    redirects += 1
    head.linkedTag = response.value(forHTTPHeaderField: "X-Linked-ETag") ?? head.linkedTag
    head.linkedSize =
      response.value(forHTTPHeaderField: "X-Linked-Size").flatMap { Int($0) } ?? head.linkedSize
    let leavesEncryption = response.url?.scheme == "https" && request.url?.scheme != "https"
    guard redirects <= Self.redirectLimit, !leavesEncryption else {
      // Without a request the redirect itself becomes the answer, and is then cancelled.
      failure = .refused(RedirectError(leavesEncryption: leavesEncryption))
      completionHandler(nil)
      return
    }
    completionHandler(request)
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
  ) {
    guard let response = response as? HTTPURLResponse else {
      failure = .status(0, response.url)
      completionHandler(.cancel)
      return
    }
    readHead(response)
    guard failure == nil, 200..<300 ~= head.status || head.status == 416 else {
      failure = failure ?? .status(head.status, response.url)
      completionHandler(.cancel)
      return
    }
    do {
      try sink.begin(head)
      completionHandler(.allow)
    } catch {
      failure = .refused(error)
      completionHandler(.cancel)
    }
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    guard failure == nil else { return }
    do {
      try data.withUnsafeBytes { try sink.consume($0) }
    } catch {
      failure = .refused(error)
      dataTask.cancel()
    }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    let failure = failure ?? error.map { .transport($0) }
    completion?(failure.map { .failure($0) } ?? .success(head))
    completion = nil
  }

  private func readHead(_ response: HTTPURLResponse) {
    head.status = response.statusCode
    head.entityTag = response.value(forHTTPHeaderField: "ETag")
    head.linkedTag = response.value(forHTTPHeaderField: "X-Linked-ETag") ?? head.linkedTag
    head.linkedSize =
      response.value(forHTTPHeaderField: "X-Linked-Size").flatMap { Int($0) } ?? head.linkedSize
    head.length = response.value(forHTTPHeaderField: "Content-Length").flatMap { Int($0) }
    head.contentRange = response.value(forHTTPHeaderField: "Content-Range")
      .flatMap { Self.parseRange($0) }
  }

  /// `bytes 100-199/1000`, or `bytes 100-199/*`.
  private static func parseRange(_ text: String) -> (start: Int, total: Int?)? {
    let words = text.split(separator: " ")
    guard words.count == 2, words[0] == "bytes" else { return nil }
    let halves = words[1].split(separator: "/")
    guard halves.count == 2, let start = halves[0].split(separator: "-").first.flatMap({ Int($0) })
    else { return nil }
    return (start, Int(halves[1]))
  }
}

/// A redirect that is not followed.
private struct RedirectError: Error, CustomStringConvertible {
  let leavesEncryption: Bool

  var description: String {
    leavesEncryption
      ? "the server redirects from https to an address without encryption"
      : "the server redirects without end"
  }
}

extension HubTransfer.Failure {
  func storeError(reference: String, destination: String) -> any Error {
    switch self {
    case .refused(let error as StoreError): error
    case .refused(let error): StoreError.downloadFailed(reference, detail: "\(error)")
    case .status(let status, let url):
      StoreError.hub(url: url?.absoluteString ?? "", status: status, advice: Self.advice(status))
    case .transport(let error):
      if isUnreachable(error) {
        StoreError.offline(
          reference, destination: destination, detail: error.localizedDescription)
      } else {
        StoreError.downloadFailed(reference, detail: error.localizedDescription)
      }
    }
  }

  private func isUnreachable(_ error: any Error) -> Bool {
    let codes: [URLError.Code] = [
      .cannotFindHost, .cannotConnectToHost, .dnsLookupFailed, .notConnectedToInternet, .timedOut,
    ]
    return (error as? URLError).map { codes.contains($0.code) } ?? false
  }

  private static func advice(_ status: Int) -> String {
    switch status {
    case 401, 403:
      "the model is private or its terms must be accepted first; download the file in a browser "
        + "and use its path"
    case 404: "the hub has no such model or file; check owner, name and file"
    case 429: "too many requests; wait a while and pull again"
    case 500...: "the hub has a problem; pull again later"
    default: "this answer was not expected"
    }
  }
}

/// A body of limited size, in memory.
final class MemorySink: TransferSink {
  private let limit: Int
  private(set) var data = Data()

  init(limit: Int) {
    self.limit = limit
  }

  func begin(_ head: HubTransfer.Head) throws {
    data.removeAll()
  }

  func consume(_ bytes: UnsafeRawBufferPointer) throws {
    guard data.count + bytes.count <= limit else {
      throw StoreError.downloadFailed("listing", detail: "the answer is longer than \(limit) bytes")
    }
    data.append(contentsOf: bytes)
  }
}
