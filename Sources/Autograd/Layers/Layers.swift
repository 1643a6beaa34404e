import Foundation

/// cos(2π · turn).
func cosine(_ turn: Double) -> Double { Foundation.cos(2 * Double.pi * turn) }

/// y = x Wᵀ + b.
public struct Linear: Module {
  /// [outputs, inputs].
  public let weight: Tensor
  /// [outputs]; nil for none.
  public let bias: Tensor?

  /// A layer of given weights.
  public init(weight: Tensor, bias: Tensor? = nil) {
    self.weight = weight
    self.bias = bias
  }

  /// A layer of normal weights.
  ///
  /// - Parameter deviation: of the weights; nil for 1 / √inputs, 0 for zeros.
  public init(
    _ inputs: Int, _ outputs: Int, bias: Bool = false, deviation: Float? = nil,
    _ initializer: inout Initializer
  ) {
    weight = initializer.normal(
      [outputs, inputs], deviation: deviation ?? 1 / Float(inputs).squareRoot())
    self.bias = bias ? .zeros([outputs], requiresGradient: true) : nil
  }

  /// - Parameter x: [..., inputs].
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let product =
      x.rank == 1
      ? x.reshaped([1, x.count]).matmul(weight, transposed: true)
      : x.matmul(weight, transposed: true)
    let shaped = x.rank == 1 ? product.reshaped([weight.shape[0]]) : product
    return bias.map { shaped + $0 } ?? shaped
  }

  /// `weight`, `bias`.
  public var parameters: [Parameter] {
    [Parameter("weight", weight)] + (bias.map { [Parameter("bias", $0)] } ?? [])
  }
}

/// Rows of a table by number.
public struct Embedding: Module {
  /// [entries, size].
  public let table: Tensor

  /// A table of normal values.
  public init(
    _ entries: Int, _ size: Int, deviation: Float = 0.02, _ initializer: inout Initializer
  ) {
    table = initializer.normal([entries, size], deviation: deviation)
  }

  /// - Returns: [tokens, size].
  public func callAsFunction(_ tokens: [Int32]) -> Tensor { table.gathered(tokens) }

  /// `table`.
  public var parameters: [Parameter] { [Parameter("table", table)] }
}

/// Root-mean-square normalisation with a learnt gain.
public struct RMSNorm: Module {
  /// [size].
  public let gain: Tensor
  /// Added to the mean of the squares.
  public let epsilon: Float

  /// Gains of 1.
  public init(_ size: Int, epsilon: Float = 1e-5) {
    gain = .filled(1, [size], requiresGradient: true)
    self.epsilon = epsilon
  }

  /// - Parameter x: [..., size].
  public func callAsFunction(_ x: Tensor) -> Tensor { x.rmsNorm(gain, epsilon: epsilon) }

  /// `gain`.
  public var parameters: [Parameter] { [Parameter("gain", gain)] }
}

/// Attention of several heads with rotary positions, without biases.
public struct SelfAttention: Module {
  /// Heads of queries.
  public let heads: Int
  /// Heads of keys and values: a divisor of `heads`.
  public let keyHeads: Int
  /// Base of the rotary angles.
  public let ropeBase: Double
  private let query: Linear
  private let key: Linear
  private let value: Linear
  private let output: Linear

  /// A layer of normal weights.
  public init(
    size: Int, heads: Int, keyHeads: Int? = nil, ropeBase: Double = 10000,
    _ initializer: inout Initializer
  ) {
    self.heads = heads
    self.keyHeads = keyHeads ?? heads
    self.ropeBase = ropeBase
    let width = size / heads
    query = Linear(size, size, &initializer)
    key = Linear(size, self.keyHeads * width, &initializer)
    value = Linear(size, self.keyHeads * width, &initializer)
    output = Linear(size, size, &initializer)
  }

  /// - Parameters:
  ///   - x: [batches, length, size].
  ///   - positions: of the length; nil for 0, 1, ….
  public func callAsFunction(
    _ x: Tensor, mask: AttentionMask = .causal, positions: [Int]? = nil
  ) -> Tensor {
    let (batches, length) = (x.shape[0], x.shape[1])
    func split(_ y: Tensor, _ heads: Int) -> Tensor {
      y.reshaped([batches, length, heads, -1]).permuted([0, 2, 1, 3])
    }
    let places = positions ?? Array(0..<length)
    let result = Tensor.attention(
      split(query(x), heads).rotated(places, base: ropeBase),
      split(key(x), keyHeads).rotated(places, base: ropeBase), split(value(x), keyHeads), mask: mask
    )
    return output(result.permuted([0, 2, 1, 3]).reshaped([batches, length, -1]))
  }

  /// `query`, `key`, `value`, `output`.
  public var parameters: [Parameter] {
    query.parameters.named("query") + key.parameters.named("key")
      + value.parameters.named("value") + output.parameters.named("output")
  }
}

/// The block of Llama: attention and a gated feed-forward network, each behind a norm and beside the
/// residual stream.
public struct TransformerBlock: Module {
  private let attentionNorm: RMSNorm
  private let attention: SelfAttention
  private let feedForwardNorm: RMSNorm
  private let gate: Linear
  private let up: Linear
  private let down: Linear

  /// A block of normal weights.
  public init(
    size: Int, heads: Int, keyHeads: Int? = nil, hidden: Int, _ initializer: inout Initializer
  ) {
    attentionNorm = RMSNorm(size)
    attention = SelfAttention(size: size, heads: heads, keyHeads: keyHeads, &initializer)
    feedForwardNorm = RMSNorm(size)
    gate = Linear(size, hidden, &initializer)
    up = Linear(size, hidden, &initializer)
    down = Linear(hidden, size, &initializer)
  }

  /// - Parameter x: [batches, length, size].
  public func callAsFunction(
    _ x: Tensor, mask: AttentionMask = .causal, positions: [Int]? = nil
  ) -> Tensor {
    let y = x + attention(attentionNorm(x), mask: mask, positions: positions)
    let normed = feedForwardNorm(y)
    return y + down(gate(normed).silu() * up(normed))
  }

  /// In the order of the computation.
  public var parameters: [Parameter] {
    attentionNorm.parameters.named("attentionNorm") + attention.parameters.named("attention")
      + feedForwardNorm.parameters.named("feedForwardNorm") + gate.parameters.named("gate")
      + up.parameters.named("up") + down.parameters.named("down")
  }
}

/// Convolution with learnt weights.
public struct Convolution2D: Module {
  /// [channels out, channels in, height, width].
  public let weight: Tensor
  /// [channels out].
  public let bias: Tensor
  private let stride: (Int, Int)
  private let padding: (Int, Int)

  /// A layer of normal weights.
  public init(
    _ inputs: Int, _ outputs: Int, window: (Int, Int), stride: (Int, Int) = (1, 1),
    padding: (Int, Int) = (0, 0), _ initializer: inout Initializer
  ) {
    let size = inputs * window.0 * window.1
    weight = initializer.normal(
      [outputs, inputs, window.0, window.1], deviation: (2 / Float(size)).squareRoot())
    bias = .zeros([outputs], requiresGradient: true)
    self.stride = stride
    self.padding = padding
  }

  /// - Parameter x: [batches, channels in, height, width].
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.convolved2D(weight, bias: bias, stride: stride, padding: padding)
  }

  /// `weight`, `bias`.
  public var parameters: [Parameter] { [Parameter("weight", weight), Parameter("bias", bias)] }
}

/// A gated recurrent unit (Cho et al., arXiv 1406.1078), with the reset gate applied to the product
/// as in cuDNN.
public struct GRUCell: Module {
  /// [3 · size, inputs] and [3 · size, size], in the order reset, update, new; biases likewise.
  public let input: Linear
  /// See `input`.
  public let state: Linear
  private let size: Int

  /// A cell of normal weights.
  public init(_ inputs: Int, _ size: Int, _ initializer: inout Initializer) {
    self.init(
      input: Linear(inputs, 3 * size, bias: true, &initializer),
      state: Linear(size, 3 * size, bias: true, &initializer))
  }

  /// A cell of given weights.
  public init(input: Linear, state: Linear) {
    self.input = input
    self.state = state
    size = state.weight.shape[1]
  }

  /// The next state.
  ///
  /// - Parameters:
  ///   - x: [batches, inputs].
  ///   - h: [batches, size].
  public func callAsFunction(_ x: Tensor, _ h: Tensor) -> Tensor {
    let (a, b) = (input(x), state(h))
    func part(_ y: Tensor, _ index: Int) -> Tensor {
      y.sliced(1, index * size..<(index + 1) * size)
    }
    let reset = (part(a, 0) + part(b, 0)).sigmoid()
    let update = (part(a, 1) + part(b, 1)).sigmoid()
    let new = (part(a, 2) + reset * part(b, 2)).tanh()
    return (1 - update) * new + update * h
  }

  /// `input`, `state`.
  public var parameters: [Parameter] {
    input.parameters.named("input") + state.parameters.named("state")
  }
}
