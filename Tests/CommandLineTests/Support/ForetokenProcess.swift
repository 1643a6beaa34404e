import Foundation
import Synchronization

/// The real program, run as a process of its own. Every wait has a deadline, after which the process
/// is killed and the test fails.
final class ForetokenProcess: Sendable {
  /// What a finished process left.
  struct Outcome: Sendable {
    /// Exit status; nil if a signal ended the process.
    let status: Int32?
    /// The signal that ended it, if one did.
    let signal: Int32?
    let output: Data
    let error: String

    var text: String { String(decoding: output, as: UTF8.self) }
  }

  struct DeadlinePassed: Error {
    let arguments: [String]
  }

  /// Where standard output goes.
  enum Output {
    case pipe
    case file(String)
  }

  /// Time for one process, models loaded and text written on a busy machine included.
  static let deadline = 300.0

  /// The program beside the test bundle; SwiftPM builds it because these tests depend on it.
  static let executable: URL = {
    let bundle = Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }
    let program = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    return (bundle ?? program).deletingLastPathComponent().appending(path: "foretoken")
  }()

  private struct Parts: @unchecked Sendable {
    let process: Process
    let pipe: Pipe
  }

  private let parts: Parts
  private let arguments: [String]
  private let errorFile: TemporaryFile
  private let inputFile: TemporaryFile?
  private let isExpired = Mutex(false)

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - input: standard input; nothing if nil.
  ///   - environment: added to this process's own; nil removes a variable.
  ///   - command: run instead of the program, for wrappers; the arguments follow it.
  init(
    _ arguments: [String], input: String? = nil, environment: [String: String?] = [:],
    output: Output = .pipe, command: URL? = nil
  ) throws {
    let process = Process()
    let pipe = Pipe()
    errorFile = try TemporaryFile()
    inputFile = try input.map { try TemporaryFile(Data($0.utf8)) }
    process.executableURL = command ?? Self.executable
    process.arguments = arguments
    var variables = ProcessInfo.processInfo.environment
    variables["NO_COLOR"] = nil
    for (name, value) in environment { variables[name] = value }
    process.environment = variables
    process.standardInput =
      try inputFile.map { try FileHandle(forReadingFrom: $0.url) } ?? FileHandle.nullDevice
    switch output {
    case .pipe: process.standardOutput = pipe
    case .file(let path): process.standardOutput = FileHandle(forWritingAtPath: path)
    }
    process.standardError = try FileHandle(forWritingTo: errorFile.url)
    parts = Parts(process: process, pipe: pipe)
    self.arguments = arguments
    try process.run()
    // Our own copy of the writing end would keep the pipe open for ever.
    try? pipe.fileHandleForWriting.close()
    startDeadline()
  }

  /// Runs the program to its end.
  static func run(
    _ arguments: String..., input: String? = nil, environment: [String: String?] = [:],
    output: Output = .pipe
  ) async throws -> Outcome {
    let process = try ForetokenProcess(
      arguments, input: input, environment: environment, output: output)
    return try await process.finish()
  }

  /// Waits for `count` bytes of standard output, or its end, and returns what came.
  func read(atLeast count: Int) async -> Data {
    await onThread { [parts] in
      var data = Data()
      while data.count < count {
        let piece = parts.pipe.fileHandleForReading.availableData
        if piece.isEmpty { break }
        data += piece
      }
      return data
    }
  }

  /// Closes our end of the program's standard output.
  func closeOutput() { try? parts.pipe.fileHandleForReading.close() }

  /// Sends a signal.
  func send(_ signal: Int32) { kill(parts.process.processIdentifier, signal) }

  /// Waits for the end.
  ///
  /// - Parameter isOutputOpen: false after `closeOutput()`.
  /// - Throws: `DeadlinePassed`.
  func finish(isOutputOpen: Bool = true) async throws -> Outcome {
    let output = await onThread { [parts] in
      let rest = isOutputOpen ? parts.pipe.fileHandleForReading.readDataToEndOfFile() : Data()
      parts.process.waitUntilExit()
      return rest
    }
    if isExpired.withLock({ $0 }) { throw DeadlinePassed(arguments: arguments) }
    let process = parts.process
    let isSignal = process.terminationReason == .uncaughtSignal
    return Outcome(
      status: isSignal ? nil : process.terminationStatus,
      signal: isSignal ? process.terminationStatus : nil, output: output,
      error: try String(contentsOf: errorFile.url, encoding: .utf8))
  }

  private func startDeadline() {
    DispatchQueue.global().asyncAfter(deadline: .now() + Self.deadline) { [weak self] in
      guard let self, parts.process.isRunning else { return }
      isExpired.withLock { $0 = true }
      kill(parts.process.processIdentifier, SIGKILL)
    }
  }
}

/// Runs blocking work on a thread of its own, so that the tests' threads stay free.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
  await withCheckedContinuation { continuation in
    Thread.detachNewThread { continuation.resume(returning: body()) }
  }
}

/// A file that is deleted with its owner.
final class TemporaryFile: Sendable {
  let url: URL
  var path: String { url.path(percentEncoded: false) }

  init(_ data: Data = Data(), name: String = "file") throws {
    url = FileManager.default.temporaryDirectory
      .appending(path: "foretoken-test-\(UUID().uuidString)-\(name)")
    try data.write(to: url)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

/// A folder that is deleted with its owner.
final class TemporaryFolder: Sendable {
  let url: URL
  var path: String { url.path(percentEncoded: false) }

  init() throws {
    url = FileManager.default.temporaryDirectory
      .appending(path: "foretoken-test-\(UUID().uuidString)", directoryHint: .isDirectory)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}
