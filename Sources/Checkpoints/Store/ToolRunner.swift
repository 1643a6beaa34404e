import Foundation

/// Runs a program to its end, with its output in a file.
enum ToolRunner {
  struct Result {
    let status: Int32
    /// What it printed, both streams; the last part if it was much.
    let output: String
  }

  /// Exit status by which `env` says that it found no such program.
  static let notFound: Int32 = 127

  private static let outputLimit = 16_384

  /// - Parameters:
  ///   - command: Program, searched in PATH, and its arguments. No shell is involved.
  ///   - environment: Added to this process's environment.
  ///   - log: Path of the file for the output.
  static func run(
    _ command: [String], environment: [String: String] = [:], log: String
  ) async throws -> Result {
    guard FileManager.default.createFile(atPath: log, contents: nil),
      let output = FileHandle(forWritingAtPath: log)
    else { throw StoreError.system(log, "cannot be created") }
    defer { try? output.close() }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    let running = RunningProcess(process)
    let status = try await withTaskCancellationHandler {
      try await running.run()
    } onCancel: {
      running.stop()
    }
    try Task.checkCancellation()
    return Result(status: status, output: tail(of: log))
  }

  private static func tail(of path: String) -> String {
    guard let handle = FileHandle(forReadingAtPath: path) else { return "" }
    defer { try? handle.close() }
    let size = (try? handle.seekToEnd()) ?? 0
    try? handle.seek(toOffset: size > UInt64(outputLimit) ? size - UInt64(outputLimit) : 0)
    return String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
  }
}

/// `@unchecked Sendable`: `Process` is started once, before anything else can reach it, and asking
/// whether it runs and ending it are safe from any thread.
private final class RunningProcess: @unchecked Sendable {
  private let process: Process

  init(_ process: Process) {
    self.process = process
  }

  /// Starts the process and returns its exit status.
  func run() async throws -> Int32 {
    try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do {
        try process.run()
      } catch {
        process.terminationHandler = nil
        continuation.resume(throwing: error)
      }
    }
  }

  func stop() {
    if process.isRunning { process.terminate() }
  }
}
