import Foretoken
import Foundation
import Synchronization

/// Step traces as JSON lines: one object for each step, in the order of the steps.
///
/// The file appears under its name when it is closed, complete or with what an interruption left;
/// until then it has a temporary name in the same folder. What is no regular file, such as a pipe,
/// is written straight away.
final class TraceFile: Sendable {
  private let path: String
  private let temporaryPath: String?
  private let descriptor: Int32
  private let isOpen = Mutex(true)

  /// - Throws: `InputError` if the file cannot be made.
  init(path: String) throws {
    let expanded = (path as NSString).expandingTildeInPath
    self.path = expanded
    if Self.isSpecial(expanded) {
      temporaryPath = nil
      descriptor = open(expanded, O_WRONLY | O_CLOEXEC)
    } else {
      let name = (expanded as NSString).lastPathComponent
      let folder = (expanded as NSString).deletingLastPathComponent
      let temporary = (folder as NSString).appendingPathComponent(".\(name).\(getpid()).tmp")
      temporaryPath = temporary
      descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    }
    guard descriptor >= 0 else {
      throw InputError(path, "cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  deinit { try? close() }

  /// Writes a step.
  ///
  /// - Parameter generation: number of the sample or turn, from 0.
  /// - Throws: `InputError` if the disk refuses.
  func append(_ step: StepTrace, generation: Int) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var line = try encoder.encode(TraceLine(generation: generation, step: step))
    line.append(UInt8(ascii: "\n"))
    try isOpen.withLock { isOpen in
      guard isOpen else { return }
      try write(line)
    }
  }

  /// Gives the file its name.
  /// - Throws: `InputError`.
  func close() throws {
    try isOpen.withLock { isOpen in
      guard isOpen else { return }
      isOpen = false
      guard Foundation.close(descriptor) == 0 else { throw failure() }
      if let temporaryPath, rename(temporaryPath, path) != 0 { throw failure() }
    }
  }

  private func write(_ data: Data) throws {
    try data.withUnsafeBytes { bytes in
      var rest = bytes
      while !rest.isEmpty {
        let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { throw failure() }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      }
    }
  }

  private func failure() -> InputError {
    InputError(path, "cannot be written: \(String(cString: strerror(errno)))")
  }

  private static func isSpecial(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
  }
}

/// A step and the generation it belongs to.
private struct TraceLine: Encodable {
  let generation: Int
  let step: StepTrace

  private enum CodingKeys: String, CodingKey { case generation }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(generation, forKey: .generation)
    try step.encode(to: encoder)
  }
}
