import Compute
import Foundation
import Transformers

/// What a cost curve was measured with: another value of anything makes another curve.
public struct CostCurveKey: Sendable, Equatable, Codable {
  /// The model's file. It stands for the model together with its size and time: hashing a gigabyte
  /// would take longer than measuring.
  public var path: String
  /// Size of the file.
  public var byteCount: Int
  /// Second that the file was last written in.
  public var modified: Int
  /// Name of the processor.
  public var machine: String
  /// Instruction set of the kernels.
  public var instructionSet: String
  /// Worker threads.
  public var threads: Int
  /// Type of cached keys and values.
  public var kv: String

  /// The key of a model file on this machine.
  public init(file: URL, threads: Int, kv: KVType) {
    let url = file.resolvingSymlinksInPath().absoluteURL
    path = url.path(percentEncoded: false)
    let attributes = (try? FileManager.default.attributesOfItem(atPath: path)) ?? [:]
    byteCount = (attributes[.size] as? NSNumber)?.intValue ?? 0
    modified = Int((attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0)
    machine = Self.processor
    instructionSet = InstructionSet.current
    self.threads = threads
    self.kv = kv.rawValue
  }

  /// Name of the processor as the system gives it.
  private static let processor: String = {
    let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = lines.split(separator: "\n").first { $0.hasPrefix("model name") }
    let name = line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
    return "\(name ?? "unknown") × \(ProcessInfo.processInfo.activeProcessorCount)"
  }()
}

/// Keeps measured cost curves in a folder, one small JSON file for each key.
///
/// A file that is missing, damaged, of another form or of another key is no curve: it is measured
/// anew and written over. A folder that cannot be written costs a measurement for each process.
public struct CostCurveStore: Sendable {
  /// Changes when what a curve means changes.
  static let version = 1

  /// Where the files are.
  public let folder: URL
  /// What the curves of this store are measured with.
  public let key: CostCurveKey

  private struct Record: Codable {
    var version: Int
    var key: CostCurveKey
    var curve: CostCurve
  }

  /// A store of one key.
  public init(folder: URL, key: CostCurveKey) {
    self.folder = folder
    self.key = key
  }

  /// The file of the key: the model's name and a hash of the key (FNV-1a).
  public var url: URL {
    let text =
      "\(key.path)\n\(key.byteCount)\n\(key.modified)\n\(key.machine)\n\(key.instructionSet)\n"
      + "\(key.threads)\n\(key.kv)"
    let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
    let name = key.path.split(separator: "/").last.map(String.init) ?? "model"
    return folder.appending(path: "\(name.prefix(80)).\(String(hash, radix: 16)).json")
  }

  /// The stored curve; nil if there is none that can be used.
  public func load() -> CostCurve? {
    guard let file = try? FileHandle(forReadingFrom: url) else { return nil }
    defer { try? file.close() }
    // A curve has a dozen points: a longer file is not one of ours.
    guard let data = try? file.read(upToCount: 65_536), data.count < 65_536,
      let record = try? JSONDecoder().decode(Record.self, from: data),
      record.version == Self.version, record.key == key
    else { return nil }
    return record.curve
  }

  /// Writes the curve; a reader sees the old file or the whole new one.
  public func save(_ curve: CostCurve) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let data = try encoder.encode(Record(version: Self.version, key: key, curve: curve))
    try data.write(to: url, options: .atomic)
  }

  /// The stored curve if it still fits, else a new one, which is then stored.
  /// - Parameter pass: runs a pass of so many rows and returns its microseconds.
  public func curve(mostRows: Int = 64, pass: (Int) throws -> Double) rethrows -> CostCurve {
    if let known = load(), try known.fits(pass: pass) { return known }
    let curve = try CostCurve.measure(mostRows: mostRows, pass: pass)
    // Without the file the next process measures again: a quarter of a second, not an error.
    try? save(curve)
    return curve
  }
}
