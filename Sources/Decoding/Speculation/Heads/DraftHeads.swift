import Compute
import Foundation
import Transformers

/// Draft heads ready to run beside their model.
///
/// What a head makes of a hidden state is ranked by rows of the model's own head, so that heads carry
/// no vocabulary matrix of their own. Not Sendable: it belongs to the engine's thread.
final class DraftHeads {
  private struct Head {
    let down: PackedMatrix
    let bias: [Float]
    let up: PackedMatrix
    let downRows: RowSubset
    let upRows: RowSubset
  }

  let file: DraftHeadsFile
  private let heads: [Head]
  private let vocabulary: PackedMatrix
  private let vocabularyRows: RowSubset
  private let engine: ForwardEngine

  /// Number of heads.
  var count: Int { heads.count }

  /// - Throws: `DraftHeadsError.otherModel`; `PackingError`, `ForwardError`.
  init(_ file: DraftHeadsFile, path: String, engine: ForwardEngine) throws {
    let configuration = engine.model.configuration
    guard file.hiddenSize == configuration.hiddenSize, file.modelBytes == engine.model.fileBytes,
      Int(file.tokens.last ?? 0) < configuration.vocabularyCount
    else {
      throw DraftHeadsError.otherModel(
        path: path, trainedOn: "\(file.model) (\(file.modelBytes) bytes)",
        found: engine.model.fileBytes)
    }
    self.file = file
    self.engine = engine
    let pool = engine.workers
    let (rank, size) = (file.rank, file.hiddenSize)
    heads = try file.heads.enumerated().map { index, head in
      Head(
        down: try PackedMatrix(
          floats: head.down, rows: rank, columns: file.inputs(of: index), pool: pool),
        bias: head.bias,
        up: try PackedMatrix(floats: head.up, rows: size, columns: rank, pool: pool),
        downRows: try RowSubset(Array(0..<rank), of: rank),
        upRows: try RowSubset(Array(0..<size), of: size))
    }
    vocabulary = try PackedMatrix(
      floats: try engine.model.headRows(of: file.tokens), rows: file.tokens.count, columns: size,
      pool: pool)
    vocabularyRows = try RowSubset(Array(file.tokens.indices), of: file.tokens.count)
  }

  /// The token's embedding, as Hydra heads take it.
  func embedding(of token: Int32) throws -> [Float] { try engine.model.embedding(of: token) }

  /// The likeliest tokens by head `index` for several inputs.
  ///
  /// - Parameters:
  ///   - inputs: [batch, inputs of the head]; each begins with the hidden state.
  ///   - count: how many for each.
  /// - Returns: for each input tokens with probabilities, likeliest first.
  func candidates(
    _ index: Int, _ inputs: [Float], batch: Int, count: Int
  ) throws -> [[(token: Int32, probability: Float)]] {
    let (head, size) = (heads[index], file.hiddenSize)
    let pool = engine.workers
    var inner = try head.down.multiply(inputs, batch: batch, subset: head.downRows, pool: pool)
    for place in inner.indices {
      let value = inner[place] + head.bias[place % head.bias.count]
      inner[place] = value / (1 + Foundation.exp(-value))
    }
    var states = try head.up.multiply(inner, batch: batch, subset: head.upRows, pool: pool)
    let width = inputs.count / batch
    for row in 0..<batch {
      for place in 0..<size { states[row * size + place] += inputs[row * width + place] }
    }
    let logits = try vocabulary.multiply(
      states, batch: batch, subset: vocabularyRows, pool: pool)
    return (0..<batch).map { row in
      logits[row * file.tokens.count..<(row + 1) * file.tokens.count].withUnsafeBufferPointer {
        let total = Float(ElementaryFunctions.logSumExp($0) ?? 0)
        let row = $0
        return TopTokens.largest(count, of: row).map {
          (file.tokens[Int($0)], Foundation.exp(row[Int($0)] - total))
        }
      }
    }
  }
}

/// Why heads cannot draft.
public enum DraftHeadsError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// There is no file of heads for the model.
  case missing(method: String, searched: [String])
  /// The file holds heads of another method.
  case otherMethod(path: String, found: String, expected: String)
  /// The heads were trained on another model.
  case otherModel(path: String, trainedOn: String, found: Int)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .missing(let method, let searched):
      "there are no \(method) heads for this model (looked for \(searched.joined(separator: ", "))); "
        + "name a file with --heads PATH, or make one with 'foretoken train \(method)'"
    case .otherMethod(let path, let found, let expected):
      "\(path) holds \(found) heads, expected \(expected); use --speculate \(found), or another file"
    case .otherModel(let path, let trainedOn, let found):
      "the heads of \(path) were trained on \(trainedOn), this model's file has \(found) bytes; use "
        + "heads of this model, or that model"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
