import Foundation

/// What a user means by a model's name.
enum ModelReference {
  case catalogue(CatalogueModel)
  case hub(HubID)
  case file(URL)

  private static let hubPrefix = "hf:"
  private static let filePrefix = "file:"

  init(_ reference: String, store: ModelStore) throws {
    guard !reference.isEmpty, !reference.utf8.contains(0) else {
      throw StoreError.invalidReference(reference, reason: "it is empty or holds a NUL character")
    }
    if reference.hasPrefix(Self.hubPrefix) {
      self = .hub(try HubID(reference))
    } else if reference.hasPrefix(Self.filePrefix) {
      self = .file(try Self.fileURL(reference))
    } else if let model = store.catalogue.first(where: { $0.alias == reference.lowercased() }) {
      self = .catalogue(model)
    } else if FileManager.default.fileExists(atPath: Self.expanded(reference)) {
      self = .file(URL(filePath: Self.expanded(reference)))
    } else {
      throw Self.unknown(reference, store: store)
    }
  }

  private static func expanded(_ path: String) -> String {
    (path as NSString).expandingTildeInPath
  }

  /// `file:///absolute/path`, with percent escapes, or `file:path`, taken literally.
  private static func fileURL(_ reference: String) throws -> URL {
    let path = String(reference.dropFirst(filePrefix.count))
    guard path.hasPrefix("//") else { return URL(filePath: expanded(path)) }
    guard let url = URL(string: reference), url.isFileURL, url.host() ?? "" == "" else {
      throw StoreError.invalidReference(reference, reason: "it is not a file URL of this machine")
    }
    return url
  }

  private static func unknown(_ reference: String, store: ModelStore) -> StoreError {
    let looksLikePath = reference.contains("/") || reference.hasSuffix(".gguf")
    if looksLikePath {
      return .inaccessible(path: reference, detail: "there is no such file or folder")
    }
    let aliases = store.catalogue.map(\.alias)
    let name = reference.lowercased()
    let near = aliases.map { (alias: $0, distance: distances(name, $0)) }
      .filter { alias, distance in
        distance.whole <= max(2, alias.count / 3)
          || (distance.beginning <= name.count / 3 && alias.first == name.first)
      }
      .sorted { $0.distance.whole < $1.distance.whole }
    return .unknownModel(
      reference, suggestions: near.prefix(2).map(\.alias), aliases: aliases)
  }

  /// Levenshtein distances, the fewest insertions, deletions and replacements of bytes: from `left`
  /// to the whole of `right`, and to the nearest beginning of it (`gema` is one from `gemma3-270m`).
  private static func distances(_ left: String, _ right: String) -> (whole: Int, beginning: Int) {
    let left = Array(left.utf8.prefix(100))
    let right = Array(right.utf8)
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in right.enumerated() {
        let replaced = diagonal + (a == b ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
      }
    }
    return (row[right.count], row.min() ?? row[right.count])
  }
}
