import Foundation

/// A model in the store, as `foretoken models` lists it.
public struct StoredModel: Sendable, Equatable {
  /// What to call it by: an alias, or `hf:owner/name/file`.
  public let reference: String
  /// What it is, in one line; empty if the catalogue does not know it.
  public let summary: String
  /// The file with the weights.
  public let url: URL
  /// Bytes of all its files.
  public let byteCount: Int
  /// Such as `Q4_K_M`, from the file; nil if the file is not a readable GGUF file.
  public let quantization: String?
  /// Licence as the catalogue or the file names it.
  public let license: String?
  /// Where it came from.
  public let origin: String
}

extension ModelStore {
  /// The complete models of the store: those with an alias first, then those of a hub, by name.
  public func list() -> [StoredModel] {
    catalogue.filter { isInstalled($0) }.map { stored($0) } + storedHubModels()
  }

  private func stored(_ model: CatalogueModel) -> StoredModel {
    let url = folder(of: model).appending(path: model.files.first?.name ?? "")
    return StoredModel(
      reference: model.alias, summary: model.summary, url: url, byteCount: model.byteCount,
      quantization: Quantization.of(url.path), license: model.license, origin: model.origin)
  }

  private func storedHubModels() -> [StoredModel] {
    let names =
      FileManager.default.enumerator(atPath: hubFolder.path)?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".gguf") }.sorted().compactMap { name in
      let path = hubFolder.appending(path: name).path
      guard let origin = HubOrigin.read(of: path), fileSize(path) == origin.byteCount else {
        return nil
      }
      let metadata = try? GGUFFile(path: path).metadata
      return StoredModel(
        reference: "hf:\(name)", summary: (try? metadata?.string(ifPresent: "general.name")) ?? "",
        url: URL(filePath: path), byteCount: origin.byteCount, quantization: Quantization.of(path),
        license: try? metadata?.string(ifPresent: "general.license"), origin: origin.source)
    }
  }
}

/// How a GGUF file's weights are stored.
public enum Quantization {
  /// Names of `general.file_type`.
  private static let names: [Int: String] = [
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0",
  ]

  /// What the file says of itself, or else the type that most of its bytes are stored as.
  public static func of(_ file: GGUFFile) -> String? {
    if let number = try? file.metadata.unsigned(ifPresent: "general.file_type"),
      let name = names[number]
    {
      return name
    }
    var bytes: [ElementType: Int] = [:]
    for tensor in file.tensors { bytes[tensor.type, default: 0] += tensor.range.count }
    return bytes.max { $0.value < $1.value }?.key.description
  }

  /// The same for the file at `path`; nil if it is not a readable GGUF file.
  static func of(_ path: String) -> String? {
    (try? GGUFFile(path: path)).flatMap { of($0) }
  }
}
