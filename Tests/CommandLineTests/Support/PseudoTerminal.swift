import Foundation

/// A terminal without a screen. Python, which `pull` needs anyway, makes it.
enum PseudoTerminal {
  private static let script = """
    import fcntl, os, pty, struct, sys, termios
    size = struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0)
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execvp(sys.argv[2], sys.argv[2:])
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        sys.stdout.buffer.write(data)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """

  /// Runs the program with its standard streams on a terminal; `output` of the outcome is what it
  /// wrote there.
  static func run(
    _ arguments: String..., environment: [String: String?] = [:]
  ) async throws -> ForetokenProcess.Outcome {
    try await run(arguments, environment: environment)
  }

  /// - Parameter columns: width of the terminal.
  static func run(
    _ arguments: [String], columns: Int = 80, environment: [String: String?] = [:]
  ) async throws -> ForetokenProcess.Outcome {
    let program = ForetokenProcess.executable.path(percentEncoded: false)
    return try await ForetokenProcess(
      ["python3", "-c", script, "\(columns)", program] + arguments,
      environment: environment.merging(["TERM": "xterm"]) { own, _ in own },
      command: URL(filePath: "/usr/bin/env")
    ).finish()
  }
}
