@testable import Autograd

/// Every differentiable operation, as a function of its inputs, and shapes that it takes. The first
/// ones are those of the table that jax made.
enum Operations {
  struct Case: Sendable {
    let name: String
    let shapes: [[Int]]
    let function: @Sendable ([Tensor]) -> Tensor
    /// Further shapes for the comparison with finite differences.
    var more: [[[Int]]] = []
  }

  static let targets: [Int32] = [1, -1, 4, 0]
  static let treeMask = AttentionMask.tree(parents: [-1, 0, 0, 1], prefix: 2)

  /// Those of the table.
  static let golden: [Case] = [
    Case(
      name: "add", shapes: [[2, 3, 4], [3, 1]], function: { $0[0] + $0[1] },
      more: [[[], [3]], [[1, 2], [2, 1]], [[0, 2], [2]], [[2, 3], [2, 3]]]),
    Case(
      name: "subtract", shapes: [[3, 1], [2, 1, 4]], function: { $0[0] - $0[1] },
      more: [[[5], []]]),
    Case(
      name: "multiply", shapes: [[2, 3, 4], [4]], function: { $0[0] * $0[1] },
      more: [[[2, 1, 3], [4, 1]], [[1], [2, 2]]]),
    Case(
      name: "divide", shapes: [[3, 4], [3, 4]],
      function: { $0[0] / ($0[1] * $0[1] + 1) }, more: [[[2, 3], [2, 1]]]),
    Case(name: "exp", shapes: [[7]], function: { $0[0].exp() }),
    Case(name: "log", shapes: [[7]], function: { ($0[0].squared() + 0.5).log() }),
    Case(name: "tanh", shapes: [[7]], function: { $0[0].tanh() }),
    Case(name: "sigmoid", shapes: [[7]], function: { $0[0].sigmoid() }),
    Case(name: "silu", shapes: [[7]], function: { $0[0].silu() }),
    Case(name: "gelu", shapes: [[7]], function: { $0[0].gelu() }),
    Case(name: "geluTanh", shapes: [[7]], function: { $0[0].geluTanh() }),
    Case(name: "relu", shapes: [[7]], function: { $0[0].relu() }),
    Case(name: "sum", shapes: [[2, 3, 4]], function: { $0[0].sum([1]) }, more: [[[2, 1, 1]]]),
    Case(name: "mean", shapes: [[2, 3, 4]], function: { $0[0].mean([0, -1]) }),
    Case(name: "max", shapes: [[2, 3, 4]], function: { $0[0].max(1) }, more: [[[2, 1, 3]]]),
    Case(
      name: "softmax", shapes: [[3, 5]], function: { ($0[0] * 3).softmax() },
      more: [[[2, 1]], [[17]], [[2, 2, 9]]]),
    Case(
      name: "logSoftmax", shapes: [[3, 5]], function: { ($0[0] * 3).logSoftmax() },
      more: [[[2, 1]], [[2, 19]]]),
    Case(name: "crossEntropy", shapes: [[4, 5]], function: { $0[0].crossEntropy(targets) }),
    Case(
      name: "softCrossEntropy", shapes: [[4, 5]],
      function: { $0[0].crossEntropy(distributions: sineDistribution) }),
    Case(
      name: "matmul", shapes: [[2, 3, 4], [2, 4, 5]], function: { $0[0].matmul($0[1]) },
      more: [[[1, 1], [1, 1]], [[3, 2, 4], [4, 2]], [[2, 2, 3, 1], [2, 2, 1, 4]]]),
    Case(
      name: "matmulTransposed", shapes: [[2, 3, 4], [5, 4]],
      function: { $0[0].matmul($0[1], transposed: true) }, more: [[[2, 3, 4], [2, 5, 4]]]),
    Case(name: "embedding", shapes: [[4, 3]], function: { $0[0].gathered([1, 3, 1]) }),
    Case(
      name: "rmsNorm", shapes: [[3, 6], [6]], function: { $0[0].rmsNorm($0[1]) },
      more: [[[2, 2, 17], [17]], [[4, 1], [1]]]),
    Case(
      name: "layerNorm", shapes: [[3, 6], [6], [6]],
      function: { $0[0].layerNorm($0[1], $0[2]) }, more: [[[2, 2, 9], [9], [9]]]),
    Case(name: "rope", shapes: [[2, 3, 4]], function: { $0[0].rotated([0, 1, 2]) }),
    Case(
      name: "causalAttention", shapes: [[2, 2, 4, 3], [2, 1, 4, 3], [2, 1, 4, 3]],
      function: { Tensor.attention($0[0], $0[1], $0[2]) },
      more: [
        [[1, 1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 2]], [[1, 4, 2, 2], [1, 2, 5, 2], [1, 2, 5, 3]],
      ]),
    Case(
      name: "bidirectionalAttention", shapes: [[1, 2, 2, 3], [1, 2, 5, 3], [1, 2, 5, 3]],
      function: { Tensor.attention($0[0], $0[1], $0[2], mask: .bidirectional) }),
    Case(
      name: "treeAttention", shapes: [[1, 2, 4, 3], [1, 2, 6, 3], [1, 2, 6, 3]],
      function: { Tensor.attention($0[0], $0[1], $0[2], mask: treeMask) }),
    Case(
      name: "conv2d", shapes: [[2, 2, 5, 6], [3, 2, 3, 2], [3]],
      function: {
        $0[0].convolved2D($0[1], bias: $0[2], stride: (2, 1), padding: (1, 0), dilation: (1, 2))
      }),
    Case(
      name: "conv1d", shapes: [[2, 2, 7], [3, 2, 3], [3]],
      function: { $0[0].convolved1D($0[1], bias: $0[2], stride: 2, padding: 2) },
      more: [[[1, 1, 1], [1, 1, 1], [1]]]),
    Case(
      name: "gru", shapes: [[2, 3], [2, 4], [12, 3], [12], [12, 4], [12]],
      function: {
        GRUCell(
          input: Linear(weight: $0[2], bias: $0[3]), state: Linear(weight: $0[4], bias: $0[5]))(
            $0[0], $0[1])
      }),
    Case(name: "gather", shapes: [[2, 3, 2]], function: { $0[0].gathered(1, [2, 0, 2]) }),
    Case(
      name: "scatter", shapes: [[2, 3, 2]],
      function: { $0[0].scattered(1, [3, 1, 3], size: 4) }),
    Case(name: "picked", shapes: [[3, 5]], function: { $0[0].picked([0, 4, 2]) }),
    Case(
      name: "concat", shapes: [[2, 3, 2], [2, 1, 2]],
      function: { Tensor.concatenated([$0[0], $0[1]], 1) },
      more: [[[0, 2], [0, 3]], [[1, 0, 2], [1, 2, 2]]]),
    Case(
      name: "slice", shapes: [[2, 4, 2]], function: { $0[0].sliced(1, 1..<3) }, more: [[[1, 3, 1]]]),
    Case(name: "permute", shapes: [[2, 3, 4]], function: { $0[0].permuted([2, 0, 1]) }),
  ]

  /// Those that the table does not have.
  static let further: [Case] = [
    Case(name: "square root", shapes: [[5]], function: { ($0[0].squared() + 0.3).squareRoot() }),
    Case(
      name: "numbers", shapes: [[5]], function: { (1 - ($0[0] + 2) * 3) / 4 }),
    Case(
      name: "reshape", shapes: [[2, 6]],
      function: { $0[0].reshaped([3, -1]) * $0[0].reshaped([3, 4]) }),
    Case(name: "broadcast", shapes: [[3, 1]], function: { $0[0].broadcast(to: [2, 3, 4]) }),
    Case(
      name: "product of transposes", shapes: [[2, 4, 3], [2, 5, 4]],
      function: { $0[0].matmul($0[1], transposed: true, transposesSelf: true) }),
    Case(
      name: "product of a transpose", shapes: [[2, 4, 3], [4, 5]],
      function: { $0[0].matmul($0[1], transposesSelf: true) }),
    Case(name: "sum of all", shapes: [[2, 3]], function: { $0[0].sum() }),
    Case(
      name: "divergence", shapes: [[4, 5]], function: { $0[0].divergence(from: sineDistribution) }),
    Case(
      name: "weighted cross-entropy", shapes: [[4, 5]],
      function: { $0[0].crossEntropy(targets, weights: [1, 2, 0.5, 3]) * 2 }),
    Case(
      name: "mean squared error", shapes: [[3, 2]],
      function: { $0[0].meanSquaredError(.filled(0.25, [3, 2])) }),
    Case(
      name: "neighbouring pairs", shapes: [[2, 3, 6]],
      function: { $0[0].rotated([4, 0, 9], base: 100, pairs: .neighbours) }),
    Case(
      name: "masked attention", shapes: [[1, 1, 2, 2], [1, 1, 3, 2], [1, 1, 3, 2]],
      function: {
        let mask = AttentionMask.matrix([true, false, true, false, false, false])
        return Tensor.attention($0[0], $0[1], $0[2], mask: mask, scale: 0.7)
      }),
    Case(
      name: "dropout", shapes: [[4, 9]],
      function: { $0[0].dropout(0.4, seed: 3, layer: 1, step: 7) }),
    Case(
      name: "gumbel softmax", shapes: [[3, 4]],
      function: { $0[0].gumbelSoftmax(temperature: 0.7, seed: 5, step: 2) }),
    Case(
      name: "checkpointed", shapes: [[3, 4], [4, 4]],
      function: { inputs in
        Tensor.checkpointed([inputs[0], inputs[1]]) { ($0[0].matmul($0[1]).tanh()) * $0[0] }
          * inputs[0]
      }),
    Case(
      name: "value used many times", shapes: [[3]],
      function: { $0[0] * $0[0] * $0[0] + $0[0].tanh() * $0[0] }),
  ]

  /// softmax(sin 0, sin 1, …) in rows of 5.
  static var sineDistribution: Tensor {
    Tensor((0..<20).map { Float(sine(Double($0))) }, shape: [4, 5]).softmax()
  }
}
