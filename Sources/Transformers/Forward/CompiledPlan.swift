import CKernels

/// Which logits a pass computes.
enum LogitsPlan: Hashable {
  case none, vocabulary, candidates

  init(_ batch: ForwardBatch) {
    if batch.selected.isEmpty {
      self = .none
    } else {
      self = batch.candidates == nil ? .vocabulary : .candidates
    }
  }
}

/// Operations of one kind of pass, at fixed addresses.
final class CompiledPlan {
  let options: ForwardOptions
  let plan: UnsafeMutablePointer<ft_plan>
  let startsAtLayer: Int
  let endsAtLayer: Int
  private let ops: UnsafeMutableBufferPointer<ft_op>
  private let ropes: UnsafeMutableBufferPointer<ft_rope>
  private let frequencies: UnsafeMutableBufferPointer<Float>
  private let model: Transformer

  init(
    _ model: Transformer, options: ForwardOptions, shape: ft_attention_shape, logits: LogitsPlan
  )
    throws(ForwardError)
  {
    let configuration = model.configuration
    try options.check(layerCount: configuration.layerCount)
    let layers = options.layers ?? 0..<configuration.layerCount
    var builder = PlanBuilder(model, options: options)
    builder.embed()
    for layer in layers { configuration.appendLayer(layer, to: &builder) }
    builder.tapFinalNorm(model)
    if logits != .none { builder.logits(model, ofCandidates: logits == .candidates) }

    self.model = model
    self.options = options
    startsAtLayer = layers.lowerBound
    endsAtLayer = layers.upperBound
    ops = .allocate(capacity: builder.ops.count)
    _ = ops.initialize(from: builder.ops)
    let tables = [configuration.rope] + (configuration.localRope.map { [$0] } ?? [])
    frequencies = .allocate(capacity: tables.reduce(0) { $0 + $1.frequencies.count })
    _ = frequencies.initialize(from: tables.flatMap(\.frequencies))
    ropes = .allocate(capacity: tables.count)
    var start = UnsafePointer(frequencies.baseAddress)
    for (index, table) in tables.enumerated() {
      ropes.initializeElement(
        at: index, to: ft_rope(frequencies: start, magnitude: table.magnitude))
      start = start.map { $0 + table.frequencies.count }
    }
    var plan = ft_plan()
    plan.ops = UnsafePointer(ops.baseAddress)
    plan.op_count = Int32(ops.count)
    plan.attention = shape
    plan.ropes = UnsafePointer(ropes.baseAddress)
    plan.rope_count = Int32(ropes.count)
    plan.embedding = Self.embedding(model)
    self.plan = .allocate(capacity: 1)
    self.plan.initialize(to: plan)
  }

  deinit {
    plan.deallocate()
    ropes.deallocate()
    frequencies.deallocate()
    ops.deallocate()
  }

  private static func embedding(_ model: Transformer) -> ft_embedding {
    let weights = model.weights
    var embedding = ft_embedding()
    // The loader has checked that type and bytes are there.
    if let type = weights.embedding.type.kernelType {
      embedding.type = type
      embedding.source = weights.file.file.bytes.baseAddress.map {
        $0 + weights.embedding.offset
      }
      embedding.row_bytes = weights.embedding.rowBytes ?? 0
    }
    embedding.scale = model.configuration.embeddingScale
    return embedding
  }

  /// The plan as a table: number, operation, layer, shapes.
  var description: String {
    let names = [
      "embed", "rope table", "norm", "quantize", "matmul", "attention",
      "merge spans", "norm + add", "select", "copy", "gather",
    ]
    return ops.enumerated().map { index, op in
      var line = "\(index)\tlayer \(op.layer)\t\(names[Int(op.kind.rawValue)])"
      for matrix in [op.matrices.0, op.matrices.1, op.matrices.2] {
        if let matrix { line += "  [\(matrix.pointee.rows), \(matrix.pointee.columns)]" }
      }
      if op.window > 0 { line += "  window \(op.window)" }
      return line
    }.joined(separator: "\n")
  }
}
