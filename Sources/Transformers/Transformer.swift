import CKernels
import Checkpoints
import Compute

/// A decoder's immutable weights, packed for the kernels. State is in `KVCache`, work in
/// `ForwardEngine`; any number of engines may share one transformer.
public final class Transformer: Sendable {
  /// Shape and constants.
  public let configuration: ModelConfiguration
  /// Whether products use the file's own rows and float activations (slow, for comparison).
  public let isReference: Bool
  let weights: DecoderWeights

  /// Loads and packs the weights of `file`.
  ///
  /// - Parameters:
  ///   - threads: workers that pack.
  ///   - reference: keep float activations and the file's own blocks.
  ///   - progress: called with the fraction done, 0 to 1; throw to stop loading.
  /// - Throws: `ModelError` or `CheckpointError` naming the key or tensor.
  public init(
    file: GGUFFile, threads: Int = WorkerPool.defaultWorkers, reference: Bool = false,
    progress: (Double) throws -> Void = { _ in }
  ) throws {
    try InstructionSet.checkRequest()
    let configuration = try ModelConfiguration(file)
    self.configuration = configuration
    isReference = reference
    let total = file.tensors.reduce(0) { $0 + ($1.byteCount ?? 0) }
    var done = 0
    weights = try withoutActuallyEscaping(progress) { report in
      let loader = WeightLoader(
        file: file, pool: try WorkerPool(workers: threads), reference: reference
      ) { bytes in
        done += bytes
        try report(min(1, Double(done) / Double(max(total, 1))))
      }
      return try loader.decoder(configuration)
    }
    try progress(1)
  }

  /// Bytes of the file that the model was loaded from: tells models and their formats apart.
  public var fileBytes: Int { weights.file.file.count }

  /// Bytes of packed weights that one plain decoding step reads.
  public var weightBytes: Int { weights.bytes }

  /// Multiply-adds with weights that one row of a pass costs, the vocabulary's matrix not counted.
  public var layerMultiplyAdds: Int { weights.layerMultiplyAdds }

  /// The token's row of the embedding matrix, scaled as the architecture does: [hiddenSize].
  ///
  /// - Throws: `ForwardError` if the token is not in the vocabulary.
  public func embedding(of token: Int32) throws -> [Float] {
    guard token >= 0, Int(token) < configuration.vocabularyCount else {
      throw ForwardError.unknownToken(token, vocabulary: configuration.vocabularyCount)
    }
    let row = Int(token)
    let values = try weights.file.dequantize(weights.embedding, rows: row..<row + 1)
    let scale = configuration.embeddingScale
    return scale == 1 ? values : values.map { $0 * scale }
  }

  /// Rows of the head, the matrix that turns the final norm's output into logits: [tokens,
  /// hiddenSize], as the file has them.
  ///
  /// - Throws: `ForwardError` if a token is not in the vocabulary.
  public func headRows(of tokens: [Int32]) throws -> [Float] {
    let head = weights.file.tensor(ifPresent: "output.weight") ?? weights.embedding
    var rows: [Float] = []
    rows.reserveCapacity(tokens.count * configuration.hiddenSize)
    for token in tokens {
      guard token >= 0, Int(token) < configuration.vocabularyCount else {
        throw ForwardError.unknownToken(token, vocabulary: configuration.vocabularyCount)
      }
      rows += try weights.file.dequantize(head, rows: Int(token)..<Int(token) + 1)
    }
    return rows
  }
}
