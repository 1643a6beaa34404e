import Checkpoints
import CKernels

/// Shape and constants of a decoder, as its file states them.
public struct ModelConfiguration: Sendable, Equatable {
  /// GGUF name of the architecture: `llama`, `qwen2` or `gemma3`.
  public let architecture: Architecture
  /// Name that the file gives its model, if any.
  public let name: String?
  /// Transformer blocks.
  public let layerCount: Int
  /// Width of the residual stream.
  public let hiddenSize: Int
  /// Width of the feed-forward layer.
  public let feedForwardSize: Int
  /// Query heads.
  public let headCount: Int
  /// Key/value heads; each serves `headCount / keyValueHeadCount` query heads.
  public let keyValueHeadCount: Int
  /// Width of one head.
  public let headDimension: Int
  /// Rotated part of a head.
  public let ropeDimension: Int
  /// Tokens in the vocabulary.
  public let vocabularyCount: Int
  /// Longest context that the model was made for, in tokens.
  public let contextLength: Int
  /// Epsilon of RMSNorm.
  public let normEpsilon: Float
  /// Rotary positions of the global (or all) layers.
  public let rope: RopeConfiguration
  /// Rotary positions of the sliding-window layers.
  public let localRope: RopeConfiguration?
  /// Positions that a sliding-window layer sees, itself included.
  public let slidingWindow: Int?
  /// Every n-th layer is global, the others slide.
  public let slidingWindowPattern: Int

  /// The architectures that can be run.
  public enum Architecture: String, Sendable, CaseIterable {
    /// Llama, SmolLM, Mistral and others of that shape.
    case llama
    /// Qwen 2 and 2.5.
    case qwen2
    /// Gemma 3 (text).
    case gemma3
  }

  /// Whether layer `layer` sees only the last `slidingWindow` positions.
  public func slides(_ layer: Int) -> Bool {
    slidingWindow != nil && (layer + 1) % slidingWindowPattern != 0
  }

  /// Reads and checks the configuration.
  ///
  /// - Throws: `ModelError` or `CheckpointError` that names the metadata key, what was found and
  ///   what was expected.
  public init(_ file: GGUFFile) throws {
    let metadata = file.metadata
    let architectureName = try metadata.string("general.architecture")
    guard let architecture = Architecture(rawValue: architectureName) else {
      let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
      throw ModelError(
        file.path, "architecture '\(architectureName)' is not supported; supported are: \(known)")
    }
    let keys = ConfigurationReader(file: file, prefix: architectureName)
    self.architecture = architecture
    name = try metadata.string(ifPresent: "general.name")
    layerCount = try keys.count("block_count", in: 1...1024)
    hiddenSize = try keys.count("embedding_length", in: 8...65_536)
    feedForwardSize = try keys.count("feed_forward_length", in: 8...1_048_576)
    headCount = try keys.count("attention.head_count", in: 1...1024)
    keyValueHeadCount = try keys.count(
      "attention.head_count_kv", in: 1...1024, default: headCount)
    headDimension = try keys.count(
      "attention.key_length", in: 8...1024, default: hiddenSize / headCount)
    ropeDimension = try keys.count(
      "rope.dimension_count", in: 2...headDimension, default: headDimension)
    contextLength = try keys.count("context_length", in: 1...16_777_216)
    normEpsilon = try metadata.float("\(architectureName).attention.layer_norm_rms_epsilon")
    vocabularyCount = try file.tensor(named: "token_embd.weight").rows
    rope = try RopeConfiguration(keys, dimension: ropeDimension, context: contextLength)
    if architecture == .gemma3 {
      slidingWindow = try keys.count("attention.sliding_window", in: 1...16_777_216)
      slidingWindowPattern = try keys.count(
        "attention.sliding_window_pattern", in: 1...1024, default: 6)
      let base = try metadata.float(
        "\(architectureName).rope.freq_base_swa", default: 10_000)
      localRope = RopeConfiguration(dimension: ropeDimension, base: base)
    } else {
      slidingWindow = nil
      slidingWindowPattern = 1
      localRope = nil
    }
    try check(keys)
  }

  private func check(_ keys: ConfigurationReader) throws {
    if headCount % keyValueHeadCount != 0 {
      throw keys.error(
        "attention.head_count_kv", "\(keyValueHeadCount)", "a divisor of head_count \(headCount)")
    }
    if headDimension % 8 != 0 {
      throw keys.error("attention.key_length", "\(headDimension)", "a multiple of 8")
    }
    if ropeDimension % 2 != 0 {
      throw keys.error("rope.dimension_count", "\(ropeDimension)", "an even number")
    }
    let valueLength = try keys.count(
      "attention.value_length", in: 1...1024, default: headDimension)
    if valueLength != headDimension {
      throw keys.error(
        "attention.value_length", "\(valueLength)", "the same as key_length, \(headDimension)")
    }
    if !(normEpsilon > 0 && normEpsilon < 1) {
      throw keys.error("attention.layer_norm_rms_epsilon", "\(normEpsilon)", "between 0 and 1")
    }
  }
}

/// Reads `<architecture>.<key>` with bounds.
struct ConfigurationReader {
  let file: GGUFFile
  let prefix: String

  func error(_ key: String, _ found: String, _ expected: String) -> ModelError {
    ModelError(file.path, "metadata key '\(prefix).\(key)' is \(found), expected \(expected)")
  }

  func count(_ key: String, in bounds: ClosedRange<Int>, default fallback: Int? = nil) throws
    -> Int
  {
    let full = "\(prefix).\(key)"
    let stated = try file.metadata.unsigned(ifPresent: full)
    guard let value = try stated ?? fallback ?? file.metadata.unsigned(full) as Int? else {
      throw error(key, "missing", "a number in \(bounds)")
    }
    guard bounds.contains(value) else { throw error(key, "\(value)", "a number in \(bounds)") }
    return value
  }

  func positive(_ key: String) throws -> Double? {
    guard let value = try file.metadata.float(ifPresent: "\(prefix).\(key)") else { return nil }
    guard value > 0, value.isFinite else { throw error(key, "\(value)", "a positive number") }
    return Double(value)
  }

  func string(_ key: String) throws -> String? {
    try file.metadata.string(ifPresent: "\(prefix).\(key)")
  }

  func vector(_ tensor: String, count: Int) throws -> [Float]? {
    guard let found = file.tensor(ifPresent: tensor) else { return nil }
    guard found.count == count else {
      throw ModelError(
        file.path, "tensor '\(tensor)' has \(found.count) values, expected \(count)")
    }
    return try file.dequantize(found)
  }
}
