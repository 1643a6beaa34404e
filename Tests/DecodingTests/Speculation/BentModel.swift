import Foretoken
import Foundation
import TestSupport

/// A copy of a model's file in which some layers are out of tune: a draft model of the same
/// vocabulary that is right often, and wrong often enough.
struct BentModel {
  /// Where the copy is; it goes with its folder.
  let path: String
  private let folder = try? TemporaryFolder()

  /// - Parameters:
  ///   - url: the model.
  ///   - factor: what the norms before every third layer's feed-forward part are multiplied by.
  init(_ url: URL, factor: Float = 0.85) throws {
    guard let folder else { throw CocoaError(.fileWriteUnknown) }
    let copy = folder.url.appending(path: "bent.gguf")
    try FileManager.default.copyItem(at: url, to: copy)
    path = copy.path(percentEncoded: false)
    let file = try GGUFFile(path: url.path(percentEncoded: false))
    let handle = try FileHandle(forUpdating: copy)
    defer { try? handle.close() }
    for layer in stride(from: 0, to: 999, by: 3) {
      guard let tensor = file.tensor(ifPresent: "blk.\(layer).ffn_norm.weight") else { break }
      let values = try file.dequantize(tensor).map { $0 * factor }
      try handle.seek(toOffset: UInt64(tensor.offset))
      try handle.write(contentsOf: values.withUnsafeBytes { Data($0) })
    }
  }
}
