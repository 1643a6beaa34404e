/// Qwen 2 and 2.5 (arXiv 2407.10671, 2412.15115): the Llama block with biases on queries, keys and
/// values, and rotary positions on pairs half a head apart.
enum Qwen2 {
  static func appendLayer(_ layer: Int, to plan: inout PlanBuilder) {
    let weights = plan.layers[layer]
    plan.beginLayer(layer)
    plan.norm(weights.attentionNorm, for: weights.projections)  // [rows, hidden]
    plan.queryKeyValue(weights)  // with biases
    plan.storeKeysValues()
    if plan.runsAttention(layer) {
      plan.attention()  // [rows, heads * headDimension]
      plan.projectAndAdd(weights.attentionOutput, bias: nil, from: .attention)
    }
    if plan.runsFeedForward(layer) {
      plan.norm(weights.feedForwardNorm, for: [weights.gate, weights.up])
      plan.gatedFeedForward(weights, activation: .silu)  // [rows, feedForward]
      plan.projectAndAdd(weights.down, bias: nil, from: .feedForward)
    }
    plan.endLayer(layer)
  }
}
