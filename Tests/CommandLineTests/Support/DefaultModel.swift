import Checkpoints
import Foundation
import TestSupport

/// The default model's file, and damaged likenesses of it.
enum DefaultModel {
  static let alias = Catalogue.defaultAlias

  /// The file, fetched first if need be.
  static func url() async throws -> URL { try await TestModels.path(alias) }

  /// Bytes before the first tensor: header, metadata and the list of tensors.
  static func header() async throws -> Data {
    let file = try GGUFFile(path: try await url().path(percentEncoded: false))
    let handle = try FileHandle(forReadingFrom: try await url())
    defer { try? handle.close() }
    return try handle.read(upToCount: file.dataOffset) ?? Data()
  }

  /// A file of the right size and header whose weights are all zero; takes no room on the disk.
  static func hollow(at url: URL) async throws {
    try await header().write(to: url)
    let attributes = try FileManager.default.attributesOfItem(
      atPath: try await Self.url().path(percentEncoded: false))
    let size = (attributes[.size] as? NSNumber)?.uint64Value ?? 0
    let handle = try FileHandle(forWritingTo: url)
    try handle.truncate(atOffset: size)
    try handle.close()
  }
}
