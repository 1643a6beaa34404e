/// Gemma 3 (arXiv 2503.19786), text part: norms before and after each half of the block, normed
/// queries and keys, GELU-gated feed-forward, embeddings scaled by the root of the width, five
/// sliding-window layers with their own rotary base to one global layer.
enum Gemma3 {
  static func appendLayer(_ layer: Int, to plan: inout PlanBuilder) {
    let weights = plan.layers[layer]
    plan.beginLayer(layer)
    plan.norm(weights.attentionNorm, for: weights.projections)  // [rows, hidden]
    plan.queryKeyValue(weights)
    plan.storeKeysValues(queryNorm: weights.queryNorm, keyNorm: weights.keyNorm)
    if plan.runsAttention(layer) {
      plan.attention()  // [rows, heads * headDimension]
      plan.project(weights.attentionOutput, from: .attention)  // [rows, hidden]
      if let norm = weights.postAttentionNorm { plan.normAndAdd(norm, after: .attention) }
    }
    if plan.runsFeedForward(layer) {
      plan.norm(weights.feedForwardNorm, for: [weights.gate, weights.up])
      plan.gatedFeedForward(weights, activation: .gelu)  // [rows, feedForward]
      plan.project(weights.down, from: .feedForward)  // [rows, hidden]
      if let norm = weights.postFeedForwardNorm { plan.normAndAdd(norm, after: .feedForward) }
    }
    plan.endLayer(layer)
  }
}
