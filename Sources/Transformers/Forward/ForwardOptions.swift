/// Layer control and read-outs of a forward pass. The default runs everything and taps nothing.
///
/// Each distinct value is compiled once into a plan, so reuse values between passes.
public struct ForwardOptions: Hashable, Sendable {
  /// Layers to run; nil for all. A range that starts above 0 takes hidden states as its input
  /// (`ForwardBatch.append(embeddings:…)` or `resume`), one that ends early gives the logits of an
  /// early exit (final norm and head on what the last layer left).
  public var layers: Range<Int>?
  /// What to read out, for all rows, in this order.
  public var taps: [Tap]
  /// Halves of layers that no row runs. (Single rows: `ForwardBatch.rowSkips`.)
  public var skips: LayerSkips

  /// Runs all layers, with the given read-outs and skips.
  public init(layers: Range<Int>? = nil, taps: [Tap] = [], skips: LayerSkips = .init()) {
    self.layers = layers
    self.taps = taps
    self.skips = skips
  }

  /// Everything runs, nothing is tapped.
  public static let plain = ForwardOptions()

  /// A place to read hidden states from: rows of [hiddenSize].
  public enum Tap: Hashable, Sendable {
    /// The input of the first layer that runs.
    case embedding
    /// The residual stream after a layer.
    case hiddenState(afterLayer: Int)
    /// What attention adds to the residual stream (before the post-norm where there is one).
    case attentionOutput(layer: Int)
    /// What the feed-forward half adds to the residual stream (before the post-norm).
    case feedForwardOutput(layer: Int)
    /// The final norm's output: what the head multiplies.
    case finalNorm

    var layer: Int? {
      switch self {
      case .embedding, .finalNorm: nil
      case .hiddenState(let layer), .attentionOutput(let layer), .feedForwardOutput(let layer):
        layer
      }
    }
  }

  /// Halves of layers to leave out. Keys and values are still computed and stored, so that later
  /// tokens may run the layer.
  public struct LayerSkips: Hashable, Sendable {
    /// Layers without attention.
    public var attention: Set<Int>
    /// Layers without feed-forward.
    public var feedForward: Set<Int>

    /// Skips the given halves.
    public init(attention: Set<Int> = [], feedForward: Set<Int> = []) {
      self.attention = attention
      self.feedForward = feedForward
    }
  }

  func check(layerCount: Int) throws(ForwardError) {
    let range = layers ?? 0..<layerCount
    guard range.lowerBound >= 0, range.upperBound <= layerCount, !range.isEmpty else {
      throw .badLayers(range, layerCount: layerCount)
    }
    let named = taps.compactMap(\.layer) + skips.attention + skips.feedForward
    for layer in named where !range.contains(layer) {
      throw .badLayers(layer..<layer + 1, layerCount: layerCount)
    }
  }
}
