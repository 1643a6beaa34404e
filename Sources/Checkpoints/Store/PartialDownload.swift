import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// A file on its way from a hub: what has arrived (`data.partial`) and which version of the file it
/// belongs to (`state.json`), so that a later run can go on if the file is still the same.
final class PartialDownload: TransferSink {
  private struct State: Codable {
    /// Of the served bytes, for `If-Range`.
    var entityTag: String?
    /// Of the model file, from the hub.
    var linkedTag: String?
    var total: Int
  }

  let path: String
  private let statePath: String
  private let reference: String
  private let store: ModelStore
  private let progress: PullProgressHandler
  private let descriptor: Int32
  private var state: State?
  private var meter: ProgressMeter
  /// False while the body of an answer is a message rather than the file.
  private var bodyIsFile = false
  private(set) var bytesDone: Int

  /// Opens what an earlier run has left in `folder`, or begins anew.
  init(
    folder: URL, reference: String, store: ModelStore, progress: @escaping PullProgressHandler
  ) throws {
    path = folder.appending(path: "data.partial").path
    statePath = folder.appending(path: "state.json").path
    self.reference = reference
    self.store = store
    self.progress = progress
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw StoreError.system(path, "cannot be opened") }
    bytesDone = fileSize(path) ?? 0
    state = FileManager.default.contents(atPath: statePath)
      .flatMap { try? JSONDecoder().decode(State.self, from: $0) }
    meter = ProgressMeter(reference: reference, total: state?.total ?? 0, handler: progress)
    if state?.entityTag == nil || bytesDone > state?.total ?? 0 { try restart() }
    guard lseek(descriptor, off_t(bytesDone), SEEK_SET) == off_t(bytesDone) else {
      throw StoreError.system(path, "cannot be continued")
    }
  }

  deinit { close(descriptor) }

  /// Bytes of the whole file; 0 before the server has answered.
  var total: Int { state?.total ?? 0 }

  var isWhole: Bool { state.map { $0.total == bytesDone } ?? false }

  /// A request for what is missing, on the condition that the file has not changed.
  func request(_ url: URL) -> URLRequest {
    var request = URLRequest(url: url)
    // Compressed transfer would make ranges and sizes count other bytes than the file's.
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    if bytesDone > 0, let tag = state?.entityTag {
      request.setValue("bytes=\(bytesDone)-", forHTTPHeaderField: "Range")
      request.setValue(tag, forHTTPHeaderField: "If-Range")
    }
    return request
  }

  func begin(_ head: HubTransfer.Head) throws {
    bodyIsFile = head.status != 416
    switch head.status {
    case 206:
      guard let range = head.contentRange, range.start == bytesDone else {
        throw StoreError.downloadFailed(
          reference, detail: "the server sends another range than the one that was asked for")
      }
      try adopt(head, total: range.total ?? state?.total)
    case 416:
      // Nothing lies beyond our last byte: either we have all, or the file has changed.
      if !isWhole { try restart() }
    default:
      try restart()
      try adopt(head, total: head.linkedSize ?? head.length)
    }
    meter.beginDownload(bytes: bytesDone)
  }

  func consume(_ bytes: UnsafeRawBufferPointer) throws {
    guard bodyIsFile else { return }
    guard bytes.count <= total - bytesDone else {
      throw StoreError.downloadFailed(
        reference, detail: "the server sends more than the \(total) bytes it announces")
    }
    do {
      try writeAll(bytes, to: descriptor)
    } catch {
      if error.code == ENOSPC { try store.checkSpace(total - bytesDone) }
      throw StoreError.system(path, "cannot be written", code: error.code)
    }
    bytesDone += bytes.count
    meter.report(.downloading, bytes: bytesDone)
  }

  /// Compares the whole file with the checksum that the hub gives.
  ///
  /// - Returns: The checksum, or nil if the hub gives none (the size is right in any case).
  func verify() throws -> String? {
    guard let expected = Self.checksum(state?.linkedTag) ?? Self.checksum(state?.entityTag) else {
      return nil
    }
    meter.report(.verifying, bytes: bytesDone)
    let found = try SHA256Digest.ofFile(path)
    guard found == expected else {
      try restart()
      throw StoreError.wrongChecksum(path: reference, expected: expected, found: found)
    }
    return expected
  }

  /// A tag that is a SHA-256 in hexadecimal, without its quotes.
  private static func checksum(_ tag: String?) -> String? {
    guard var text = tag?[...] else { return nil }
    if text.hasPrefix("W/") { text = text.dropFirst(2) }
    let digits = text.filter { $0 != "\"" }.lowercased()
    guard digits.utf8.count == 64, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
      return nil
    }
    return digits
  }

  private func adopt(_ head: HubTransfer.Head, total: Int?) throws {
    guard let total, total >= bytesDone else {
      throw StoreError.downloadFailed(
        reference, detail: "the server does not say how long the file is")
    }
    try store.checkSpace(total - bytesDone)
    let state = State(
      entityTag: head.entityTag, linkedTag: head.linkedTag ?? self.state?.linkedTag, total: total)
    self.state = state
    meter = ProgressMeter(reference: reference, total: total, handler: progress)
    try JSONEncoder().encode(state).write(to: URL(filePath: statePath), options: .atomic)
  }

  private func restart() throws {
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw StoreError.system(path, "cannot be emptied")
    }
    bytesDone = 0
    state = nil
    try? FileManager.default.removeItem(atPath: statePath)
  }
}
