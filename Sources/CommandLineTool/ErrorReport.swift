import ArgumentParser
import Foundation
import Foretoken

/// A mistake in the command line that only the command itself can see.
struct UsageError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// What the user is told about an error, and the status that the process ends with.
struct ErrorReport {
  /// The status for the shell.
  let status: Int32
  private let message: String?

  /// Sorts an error that `command` has thrown.
  init(_ error: any Error, command: any ParsableCommand.Type) {
    switch error {
    case OutputError.closed:
      // Somebody piped us into `head`: they have what they wanted.
      (status, message) = (ExitStatus.done, nil)
    case is Interrupted, is CancellationError:
      (status, message) = (ExitStatus.interrupted, nil)
    case let code as ExitCode:
      (status, message) = (code.rawValue, nil)
    case is UsageError, is MethodError, is DraftModelError, SamplingError.invalidOption,
      GenerationError.invalidOption:
      let help = "foretoken \(command._commandName) --help"
      (status, message) = (ExitStatus.usage, "\(error)\n  See '\(help)' for more information.")
    default:
      (status, message) = (ExitStatus.failed, Self.text(error))
    }
  }

  /// The word before every message.
  static var prefix: String { TextStream.error.styled("error: ", .red, .bold) }

  /// Writes the message, if there is one, and returns the status.
  func show() -> Int32 {
    if let message { try? TextStream.error.writeLine(Self.prefix + message) }
    return status
  }

  /// Errors of Foundation say more in their localized text than in their own.
  private static func text(_ error: any Error) -> String {
    type(of: error) is NSError.Type || error is CocoaError
      ? error.localizedDescription : "\(error)"
  }
}
