import CKernels
import Checkpoints
import Compute

/// Weights of one transformer block. Parts an architecture lacks are nil.
struct LayerWeights: Sendable {
  var attentionNorm: FloatVector
  var query: PackedMatrix
  var key: PackedMatrix
  var value: PackedMatrix
  var queryBias: FloatVector?
  var keyBias: FloatVector?
  var valueBias: FloatVector?
  var queryNorm: FloatVector?
  var keyNorm: FloatVector?
  var attentionOutput: PackedMatrix
  var attentionOutputBias: FloatVector?
  var postAttentionNorm: FloatVector?
  var feedForwardNorm: FloatVector
  var gate: PackedMatrix
  var up: PackedMatrix
  var down: PackedMatrix
  var postFeedForwardNorm: FloatVector?

  var matrices: [PackedMatrix] { [query, key, value, attentionOutput, gate, up, down] }
  /// The products of the attention's input.
  var projections: [PackedMatrix] { [query, key, value] }
}

/// All weights of a decoder.
struct DecoderWeights: Sendable {
  let file: GGUFFile
  let embedding: GGUFTensor
  let layers: [LayerWeights]
  let outputNorm: FloatVector
  let head: PackedMatrix

  var bytes: Int { layers.reduce(head.bytes) { $0 + $1.matrices.reduce(0) { $0 + $1.bytes } } }

  var layerMultiplyAdds: Int {
    layers.reduce(0) { $0 + $1.matrices.reduce(0) { $0 + $1.rows * $1.columns } }
  }
}

/// Loads tensors with their shapes checked, packs them, and gives the file's pages back.
struct WeightLoader {
  let file: GGUFFile
  let pool: WorkerPool
  let reference: Bool
  let memory = WeightMemory()
  let progress: (Int) throws -> Void

  func matrix(_ name: String, rows: Int, columns: Int) throws -> PackedMatrix {
    let tensor = try file.tensor(named: name)
    guard tensor.rowLength == columns, tensor.rows == rows else {
      throw ModelError(
        file.path,
        "tensor '\(name)' has shape \(tensor.shape), expected [\(columns), \(rows)]")
    }
    let type = try file.kernelType(of: tensor)
    let source = try file.bytes(of: tensor)
    do {
      let matrix = try PackedMatrix(
        type: type, rows: rows, columns: columns, source: source, reference: reference, pool: pool,
        memory: memory
      ) { done in
        // Rows of a tied embedding that are looked up later come back from the file one by one.
        let start = tensor.range.lowerBound
        file.file.adviseUnneeded(start + done.lowerBound..<start + done.upperBound)
      }
      try progress(tensor.byteCount ?? 0)
      return matrix
    } catch let error as PackingError {
      throw ModelError(file.path, "tensor '\(name)': \(error)")
    }
  }

  func vector(_ name: String, count: Int) throws -> FloatVector {
    guard let vector = try vector(ifPresent: name, count: count) else {
      throw ModelError(file.path, "the file has no tensor '\(name)'")
    }
    return vector
  }

  func vector(ifPresent name: String, count: Int) throws -> FloatVector? {
    guard let tensor = file.tensor(ifPresent: name) else { return nil }
    guard tensor.count == count else {
      throw ModelError(
        file.path, "tensor '\(name)' has \(tensor.count) values, expected \(count)")
    }
    return try FloatVector(try file.dequantize(tensor))
  }

  func layer(_ index: Int, _ c: ModelConfiguration) throws -> LayerWeights {
    let p = "blk.\(index)"
    let queries = c.headCount * c.headDimension
    let keys = c.keyValueHeadCount * c.headDimension
    return LayerWeights(
      attentionNorm: try vector("\(p).attn_norm.weight", count: c.hiddenSize),
      query: try matrix("\(p).attn_q.weight", rows: queries, columns: c.hiddenSize),
      key: try matrix("\(p).attn_k.weight", rows: keys, columns: c.hiddenSize),
      value: try matrix("\(p).attn_v.weight", rows: keys, columns: c.hiddenSize),
      queryBias: try vector(ifPresent: "\(p).attn_q.bias", count: queries),
      keyBias: try vector(ifPresent: "\(p).attn_k.bias", count: keys),
      valueBias: try vector(ifPresent: "\(p).attn_v.bias", count: keys),
      queryNorm: try vector(ifPresent: "\(p).attn_q_norm.weight", count: c.headDimension),
      keyNorm: try vector(ifPresent: "\(p).attn_k_norm.weight", count: c.headDimension),
      attentionOutput: try matrix(
        "\(p).attn_output.weight", rows: c.hiddenSize, columns: queries),
      attentionOutputBias: try vector(ifPresent: "\(p).attn_output.bias", count: c.hiddenSize),
      postAttentionNorm: try vector(
        ifPresent: "\(p).post_attention_norm.weight", count: c.hiddenSize),
      feedForwardNorm: try vector("\(p).ffn_norm.weight", count: c.hiddenSize),
      gate: try matrix("\(p).ffn_gate.weight", rows: c.feedForwardSize, columns: c.hiddenSize),
      up: try matrix("\(p).ffn_up.weight", rows: c.feedForwardSize, columns: c.hiddenSize),
      down: try matrix("\(p).ffn_down.weight", rows: c.hiddenSize, columns: c.feedForwardSize),
      postFeedForwardNorm: try vector(
        ifPresent: "\(p).post_ffw_norm.weight", count: c.hiddenSize))
  }

  func decoder(_ c: ModelConfiguration) throws -> DecoderWeights {
    let embedding = try file.tensor(named: "token_embd.weight")
    guard embedding.rowLength == c.hiddenSize else {
      throw ModelError(
        file.path,
        "tensor 'token_embd.weight' has rows of \(embedding.rowLength), expected \(c.hiddenSize)")
    }
    _ = try file.kernelType(of: embedding)
    let layers = try (0..<c.layerCount).map { index in
      let weights = try layer(index, c)
      if let part = c.missingPart(of: weights) {
        throw ModelError(file.path, "the file has no tensor 'blk.\(index).\(part)'")
      }
      return weights
    }
    let tied = file.tensor(ifPresent: "output.weight") == nil
    return DecoderWeights(
      file: file, embedding: embedding, layers: layers,
      outputNorm: try vector("output_norm.weight", count: c.hiddenSize),
      head: try matrix(
        tied ? "token_embd.weight" : "output.weight", rows: c.vocabularyCount,
        columns: c.hiddenSize))
  }
}
