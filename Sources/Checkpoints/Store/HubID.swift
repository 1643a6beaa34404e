import Foundation

/// `hf:owner/name[/file]`: a model of a hub, and a file in it.
struct HubID: Equatable {
  let owner: String
  let name: String
  /// Path inside the model; nil if the user leaves the choice to the hub's listing.
  let file: String?

  init(_ reference: String) throws {
    let parts = reference.dropFirst("hf:".count)
      .split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 2 else {
      throw StoreError.invalidReference(reference, reason: "expected hf:owner/name[/file]")
    }
    guard parts[..<2].allSatisfy(Self.isIdentifier) else {
      throw StoreError.invalidReference(
        reference, reason: "owner and name consist of letters, digits, '.', '-' and '_'")
    }
    owner = parts[0]
    name = parts[1]
    let path = parts[2...].joined(separator: "/")
    guard parts.count == 2 || Self.isSafePath(path) else {
      throw StoreError.invalidReference(
        reference, reason: "'\(path)' is not a path inside the model")
    }
    file = parts.count == 2 ? nil : path
  }

  private static func isIdentifier(_ text: String) -> Bool {
    isSafePath(text)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
          UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }

  /// True for a relative path that stays inside its folder, whoever wrote it: the user or a hub.
  static func isSafePath(_ path: String) -> Bool {
    guard !path.isEmpty, path.utf8.count <= 1024 else { return false }
    guard path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }) else {
      return false
    }
    return path.split(separator: "/", omittingEmptySubsequences: false)
      .allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 }
  }
}
