#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension ModelConfiguration {
  /// Factor on token embeddings.
  var embeddingScale: Float {
    architecture == .gemma3 ? Float(hiddenSize).squareRoot() : 1
  }

  /// Factor on queries: 1/√headDimension, but for Gemma 3 27B (62 layers), which uses the width
  /// per head.
  var queryScale: Float {
    let wide = architecture == .gemma3 && layerCount == 62
    let width = wide ? hiddenSize / headCount : headDimension
    return 1 / Float(width).squareRoot()
  }

  /// Whether rotary pairs are neighbours (2i, 2i+1) rather than half a head apart.
  var ropeIsInterleaved: Bool { architecture == .llama }

  /// Tensors that the architecture cannot do without, beyond those every decoder has.
  func missingPart(of weights: LayerWeights) -> String? {
    guard architecture == .gemma3 else { return nil }
    if weights.queryNorm == nil { return "attn_q_norm.weight" }
    if weights.keyNorm == nil { return "attn_k_norm.weight" }
    if weights.postAttentionNorm == nil { return "post_attention_norm.weight" }
    if weights.postFeedForwardNorm == nil { return "post_ffw_norm.weight" }
    return nil
  }

  func appendLayer(_ layer: Int, to plan: inout PlanBuilder) {
    switch architecture {
    case .llama: Llama.appendLayer(layer, to: &plan)
    case .qwen2: Qwen2.appendLayer(layer, to: &plan)
    case .gemma3: Gemma3.appendLayer(layer, to: &plan)
    }
  }
}
