/// Llama (arXiv 2302.13971) and its kin: pre-norm blocks, grouped-query attention with rotary
/// positions on neighbouring pairs, SiLU-gated feed-forward.
enum Llama {
  static func appendLayer(_ layer: Int, to plan: inout PlanBuilder) {
    let weights = plan.layers[layer]
    plan.beginLayer(layer)
    plan.norm(weights.attentionNorm, for: weights.projections)  // [rows, hidden]
    plan.queryKeyValue(weights)  // [rows, (heads + 2 kvHeads) * headDimension]
    plan.storeKeysValues()
    if plan.runsAttention(layer) {
      plan.attention()  // [rows, heads * headDimension]
      plan.projectAndAdd(
        weights.attentionOutput, bias: weights.attentionOutputBias, from: .attention)
    }
    if plan.runsFeedForward(layer) {
      plan.norm(weights.feedForwardNorm, for: [weights.gate, weights.up])
      plan.gatedFeedForward(weights, activation: .silu)  // [rows, feedForward]
      plan.projectAndAdd(weights.down, bias: nil, from: .feedForward)
    }
    plan.endLayer(layer)
  }
}
