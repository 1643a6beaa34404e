import Foundation

/// A terminal without a screen. Python, which `pull` needs anyway, makes it.
enum PseudoTerminal {
  private static let script = """
    import os, pty, sys
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
    """

  /// Runs the program with its standard streams on a terminal; `output` of the outcome is what it
  /// wrote there.
  static func run(
    _ arguments: String..., environment: [String: String?] = [:]
  ) async throws -> ForetokenProcess.Outcome {
    let program = ForetokenProcess.executable.path(percentEncoded: false)
    return try await ForetokenProcess(
      ["python3", "-c", script, program] + arguments,
      environment: environment.merging(["TERM": "xterm"]) { own, _ in own },
      command: URL(filePath: "/usr/bin/env")
    ).finish()
  }
}
