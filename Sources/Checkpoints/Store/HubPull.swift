import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// Where a file from a hub came from; kept beside it as `<file>.origin.json`.
struct HubOrigin: Codable {
  let source: String
  let byteCount: Int
  /// Nil if the hub named none; then only the size was checked.
  let sha256: String?

  static func path(of file: String) -> String { "\(file).origin.json" }

  static func read(of file: String) -> HubOrigin? {
    guard let data = FileManager.default.contents(atPath: path(of: file)) else { return nil }
    return try? JSONDecoder().decode(HubOrigin.self, from: data)
  }

  func write(of file: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(self).write(to: URL(filePath: Self.path(of: file)), options: .atomic)
  }
}

extension ModelStore {
  func hubPath(_ file: String, of id: HubID) -> String {
    hubFolder.appending(path: "\(id.owner)/\(id.name)/\(file)").path
  }

  func resolveHub(_ id: HubID, reference: String) throws -> ResolvedModel {
    let names = id.file.map { [$0] } ?? storedFiles(of: id)
    let present = names.filter { name in
      let path = hubPath(name, of: id)
      return HubOrigin.read(of: path).map { $0.byteCount == fileSize(path) } ?? false
    }
    guard let name = present.first else { throw StoreError.notPulled(reference) }
    guard present.count == 1 else {
      throw StoreError.ambiguous(
        reference, choices: present.map { "hf:\(id.owner)/\(id.name)/\($0)" })
    }
    return ResolvedModel(
      reference: reference, alias: nil, url: URL(filePath: hubPath(name, of: id)))
  }

  private func storedFiles(of id: HubID) -> [String] {
    let folder = hubFolder.appending(path: "\(id.owner)/\(id.name)").path
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.lowercased().hasSuffix(".gguf") }.sorted()
  }
}

/// Fetches one file of a hub, going on where an earlier transfer broke.
struct HubPull {
  private let id: HubID
  private let reference: String
  private let store: ModelStore
  private let progress: PullProgressHandler

  init(
    id: HubID, reference: String, store: ModelStore, progress: @escaping PullProgressHandler
  ) {
    self.id = id
    self.reference = reference
    self.store = store
    self.progress = progress
  }

  func run() async throws -> ResolvedModel {
    if let present = try presentModel() { return present }
    let destinationFolder = store.hubFolder.appending(path: "\(id.owner)/\(id.name)").path
    let file: String
    if let named = id.file {
      file = named
    } else {
      file = try await store.hub.onlyModelFile(
        of: id, reference: reference, destination: destinationFolder)
    }
    let waiting = ProgressMeter(reference: reference, total: 0, handler: progress)
    let name = "\(id.owner)/\(id.name)/\(file)"
    let lock = try await store.lock(name) { waiting.report(.waiting, bytes: 0) }
    defer { withExtendedLifetime(lock) {} }
    if let present = try presentModel() { return present }
    let destination = store.hubPath(file, of: id)
    try await download(file, name: name, to: destination, offlineHint: destinationFolder)
    return ResolvedModel(reference: reference, alias: nil, url: URL(filePath: destination))
  }

  private func presentModel() throws -> ResolvedModel? {
    do {
      return try store.resolveHub(id, reference: reference)
    } catch StoreError.notPulled {
      return nil
    }
  }

  /// - Parameter offlineHint: Folder to copy the model to if there is no network here.
  private func download(
    _ file: String, name: String, to destination: String, offlineHint: String
  ) async throws {
    let folder = store.downloadFolder(name)
    try store.makeFolder(folder)
    let partial = try PartialDownload(
      folder: folder, reference: reference, store: store, progress: progress)
    let url = store.hub.address(of: file, in: id)
    try await transfer(url, into: partial, offlineHint: offlineHint)
    let sha256 = try partial.verify()
    try store.makeFolder(URL(filePath: destination).deletingLastPathComponent())
    try moveIntoPlace(partial.path, to: destination)
    let size = fileSize(destination) ?? 0
    try HubOrigin(source: url.absoluteString, byteCount: size, sha256: sha256).write(
      of: destination)
    try? FileManager.default.removeItem(at: folder)
    ProgressMeter(reference: reference, total: size, handler: progress)
      .report(.finished, bytes: size)
  }

  /// Repeats the request until the file is whole. Every new byte makes room for more attempts.
  private func transfer(
    _ url: URL, into partial: PartialDownload, offlineHint: String
  ) async throws {
    var fruitless = 0
    while true {
      let before = partial.bytesDone
      do {
        _ = try await HubTransfer.run(partial.request(url), sink: partial)
        if partial.isWhole { return }
      } catch let failure as HubTransfer.Failure {
        guard case .transport = failure, fruitless + 1 < store.hub.attempts else {
          throw failure.storeError(reference: reference, destination: offlineHint)
        }
      }
      fruitless = partial.bytesDone > before ? 0 : fruitless + 1
      guard fruitless < store.hub.attempts else {
        throw StoreError.downloadFailed(
          reference, detail: "the server sends less than the \(partial.total) bytes it announces")
      }
      try await Task.sleep(for: store.hub.retryDelay)
    }
  }
}
