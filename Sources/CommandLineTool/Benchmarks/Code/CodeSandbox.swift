import Foundation

/// Runs Python programs that a model wrote, each in a process of its own with limits.
///
/// The limits are the system's: processor time, address space, size of files written, open files, no
/// core dumps; a clock beside them. The process sees an empty folder, no environment but `PATH`, and
/// no input. The network is not cut off: run what you would run on this machine.
struct CodeSandbox: Sendable {
  /// How a program ended.
  enum Outcome: String, Sendable {
    /// It ran to its end.
    case passed
    /// It raised an error or exited with another status.
    case failed
    /// It took longer than allowed, or was killed by one of the limits.
    case killed
  }

  /// Seconds of processor time.
  var processorSeconds = 10
  /// Seconds on the clock.
  var clockSeconds = 20.0
  /// Bytes of address space.
  var memoryBytes = 1 << 30
  /// Bytes of a file that is written.
  var fileBytes = 1 << 20
  /// The interpreter, found in `PATH`.
  var python = "python3"

  private static let limitsFailed: Int32 = 97

  /// Runs a program. Blocks the calling thread, so call it from one of your own.
  /// - Throws: `InputError` if the interpreter or the limits are not to be had.
  func run(_ program: String) throws -> Outcome {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "foretoken-code-\(UUID().uuidString)", directoryHint: .isDirectory)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(program.utf8).write(to: folder.appending(path: "program.py"))
    let process = process(in: folder)
    let isOver = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in isOver.signal() }
    do {
      try process.run()
    } catch {
      throw InputError(python, "cannot be run: \(error.localizedDescription)")
    }
    let identifier = process.processIdentifier
    let isLate = isOver.wait(timeout: .now() + clockSeconds) == .timedOut
    if isLate {
      kill(identifier, SIGKILL)
      isOver.wait()
    }
    // What the program may have left behind in its group.
    kill(-identifier, SIGKILL)
    return try outcome(of: process, isLate: isLate)
  }

  private func outcome(of process: Process, isLate: Bool) throws -> Outcome {
    if isLate || process.terminationReason == .uncaughtSignal { return .killed }
    switch process.terminationStatus {
    case 0: return .passed
    case Self.limitsFailed:
      throw InputError("limits", "of a process cannot be set on this system with ulimit")
    case 126, 127: throw InputError(python, "cannot be run; install it or put it into PATH")
    default: return .failed
    }
  }

  private func process(in folder: URL) -> Process {
    let limits = [
      "-c 0", "-t \(processorSeconds)", "-v \(memoryBytes >> 10)", "-f \(fileBytes >> 9)", "-n 64",
    ]
    let script =
      limits.map { "ulimit \($0) || exit \(Self.limitsFailed)" }.joined(separator: "\n")
      + "\nexec \"$0\" -I program.py"
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", script, python]
    process.currentDirectoryURL = folder
    process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    return process
  }
}
