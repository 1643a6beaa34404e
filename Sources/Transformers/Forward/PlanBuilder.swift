import CKernels
import Compute

/// Buffers of a pass: float matrices of as many rows as the pass has.
enum PassBuffer: Int32, CaseIterable {
  case hidden, normed, queryKeyValue, attention, projected, gate, up
  case selected, selectedNormed, logits

  /// First buffer that holds a tap.
  static let firstTap = Int32(allCases.count)

  /// Whether its rows are the selected ones.
  var isSelected: Bool { self == .selected || self == .selectedNormed || self == .logits }

  func columns(_ c: ModelConfiguration) -> Int {
    switch self {
    case .hidden, .normed, .projected, .selected, .selectedNormed: c.hiddenSize
    case .queryKeyValue: (c.headCount + 2 * c.keyValueHeadCount) * c.headDimension
    case .attention: c.headCount * c.headDimension
    case .gate, .up: c.feedForwardSize
    case .logits: c.vocabularyCount
    }
  }
}

/// Quantised inputs of matrix products.
enum PassActivations: Int32, CaseIterable {
  case hidden, attention, feedForward, selected

  func columns(_ c: ModelConfiguration) -> Int {
    switch self {
    case .hidden, .selected: c.hiddenSize
    case .attention: c.headCount * c.headDimension
    case .feedForward: c.feedForwardSize
    }
  }

  var source: PassBuffer {
    switch self {
    case .hidden: .normed
    case .attention: .attention
    case .feedForward: .gate
    case .selected: .selectedNormed
    }
  }
}

/// Compiles an architecture's layers into the flat list of operations that the workers run.
struct PlanBuilder {
  enum Activation { case silu, gelu }
  enum Source { case attention, feedForward }

  let configuration: ModelConfiguration
  let options: ForwardOptions
  let layers: [LayerWeights]
  private(set) var ops: [ft_op] = []
  private var layer = 0

  init(_ model: Transformer, options: ForwardOptions) {
    configuration = model.configuration
    self.options = options
    layers = model.weights.layers
  }

  func runsAttention(_ layer: Int) -> Bool { !options.skips.attention.contains(layer) }
  func runsFeedForward(_ layer: Int) -> Bool { !options.skips.feedForward.contains(layer) }

  // MARK: Operations

  private mutating func append(_ kind: ft_op_kind, _ fill: (inout ft_op) -> Void) {
    var op = ft_op()
    op.kind = kind
    op.layer = Int32(layer)
    op.activations = -1
    op.output = -1
    op.quantized = -1
    op.epsilon = configuration.normEpsilon
    op.scale = 1
    op.columns = Int32(configuration.hiddenSize)
    fill(&op)
    ops.append(op)
  }

  mutating func embed() {
    append(FT_OP_ROPE_TABLE) { _ in }
    append(FT_OP_EMBED) { [configuration] op in
      op.output = PassBuffer.hidden.rawValue
      op.scale = configuration.embeddingScale
    }
    tap(.embedding, of: .hidden)
  }

  mutating func beginLayer(_ layer: Int) { self.layer = layer }

  mutating func endLayer(_ layer: Int) { tap(.hiddenState(afterLayer: layer), of: .hidden) }

  /// RMSNorm of the residual stream, quantised for the products with `matrices`.
  mutating func norm(_ weight: FloatVector, for matrices: [PackedMatrix]) {
    append(FT_OP_NORM) { op in
      op.input = PassBuffer.hidden.rawValue
      op.output = matrices.contains { $0.readsFloats } ? PassBuffer.normed.rawValue : -1
      op.activations = PassActivations.hidden.rawValue
      op.weight = weight.pointer
    }
  }

  mutating func queryKeyValue(_ weights: LayerWeights) {
    let target = PassBuffer.queryKeyValue.rawValue
    let queries = Int32(configuration.headCount * configuration.headDimension)
    let keys = Int32(configuration.keyValueHeadCount * configuration.headDimension)
    append(FT_OP_MATMUL) { op in
      op.input = PassBuffer.normed.rawValue
      op.activations = PassActivations.hidden.rawValue
      op.matrix_count = 3
      op.matrices = (
        UnsafePointer(weights.query.matrix), UnsafePointer(weights.key.matrix),
        UnsafePointer(weights.value.matrix)
      )
      op.biases = (
        weights.queryBias?.pointer, weights.keyBias?.pointer, weights.valueBias?.pointer
      )
      op.outputs = (target, target, target)
      op.output_columns = (0, queries, queries + keys)
    }
  }

  /// Norms, rotation and storage of what `queryKeyValue` has just computed.
  mutating func storeKeysValues(queryNorm: FloatVector? = nil, keyNorm: FloatVector? = nil) {
    let last = ops.count - 1
    ops[last].epilogue = FT_EPILOGUE_STORE_KV
    ops[last].query_norm = queryNorm?.pointer
    ops[last].key_norm = keyNorm?.pointer
    ops[last].scale = configuration.queryScale
    ops[last].rope = configuration.slides(layer) ? 1 : 0
  }

  /// Attention over the pages, quantised for the output projection.
  mutating func attention() {
    let window = configuration.slides(layer) ? configuration.slidingWindow ?? 0 : 0
    for kind in [FT_OP_ATTENTION, FT_OP_ATTENTION_MERGE] {
      append(kind) { op in
        op.input = PassBuffer.queryKeyValue.rawValue
        op.output = PassBuffer.attention.rawValue
        op.window = Int32(window)
      }
    }
    append(FT_OP_QUANTIZE) { [configuration] op in
      op.input = PassBuffer.attention.rawValue
      op.columns = Int32(configuration.headCount * configuration.headDimension)
      op.activations = PassActivations.attention.rawValue
    }
  }

  mutating func gatedFeedForward(_ weights: LayerWeights, activation: Activation) {
    append(FT_OP_MATMUL) { op in
      op.input = PassBuffer.normed.rawValue
      op.activations = PassActivations.hidden.rawValue
      op.matrix_count = 2
      op.matrices = (
        UnsafePointer(weights.gate.matrix), UnsafePointer(weights.up.matrix), nil
      )
      op.outputs = (PassBuffer.gate.rawValue, PassBuffer.up.rawValue, 0)
      op.epilogue = activation == .silu ? FT_EPILOGUE_SILU_GLU : FT_EPILOGUE_GELU_GLU
      op.quantized = PassActivations.feedForward.rawValue
    }
  }

  private mutating func product(
    _ matrix: PackedMatrix, bias: FloatVector?, from source: Source, adding: Bool
  ) {
    let activations: PassActivations = source == .attention ? .attention : .feedForward
    append(FT_OP_MATMUL) { op in
      op.part = source.part
      op.input = activations.source.rawValue
      op.activations = activations.rawValue
      op.matrix_count = 1
      op.matrices.0 = UnsafePointer(matrix.matrix)
      op.biases.0 = bias?.pointer
      op.outputs.0 = PassBuffer.projected.rawValue
      op.epilogue = adding ? FT_EPILOGUE_ADD : FT_EPILOGUE_NONE
      op.residual = PassBuffer.hidden.rawValue
    }
    switch source {
    case .attention: tap(.attentionOutput(layer: layer), of: .projected)
    case .feedForward: tap(.feedForwardOutput(layer: layer), of: .projected)
    }
  }

  /// hidden += source · Wᵀ + bias
  mutating func projectAndAdd(_ matrix: PackedMatrix, bias: FloatVector?, from source: Source) {
    product(matrix, bias: bias, from: source, adding: true)
  }

  /// projected = source · Wᵀ
  mutating func project(_ matrix: PackedMatrix, from source: Source) {
    product(matrix, bias: nil, from: source, adding: false)
  }

  /// hidden += RMSNorm(projected)
  mutating func normAndAdd(_ weight: FloatVector, after source: Source) {
    append(FT_OP_NORM_ADD) { op in
      op.part = source.part
      op.input = PassBuffer.projected.rawValue
      op.output = PassBuffer.hidden.rawValue
      op.weight = weight.pointer
    }
  }

  /// Final norm of the selected rows, and their logits of the vocabulary or of the candidates.
  mutating func logits(_ model: Transformer, ofCandidates: Bool) {
    append(FT_OP_SELECT) { op in
      op.input = PassBuffer.hidden.rawValue
      op.output = PassBuffer.selected.rawValue
    }
    append(FT_OP_NORM) { op in
      op.selected = true
      op.input = PassBuffer.selected.rawValue
      op.output = model.weights.head.readsFloats ? PassBuffer.selectedNormed.rawValue : -1
      op.activations = PassActivations.selected.rawValue
      op.weight = model.weights.outputNorm.pointer
    }
    append(FT_OP_MATMUL) { op in
      op.selected = true
      op.input = PassBuffer.selectedNormed.rawValue
      op.activations = PassActivations.selected.rawValue
      op.matrix_count = 1
      op.matrices.0 = UnsafePointer(model.weights.head.matrix)
      op.outputs.0 = PassBuffer.logits.rawValue
      op.candidates = ofCandidates
    }
    guard ofCandidates else { return }
    append(FT_OP_GATHER) { op in
      op.selected = true
      op.output = PassBuffer.logits.rawValue
    }
  }

  /// Final norm of all rows, for those who tap it.
  mutating func tapFinalNorm(_ model: Transformer) {
    guard let index = options.taps.firstIndex(of: .finalNorm) else { return }
    append(FT_OP_NORM) { op in
      op.input = PassBuffer.hidden.rawValue
      op.output = PassBuffer.firstTap + Int32(index)
      op.weight = model.weights.outputNorm.pointer
    }
  }

  private mutating func tap(_ point: ForwardOptions.Tap, of buffer: PassBuffer) {
    guard let index = options.taps.firstIndex(of: point) else { return }
    append(FT_OP_COPY) { op in
      op.input = buffer.rawValue
      op.output = PassBuffer.firstTap + Int32(index)
    }
  }
}

extension PlanBuilder.Source {
  fileprivate var part: ft_part {
    self == .attention ? FT_PART_ATTENTION : FT_PART_FEED_FORWARD
  }
}
