/// A model file that cannot be run as it is.
public struct ModelError: Error, CustomStringConvertible, Sendable {
  /// The file.
  public let file: String
  /// What was found, what was expected, what to do.
  public let message: String

  init(_ file: String, _ message: String) {
    self.file = file
    self.message = message
  }

  /// File and message in one line.
  public var description: String { "\(file): \(message)" }
}
