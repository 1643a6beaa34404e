import Foretoken
import TestSupport

/// Draft heads that were never trained: what they draft is mostly wrong, now and then right.
enum RandomHeads {
  /// Writes heads of `method` for `model`.
  ///
  /// - Parameter scale: of what heads add to the hidden state; at 0 they say what the model says of
  ///   the next token.
  static func write(
    _ method: String, for model: LanguageModel, to path: String, scale: Float = 0.3,
    tokens: [Int32] = Array(0..<1024), heads count: Int = 3
  ) async throws {
    var generator = SeededGenerator(seed: 31)
    let size = model.configuration.hiddenSize
    let rank = 32
    func values(_ count: Int, _ scale: Float) -> [Float] {
      (0..<count).map { _ in (2 * generator.unit() - 1) * scale }
    }
    let heads = (0..<count).map { index in
      let inputs = method == "hydra" ? (index + 2) * size : size
      return DraftHeadsFile.Head(
        down: values(rank * inputs, 0.1), bias: values(rank, 0.1), up: values(size * rank, scale))
    }
    try DraftHeadsFile(
      method: method, model: model.reference, modelBytes: await model.generator.modelBytes,
      hiddenSize: size, rank: rank, tokens: tokens, heads: heads,
      accuracy: heads.map { _ in [0.3, 0.1, 0.05, 0.02] }
    ).write(to: path)
  }
}
