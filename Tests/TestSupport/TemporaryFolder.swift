import Foundation

/// A folder of its own for one test; it disappears with this object.
public final class TemporaryFolder: Sendable {
  /// The folder.
  public let url: URL

  /// Makes the folder below the system's temporary folder.
  public init() throws {
    url = FileManager.default.temporaryDirectory
      .appending(path: "foretoken-tests-\(UUID().uuidString)", directoryHint: .isDirectory)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// Path of `name` in the folder.
  public func path(_ name: String) -> String { url.appending(path: name).path }

  /// Writes `bytes` to `name`, making the folders on the way, and returns the path.
  @discardableResult
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file.path
  }
}
