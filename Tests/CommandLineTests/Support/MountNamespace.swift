import Foundation

/// A place where a test may mount a small file system that nobody else sees.
enum MountNamespace {
  static let command = URL(filePath: "/usr/bin/env")
  /// As the superuser of a namespace of its own where we are not the superuser anyway.
  static let arguments = ["unshare"] + (geteuid() == 0 ? ["-m"] : ["-r", "-m"])

  /// Whether this system lets us make one.
  static let isAvailable: Bool = {
    let process = Process()
    process.executableURL = command
    process.arguments = arguments + ["mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()
}
