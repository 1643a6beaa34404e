import Foretoken
import Foundation
import Synchronization

/// Everything that the figures of a benchmark depend on, the machine aside.
struct SpecSettings: Sendable, Equatable, Codable {
  var version = 1
  var suite = SpecSuite.methods
  var models: [String] = []
  var draft: String?
  var variants: [SpecVariant] = []
  var verification: VerificationMethod?
  var temperatures: [Double] = []
  var maxTokens = 0
  var maxDraft: Int?
  var threads: Int?
  var context: Int?
  var kv = KVType.f16.rawValue
  var seed: UInt64 = 0
  var promptCount = 0
  /// Of the prompts' texts.
  var promptDigest = ""

  /// A short name for these settings.
  var key: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return Self.digest((try? encoder.encode(self)) ?? Data())
  }

  /// FNV-1a, 64 bits, in hexadecimal: names files, protects nothing.
  static func digest(_ bytes: some Sequence<UInt8>) -> String {
    let hash = bytes.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}

/// What a benchmark has measured so far, in a file of JSON lines: settings first, then costs and
/// cells as they are done. A run that was killed goes on where it was; a line that was being written
/// is measured again.
final class SpecState: Sendable {
  private struct Line: Codable {
    var settings: SpecSettings?
    var model: String?
    var cost: RelativeCost?
    var cell: SpecCell?
  }

  private struct Contents {
    var settings: SpecSettings?
    var costs: [String: RelativeCost] = [:]
    var cells: [SpecCell] = []
  }

  let path: String
  private let contents: Mutex<Contents>
  private let descriptor: Int32

  /// Cost of a pass by its rows, by model.
  var costs: [String: RelativeCost] { contents.withLock { $0.costs } }
  /// What is done.
  var cells: [SpecCell] { contents.withLock { $0.cells } }

  /// Opens the file, or makes it.
  /// - Throws: `InputError`: it cannot be used, another process uses it, or it holds other settings.
  init(path: String, settings: SpecSettings) throws {
    let expanded = (path as NSString).expandingTildeInPath
    self.path = expanded
    let folder = (expanded as NSString).deletingLastPathComponent
    if !folder.isEmpty {
      try? FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    }
    descriptor = open(expanded, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw InputError(path, "cannot be opened: \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw InputError(path, "is being written by another benchmark; wait for it, or name another")
    }
    let loaded = try Self.load(expanded, descriptor)
    let known = loaded.settings
    contents = Mutex(loaded)
    if known == nil { try append(Line(settings: settings)) }
    guard known == nil || known == settings else {
      throw InputError(
        path, "holds a benchmark of other settings; name another file, or delete this one")
    }
  }

  deinit { close(descriptor) }

  /// Whether a cell is done.
  func has(model: String, temperature: Double, prompt: String) -> Bool {
    cells.contains {
      $0.model == model && $0.temperature == temperature && $0.prompt == prompt
    }
  }

  /// Keeps a finished cell.
  /// - Throws: `InputError` if the disk refuses.
  func append(_ cell: SpecCell) throws {
    try append(Line(cell: cell))
    contents.withLock { $0.cells.append(cell) }
  }

  /// Keeps the cost of a model's passes.
  /// - Throws: `InputError` if the disk refuses.
  func append(_ cost: RelativeCost, of model: String) throws {
    try append(Line(model: model, cost: cost))
    contents.withLock { $0.costs[model] = cost }
  }

  /// Deletes the file: what it holds is reported.
  func remove() { unlink(path) }

  /// Reads whole lines and cuts off what follows the last of them.
  private static func load(_ path: String, _ descriptor: Int32) throws -> Contents {
    var contents = Contents()
    guard let data = FileManager.default.contents(atPath: path) else { return contents }
    var good = 0
    let decoder = JSONDecoder()
    while good < data.count, let end = data[good...].firstIndex(of: UInt8(ascii: "\n")) {
      guard let line = try? decoder.decode(Line.self, from: data[good..<end]) else { break }
      good = end + 1
      contents.settings = line.settings ?? contents.settings
      if let model = line.model, let cost = line.cost { contents.costs[model] = cost }
      if let cell = line.cell { contents.cells.append(cell) }
    }
    if contents.settings == nil, data.contains(UInt8(ascii: "\n")) {
      throw InputError(path, "is not the state of a benchmark; name another file")
    }
    if good < data.count, ftruncate(descriptor, off_t(good)) != 0 {
      throw InputError(path, "cannot be shortened: \(String(cString: strerror(errno)))")
    }
    return contents
  }

  private func append(_ line: Line) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    var data = try encoder.encode(line)
    data.append(UInt8(ascii: "\n"))
    try data.withUnsafeBytes { bytes in
      var rest = bytes
      while !rest.isEmpty {
        let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else {
          throw InputError(path, "cannot be written: \(String(cString: strerror(errno)))")
        }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      }
    }
  }
}
