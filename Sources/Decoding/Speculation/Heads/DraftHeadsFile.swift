import Checkpoints
import Compute
import Foundation

/// Trained draft heads as a file has them: safetensors, with what they are for in the metadata.
public struct DraftHeadsFile: Sendable {
  /// One head: z = h + up · SiLU(down · x + bias), where x is h alone (Medusa), or h and the
  /// embeddings of the tokens on the way (Hydra).
  public struct Head: Sendable {
    /// [rank, inputs].
    public var down: [Float]
    /// [rank].
    public var bias: [Float]
    /// [hiddenSize, rank].
    public var up: [Float]

    /// A head of these weights.
    public init(down: [Float], bias: [Float], up: [Float]) {
      self.down = down
      self.bias = bias
      self.up = up
    }
  }

  /// `medusa` or `hydra`.
  public var method: String
  /// Name of the model that the heads were trained on.
  public var model: String
  /// Bytes of its file, by which it is known again.
  public var modelBytes: Int
  /// Size of its hidden states.
  public var hiddenSize: Int
  /// Size of the heads' hidden layers.
  public var rank: Int
  /// Tokens that heads can draft, ascending.
  public var tokens: [Int32]
  /// Head k drafts the token k + 1 places after the pending one.
  public var heads: [Head]
  /// By head and rank: how often the guess of that rank was right on held-out text, given that all
  /// before it were.
  public var accuracy: [[Double]]
  /// How it was made: data and their licence, seed, settings, command.
  public var record: [String: String]

  /// Heads from training.
  public init(
    method: String, model: String, modelBytes: Int, hiddenSize: Int, rank: Int, tokens: [Int32],
    heads: [Head], accuracy: [[Double]], record: [String: String] = [:]
  ) {
    self.method = method
    self.model = model
    self.modelBytes = modelBytes
    self.hiddenSize = hiddenSize
    self.rank = rank
    self.tokens = tokens
    self.heads = heads
    self.accuracy = accuracy
    self.record = record
  }

  /// Inputs of head `index`.
  public func inputs(of index: Int) -> Int {
    method == "hydra" ? (index + 2) * hiddenSize : hiddenSize
  }

  // MARK: Reading and writing

  /// Reads and checks a file.
  /// - Throws: `CheckpointError` that says what is wrong with it.
  public init(path: String) throws {
    let file = try SafetensorsFile(path: path)
    func text(_ key: String) throws -> String {
      guard let value = file.metadata[key] else {
        throw CheckpointError(
          .missing, file: path, "the metadata have no '\(key)'; this is not a file of draft heads")
      }
      return value
    }
    func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int {
      let found = try text(key)
      guard let value = Int(found), range.contains(value) else {
        throw CheckpointError(
          .malformed, file: path,
          "'\(key)' is \(found), expected \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }
    method = try text("method")
    guard ["medusa", "hydra"].contains(method) else {
      throw CheckpointError(
        .unsupported, file: path, "'method' is \(method), expected medusa or hydra")
    }
    model = try text("model")
    modelBytes = try number("model_bytes", 1...Int.max)
    hiddenSize = try number("hidden_size", 1...65_536)
    rank = try number("rank", 1...65_536)
    let count = try number("heads", 1...8)
    tokens = try file.integers(of: file.tensor(named: "tokens")).map { Int32(clamping: $0) }
    guard !tokens.isEmpty, zip(tokens, tokens.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw CheckpointError(.malformed, file: path, "'tokens' are none, or not in ascending order")
    }
    guard let table = try? JSONDecoder().decode([[Double]].self, from: Data(text("accuracy").utf8)),
      table.count == count
    else {
      throw CheckpointError(
        .malformed, file: path, "'accuracy' is not a list for each of \(count) heads")
    }
    accuracy = table
    heads = []
    record = file.metadata
    for index in 0..<count {
      let inputs = inputs(of: index)
      func values(_ part: String, _ shape: [Int]) throws -> [Float] {
        let tensor = try file.tensor(named: "heads.\(index).\(part)")
        guard tensor.shape == shape else {
          throw CheckpointError(
            .mismatched, file: path,
            "tensor '\(tensor.name)' has shape \(tensor.shape), expected \(shape)")
        }
        return try file.floats(of: tensor)
      }
      heads.append(
        Head(
          down: try values("down", [rank, inputs]), bias: try values("bias", [rank]),
          up: try values("up", [hiddenSize, rank])))
    }
  }

  /// Writes the file: matrices in 16 bits.
  /// - Throws: `CheckpointError`; nothing is left behind then.
  public func write(to path: String) throws {
    var writer = SafetensorsWriter()
    writer.metadata = record.merging([
      "method": method, "model": model, "model_bytes": "\(modelBytes)",
      "hidden_size": "\(hiddenSize)", "rank": "\(rank)", "heads": "\(heads.count)",
      "accuracy": String(decoding: try JSONEncoder().encode(accuracy), as: UTF8.self),
    ]) { $1 }
    var ids: [UInt8] = []
    for token in tokens { withUnsafeBytes(of: token.littleEndian) { ids += $0 } }
    try writer.addTensor("tokens", type: .int32, shape: [tokens.count], bytes: ids)
    for (index, head) in heads.enumerated() {
      func half(_ values: [Float]) -> [UInt8] {
        values.flatMap { value -> [UInt8] in
          let bits = HalfPrecision.bits(value)
          return [UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8)]
        }
      }
      let name = "heads.\(index)"
      try writer.addTensor(
        "\(name).down", type: .float16, shape: [rank, inputs(of: index)], bytes: half(head.down))
      try writer.addTensor("\(name).bias", shape: [rank], values: head.bias)
      try writer.addTensor(
        "\(name).up", type: .float16, shape: [hiddenSize, rank], bytes: half(head.up))
    }
    try writer.write(to: path)
  }
}
