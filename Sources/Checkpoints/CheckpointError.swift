import Foundation

/// What is wrong with a model file, where, and what to do next.
public struct CheckpointError: Error, Sendable, Equatable {
  /// Class of the failure, for code that reacts to it.
  public enum Kind: Sendable, Equatable {
    /// The operating system refused to open, map or write the file.
    case inaccessible
    /// The file is not of the format it was opened as.
    case wrongFormat
    /// The format is right, but this version or element type is not supported.
    case unsupported
    /// The file ends before what it announces.
    case truncated
    /// A count, offset or value contradicts the format or the rest of the file.
    case malformed
    /// A tensor or metadata key that was asked for is not there.
    case missing
    /// A metadata key or tensor is there, but is not of the type that was asked for.
    case mismatched
  }

  /// Class of the failure.
  public let kind: Kind
  /// Path of the file.
  public let file: String
  /// Byte offset of the fault from the start of the file, if it has one.
  public let offset: Int?
  /// What was found and what was expected.
  public let message: String

  /// An error about `file`; `message` says what was found and what was expected.
  public init(_ kind: Kind, file: String, offset: Int? = nil, _ message: String) {
    self.kind = kind
    self.file = file
    self.offset = offset
    self.message = message
  }
}

extension CheckpointError: CustomStringConvertible, LocalizedError {
  /// File, byte offset if there is one, and message, in one line.
  public var description: String {
    guard let offset else { return "\(file): \(message)" }
    return "\(file): at byte \(offset): \(message)"
  }

  /// Same as `description`.
  public var errorDescription: String? { description }
}

/// The reason the operating system gives for the last failed call.
func systemErrorMessage(_ code: Int32 = errno) -> String {
  String(cString: strerror(code))
}
