#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Rotary position embeddings (RoFormer, arXiv 2104.09864) with context extension.
///
/// The angle of pair `i` at position `p` is `p * frequencies[i]` radians; cosines and sines are
/// multiplied by `magnitude`.
public struct RopeConfiguration: Sendable, Equatable {
  /// Radians per position, `dimension / 2` of them.
  public let frequencies: [Float]
  /// Factor on cosines and sines; 1 but for YaRN.
  public let magnitude: Float

  /// Plain rotary positions.
  public init(dimension: Int, base: Float) {
    frequencies = Self.plain(dimension: dimension, base: Double(base)).map { Float($0) }
    magnitude = 1
  }

  private static func plain(dimension: Int, base: Double) -> [Double] {
    (0..<dimension / 2).map { pow(base, -2 * Double($0) / Double(dimension)) }
  }

  /// Reads the file's scaling: none, `linear` (position interpolation, arXiv 2306.15595), `yarn`
  /// (arXiv 2309.00071), or the per-pair divisors of the tensor `rope_freqs.weight` (Llama 3).
  init(_ keys: ConfigurationReader, dimension: Int, context: Int) throws {
    let base = try keys.positive("rope.freq_base") ?? 10_000
    var frequencies = Self.plain(dimension: dimension, base: base)
    var magnitude = 1.0
    let factor =
      try keys.positive("rope.scaling.factor") ?? keys.positive("rope.scale_linear") ?? 1
    let kind = try keys.string("rope.scaling.type") ?? (factor == 1 ? "none" : "linear")
    switch kind {
    case "none": break
    case "linear": frequencies = frequencies.map { $0 / factor }
    case "llama3": break
    case "yarn":
      let yarn = try Yarn(keys, factor: factor, dimension: dimension, base: base, context: context)
      frequencies = yarn.scaled(frequencies)
      magnitude = yarn.magnitude
    default:
      throw keys.error("rope.scaling.type", "'\(kind)'", "none, linear, llama3 or yarn")
    }
    if let divisors = try keys.vector("rope_freqs.weight", count: dimension / 2) {
      frequencies = zip(frequencies, divisors).map { $0 / Double($1) }
    }
    self.frequencies = frequencies.map { Float($0) }
    self.magnitude = Float(magnitude)
  }
}

/// YaRN (arXiv 2309.00071): pairs that turn often within the original context keep their speed,
/// slow ones are interpolated, those between are mixed.
struct Yarn {
  private let factor: Double
  private let low: Double
  private let high: Double
  let magnitude: Double

  init(
    _ keys: ConfigurationReader, factor: Double, dimension: Int, base: Double, context: Int
  ) throws {
    let original =
      try keys.positive("rope.scaling.original_context_length") ?? Double(context)
    let fast = try keys.positive("rope.scaling.yarn_beta_fast") ?? 32
    let slow = try keys.positive("rope.scaling.yarn_beta_slow") ?? 1
    self.init(
      factor: factor, dimension: dimension, base: base, original: original, fast: fast,
      slow: slow, attentionFactor: try keys.positive("rope.scaling.attn_factor") ?? 1)
  }

  init(
    factor: Double, dimension: Int, base: Double, original: Double, fast: Double, slow: Double,
    attentionFactor: Double
  ) {
    self.factor = factor
    // Pair that turns `rotations` times within the original context.
    func pair(_ rotations: Double) -> Double {
      Double(dimension) * log(original / (rotations * 2 * .pi)) / (2 * log(base))
    }
    low = max(0, pair(fast).rounded(.down))
    high = min(Double(dimension - 1), pair(slow).rounded(.up))
    magnitude = attentionFactor * (1 + 0.1 * log(factor))
  }

  func scaled(_ frequencies: [Double]) -> [Double] {
    frequencies.enumerated().map { index, frequency in
      let ramp = (Double(index) - low) / max(0.001, high - low)
      let keep = 1 - min(1, max(0, ramp))
      return frequency / factor * (1 - keep) + frequency * keep
    }
  }
}
