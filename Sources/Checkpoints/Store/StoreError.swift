import Foundation

/// Why a model cannot be found or fetched, and what to do next.
public enum StoreError: Error, Sendable, Equatable {
  /// No alias, file or hub id of this name; the nearest aliases and all of them.
  case unknownModel(String, suggestions: [String], aliases: [String])
  /// The reference is well formed, but the model is not in the store yet.
  case notPulled(String)
  /// The reference cannot be one: what is wrong with it.
  case invalidReference(String, reason: String)
  /// Several files could be meant.
  case ambiguous(String, choices: [String])
  /// A program that `pull` needs is not there.
  case missingTool(String, install: String)
  /// The index or hub cannot be reached. `destination` is where the model's files belong.
  case offline(String, destination: String, detail: String)
  /// The download failed for another reason.
  case downloadFailed(String, detail: String)
  /// Less space on the disk of `path` than the model still needs, in bytes.
  case diskFull(path: String, needed: Int, available: Int)
  /// The file's SHA-256 is not the expected one.
  case wrongChecksum(path: String, expected: String, found: String)
  /// The file's size in bytes is not the expected one.
  case wrongSize(path: String, expected: Int, found: Int)
  /// The hub answered with an error status.
  case hub(url: String, status: Int, advice: String)
  /// A system call on `path` failed.
  case inaccessible(path: String, detail: String)

  /// An error about the last failed system call on `path`.
  static func system(_ path: String, _ what: String, code: Int32 = errno) -> StoreError {
    .inaccessible(path: path, detail: "\(what): \(systemErrorMessage(code))")
  }
}

extension StoreError: CustomStringConvertible, LocalizedError {
  /// What happened and what to do next.
  public var description: String {
    switch self {
    case .unknownModel(let name, let suggestions, let aliases):
      let hint =
        suggestions.isEmpty ? "" : " Did you mean \(suggestions.joined(separator: " or "))?"
      return "there is no model '\(name)'.\(hint) Known aliases: "
        + "\(aliases.joined(separator: ", ")). A path to a .gguf file or hf:owner/name[/file] "
        + "works as well."
    case .notPulled(let name):
      return "the model '\(name)' is not on this machine yet; run: foretoken pull \(name)"
    case .invalidReference(let name, let reason):
      return "'\(name)' is not a model reference: \(reason)"
    case .ambiguous(let name, let choices):
      return "'\(name)' holds several models; name one of: \(choices.joined(separator: ", "))"
    case .missingTool(let tool, let install):
      return "\(tool) is needed to fetch this model and was not found; \(install)"
    case .offline(let name, let destination, let detail):
      return "the network cannot be reached (\(detail)). On a machine with network run "
        + "'foretoken pull \(name)', then copy what it stored to \(destination) on this machine"
    case .downloadFailed(let name, let detail):
      return "fetching '\(name)' failed: \(detail). What was fetched is kept; run "
        + "'foretoken pull \(name)' again to continue"
    case .diskFull(let path, let needed, let available):
      return "the disk of \(path) has \(ByteCount(available)) left, but \(ByteCount(needed)) are "
        + "needed; free some space or point FORETOKEN_HOME at another disk"
    case .wrongChecksum(let path, let expected, let found):
      return "\(path) is not the expected file: its SHA-256 is \(found), expected \(expected). "
        + "It was not used; delete it and pull the model again"
    case .wrongSize(let path, let expected, let found):
      return "\(path) has \(found) bytes, expected \(expected); delete it and pull the model again"
    case .hub(let url, let status, let advice):
      return "\(url) answered with status \(status): \(advice)"
    case .inaccessible(let path, let detail):
      return "\(path): \(detail)"
    }
  }

  /// Same as `description`.
  public var errorDescription: String? { description }
}

/// A number of bytes as a person reads it: `98.4 MB`.
public struct ByteCount: CustomStringConvertible, Sendable {
  private let count: Int

  /// - Parameter count: Bytes.
  public init(_ count: Int) {
    self.count = count
  }

  /// Decimal units (1 MB = 1,000,000 bytes), one digit after the point from 1 MB up.
  public var description: String {
    switch count {
    case 1_000_000_000...: String(format: "%.2f GB", Double(count) / 1e9)
    case 1_000_000...: String(format: "%.1f MB", Double(count) / 1e6)
    case 1_000...: String(format: "%.0f kB", Double(count) / 1e3)
    default: "\(count) B"
    }
  }
}
