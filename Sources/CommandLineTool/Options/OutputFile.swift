import Foundation

/// A text file that a command writes at its end.
struct OutputFile {
  private let path: String
  private let url: URL

  /// Finds out at once whether the file's folder is there: measurements may take minutes.
  /// - Throws: `InputError`.
  init(_ path: String) throws {
    self.path = path
    url = URL(filePath: (path as NSString).expandingTildeInPath)
    let folder = url.deletingLastPathComponent().path(percentEncoded: false)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue
    else { throw InputError(path, "cannot be written: there is no folder \(folder)") }
  }

  /// Replaces the file's contents.
  /// - Throws: `InputError`.
  func write(_ text: String) throws {
    do {
      try Data(text.utf8).write(to: url, options: .atomic)
    } catch {
      throw InputError(path, "cannot be written: \(error.localizedDescription)")
    }
  }
}
