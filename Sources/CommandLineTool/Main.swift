import ArgumentParser
import Foundation

/// Entry point: parses, runs, and turns every outcome into an exit status and one clear message.
@main
enum Main {
  static func main() async {
    Interrupts.install()
    exit(await status(of: Array(CommandLine.arguments.dropFirst())))
  }

  private static func status(of arguments: [String]) async -> Int32 {
    var command: any ParsableCommand
    do {
      command = try ForetokenCommand.parseAsRoot(arguments)
    } catch {
      return finishParsing(error)
    }
    do {
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      return ExitStatus.done
    } catch {
      // Help is a command of its own, which throws what it has to say.
      return error is ExitCode || !isParsing(error)
        ? ErrorReport(error, command: type(of: command)).show() : finishParsing(error)
    }
  }

  /// Whether the error is one of the argument parser's own.
  private static func isParsing(_ error: any Error) -> Bool {
    let code = ForetokenCommand.exitCode(for: error)
    return code.isSuccess || code == .validationFailure
  }

  /// Help and completion scripts go to standard output, mistakes to standard error.
  private static func finishParsing(_ error: any Error) -> Int32 {
    let text = ForetokenCommand.fullMessage(for: error)
    do {
      if ForetokenCommand.exitCode(for: error).isSuccess {
        try TextStream.output.writeLine(text)
        return ExitStatus.done
      }
      let message = text.hasPrefix("Error: ") ? String(text.dropFirst("Error: ".count)) : text
      try TextStream.error.writeLine(ErrorReport.prefix + message)
      return ExitStatus.usage
    } catch {
      return ErrorReport(error, command: ForetokenCommand.self).show()
    }
  }
}

/// What the process ends with.
enum ExitStatus {
  static let done: Int32 = 0
  static let failed: Int32 = 1
  static let usage: Int32 = 2
  static let interrupted: Int32 = 130
}
