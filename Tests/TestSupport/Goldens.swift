import Foundation

/// Files that other implementations wrote, for our output to be compared with.
public enum Goldens {
  /// The folder `Tests/Goldens` of this checkout.
  public static let directory = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Goldens", directoryHint: .isDirectory)

  /// Decodes `Tests/Goldens/<name>.json`.
  public static func load<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
    let data = try Data(contentsOf: directory.appending(path: "\(name).json"))
    return try JSONDecoder().decode(type, from: data)
  }
}
