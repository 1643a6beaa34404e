import Foundation
import Synchronization

/// `foretoken serve` as a process of its own, on a port of its own. It is killed after five minutes.
final class ServeProcess: Sendable {
  private struct Parts: @unchecked Sendable {
    let process: Process
  }

  private struct Log {
    var text = ""
    var isOver = false
  }

  private let parts: Parts
  private let log = Mutex(Log())
  let port: Int

  /// Folder of the project's sources, where the scripts are.
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// A program that was built with the tests.
  static func program(_ name: String) -> URL {
    let bundle = Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }
    let program = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    return (bundle ?? program).deletingLastPathComponent().appending(path: name)
  }

  /// Starts the program and waits until it serves.
  init(_ arguments: String...) async throws {
    let process = Process()
    process.executableURL = Self.program("foretoken")
    process.arguments =
      ["serve", "--model", "smollm2-135m", "--port", "0", "--context", "4096"] + arguments
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    try? pipe.fileHandleForWriting.close()
    parts = Parts(process: process)
    let handle = pipe.fileHandleForReading
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let lines = LineReader(handle)
    let (sink, sinkContinuation) = AsyncStream.makeStream(of: String?.self)
    Thread.detachNewThread {
      while let line = lines.next() {
        if line.hasPrefix("serving "), let port = Int(line.split(separator: ":").last ?? "") {
          continuation.yield(port)
        }
        sinkContinuation.yield(line)
      }
      continuation.finish()
      sinkContinuation.yield(nil)
      sinkContinuation.finish()
    }
    guard let port = await ports.first(where: { _ in true }) else {
      throw Socket.Failure(description: "the program ended before it served")
    }
    self.port = port
    Task { [weak self] in
      for await line in sink {
        self?.log.withLock { log in
          if let line { log.text += line + "\n" } else { log.isOver = true }
        }
      }
    }
    DispatchQueue.global().asyncAfter(deadline: .now() + 300) { [parts] in
      if parts.process.isRunning { kill(parts.process.processIdentifier, SIGKILL) }
    }
  }

  deinit { if parts.process.isRunning { kill(parts.process.processIdentifier, SIGKILL) } }

  var url: String { "http://127.0.0.1:\(port)" }

  func send(_ signal: Int32) { kill(parts.process.processIdentifier, signal) }

  /// Waits until the log has a line with `text`; false after a minute, or at its end.
  func waitForLog(_ text: String) async throws -> Bool {
    for _ in 0..<6000 {
      let (found, isOver) = log.withLock { ($0.text.contains(text), $0.isOver) }
      if found { return true }
      if isOver { return false }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  /// What the log holds so far.
  var logText: String { log.withLock { $0.text } }

  /// Waits for the end, and returns the exit status; nil if a signal ended the process.
  func finish() async throws -> Int32? {
    try await onThread { [parts] in
      parts.process.waitUntilExit()
      return parts.process.terminationReason == .exit ? parts.process.terminationStatus : nil
    }
  }

  /// Runs a program to its end.
  static func run(
    _ program: URL, _ arguments: [String], environment: [String: String] = [:]
  ) async throws -> (status: Int32, output: String) {
    try await onThread {
      let process = Process()
      process.executableURL = program
      process.arguments = arguments
      process.currentDirectoryURL = folder
      process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
      let pipe = Pipe()
      process.standardOutput = pipe
      process.standardError = pipe
      process.standardInput = FileHandle.nullDevice
      try process.run()
      try? pipe.fileHandleForWriting.close()
      let data = pipe.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
  }
}

/// The lines of a pipe.
///
/// `@unchecked Sendable`: one thread reads.
private final class LineReader: @unchecked Sendable {
  private let handle: FileHandle
  private var buffer = Data()

  init(_ handle: FileHandle) { self.handle = handle }

  func next() -> String? {
    while true {
      if let end = buffer.firstIndex(of: 0x0A) {
        let line = String(decoding: buffer[buffer.startIndex..<end], as: UTF8.self)
        buffer = Data(buffer[(end + 1)...])
        return line
      }
      let more = handle.availableData
      if more.isEmpty { return nil }
      buffer += more
    }
  }
}
