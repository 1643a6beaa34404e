import Foundation

/// A terminal without a screen.
enum PseudoTerminal {
  struct Unavailable: Error {}

  /// What the program writes to its standard output when that is a terminal.
  static func output(
    of arguments: [String], environment: [String: String?] = [:]
  ) async throws -> Data {
    let controller = posix_openpt(O_RDWR | O_NOCTTY)
    guard controller >= 0, grantpt(controller) == 0, unlockpt(controller) == 0,
      let name = ptsname(controller),
      let terminal = FileHandle(forUpdatingAtPath: String(cString: name))
    else { throw Unavailable() }
    defer { close(controller) }
    let variables = environment.merging(["TERM": "xterm"]) { own, _ in own }
    let process = try ForetokenProcess(
      arguments, environment: variables, output: .handle(terminal))
    try terminal.close()
    // Reading ends when the program has closed the other end.
    let data = await onThread { readAll(controller) }
    _ = try await process.finish(isOutputOpen: false)
    return data
  }

  private static func readAll(_ descriptor: Int32) -> Data {
    var data = Data()
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(descriptor, &block, block.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return data }
      data += block[..<count]
    }
  }
}
