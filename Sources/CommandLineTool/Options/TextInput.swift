import ArgumentParser
import Foretoken
import Foundation

/// A text from the command line, a file or standard input.
enum TextInput {
  /// The words for standard input.
  static let standardInput = "-"

  /// What the user gave: the argument, then an empty line and the file's text if both are there.
  /// Standard input stands in if neither is, or where `-` is given.
  ///
  /// - Parameter what: the name of the argument, for errors.
  /// - Throws: `UsageError` if there is nothing to read; `InputError`.
  static func read(argument: String?, file: String?, what: String) throws -> String {
    switch (argument, file) {
    case (let argument?, let file?):
      return try expanded(argument) + "\n\n" + contents(file)
    case (let argument?, nil): return try expanded(argument)
    case (nil, let file?): return try contents(file)
    case (nil, nil):
      guard isatty(STDIN_FILENO) == 0 else {
        throw UsageError(
          "no \(what) is given: write it after the command, name a file with --file, or pipe it in")
      }
      return try contents(standardInput)
    }
  }

  private static func expanded(_ argument: String) throws -> String {
    argument == standardInput ? try contents(standardInput) : argument
  }

  /// The text of a file, one line break at its end left out.
  private static func contents(_ path: String) throws -> String {
    let name = path == standardInput ? "standard input" : path
    let data: Data
    do {
      data =
        path == standardInput
        ? try FileHandle.standardInput.readToEnd() ?? Data()
        : try Data(contentsOf: URL(filePath: (path as NSString).expandingTildeInPath))
    } catch {
      throw InputError(name, "cannot be read: \(reason(error))")
    }
    guard var text = String(validating: data, as: UTF8.self) else {
      throw InputError(name, "is not text in UTF-8; convert it first, for example with iconv")
    }
    if text.last?.isNewline == true { text.removeLast() }
    return text
  }

  private static func reason(_ error: any Error) -> String {
    let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    guard let underlying, underlying.domain == NSPOSIXErrorDomain else {
      return error.localizedDescription
    }
    return String(cString: strerror(Int32(underlying.code)))
  }
}

/// Why an input cannot be used.
struct InputError: Error, CustomStringConvertible {
  let description: String
  init(_ name: String, _ problem: String) { description = "\(name) \(problem)" }
}

/// Names of model files in a folder.
enum FileNames {
  static func gguf(in folder: String) -> [String] {
    let path = (folder as NSString).expandingTildeInPath
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.filter { $0.hasSuffix(".gguf") }.sorted()
  }
}
