import Checkpoints
import Foundation
import TestSupport

@testable import Transformers

/// Small random models of every architecture, written as real GGUF files and loaded like any other.
struct SyntheticModel {
  var architecture: ModelConfiguration.Architecture = .llama
  var layers = 3
  var hidden = 64
  var heads = 4
  var keyValueHeads = 2
  var headDimension = 16
  var feedForward = 96
  var vocabulary = 131
  var context = 4096
  var window = 20
  var type: ElementType = .f32
  var extra: [(String, GGUFValue)] = []
  var dropped: Set<String> = []
  var reshaped: [String: [Int]] = [:]

  /// Every architecture with the block formats that its widths allow.
  static let variety: [SyntheticModel] = [
    SyntheticModel(),
    SyntheticModel(architecture: .llama, type: .q8_0),
    SyntheticModel(architecture: .llama, heads: 6, keyValueHeads: 2, type: .q4_0),
    SyntheticModel(architecture: .qwen2, heads: 7, keyValueHeads: 1, headDimension: 24),
    SyntheticModel(architecture: .qwen2, type: .q8_0),
    SyntheticModel(architecture: .gemma3, layers: 7, keyValueHeads: 1, headDimension: 32),
    SyntheticModel(architecture: .gemma3, layers: 6, type: .q4_0),
  ]

  func load(threads: Int = 1, reference: Bool = false) throws -> Transformer {
    let path = FileManager.default.temporaryDirectory.appending(
      path: "synthetic-\(UUID().uuidString).gguf"
    ).path
    try write(to: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try Transformer(
      file: try GGUFFile(path: path), threads: threads, reference: reference)
  }

  func write(to path: String) throws {
    var writer = GGUFWriter()
    let name = architecture.rawValue
    writer.set("general.architecture", .string(name))
    let counts: [(String, Int)] = [
      ("block_count", layers), ("embedding_length", hidden), ("feed_forward_length", feedForward),
      ("attention.head_count", heads), ("attention.head_count_kv", keyValueHeads),
      ("attention.key_length", headDimension), ("attention.value_length", headDimension),
      ("context_length", context),
    ]
    for (key, value) in counts { writer.set("\(name).\(key)", .uint32(UInt32(value))) }
    writer.set("\(name).attention.layer_norm_rms_epsilon", .float32(1e-5))
    if architecture == .gemma3 {
      writer.set("gemma3.attention.sliding_window", .uint32(UInt32(window)))
    }
    for (key, value) in extra { writer.set(key, value) }
    var random = SeededGenerator(seed: 7)
    for tensor in tensors where !dropped.contains(tensor.name) {
      let shape = reshaped[tensor.name] ?? tensor.shape
      try add(tensor.name, shape, tensor.isMatrix, to: &writer, &random)
    }
    try writer.write(to: path)
  }

  private var tensors: [(name: String, shape: [Int], isMatrix: Bool)] {
    let queries = heads * headDimension
    let keys = keyValueHeads * headDimension
    var all: [(String, [Int], Bool)] = [
      ("token_embd.weight", [hidden, vocabulary], true), ("output_norm.weight", [hidden], false),
    ]
    for layer in 0..<layers {
      let p = "blk.\(layer)"
      all += [
        ("\(p).attn_norm.weight", [hidden], false), ("\(p).ffn_norm.weight", [hidden], false),
        ("\(p).attn_q.weight", [hidden, queries], true),
        ("\(p).attn_k.weight", [hidden, keys], true),
        ("\(p).attn_v.weight", [hidden, keys], true),
        ("\(p).attn_output.weight", [queries, hidden], true),
        ("\(p).ffn_gate.weight", [hidden, feedForward], true),
        ("\(p).ffn_up.weight", [hidden, feedForward], true),
        ("\(p).ffn_down.weight", [feedForward, hidden], true),
      ]
      switch architecture {
      case .llama: break
      case .qwen2:
        all += [
          ("\(p).attn_q.bias", [queries], false), ("\(p).attn_k.bias", [keys], false),
          ("\(p).attn_v.bias", [keys], false),
        ]
      case .gemma3:
        all += [
          ("\(p).attn_q_norm.weight", [headDimension], false),
          ("\(p).attn_k_norm.weight", [headDimension], false),
          ("\(p).post_attention_norm.weight", [hidden], false),
          ("\(p).post_ffw_norm.weight", [hidden], false),
        ]
      }
    }
    return all
  }

  private func add(
    _ name: String, _ shape: [Int], _ isMatrix: Bool, to writer: inout GGUFWriter,
    _ random: inout SeededGenerator
  ) throws {
    let count = shape.reduce(1, *)
    let fits = shape[0] % (type.blockElements ?? 1) == 0
    guard isMatrix, type != .f32, fits, let elements = type.blockElements,
      let bytes = type.blockBytes
    else {
      let spread: Float = isMatrix ? 2 / Float(shape[0]).squareRoot() : 0.5
      let centre: Float = name.hasSuffix("norm.weight") ? 1 : 0
      let values = (0..<count).map { _ in centre + spread * (random.unit() - 0.5) }
      try writer.addTensor(name, shape: shape, values: values)
      return
    }
    // Random quants under a half-precision scale at the start of each block; weights of about
    // the size that keeps activations level.
    let level: Float = type == .q8_0 ? 0.001 : 0.015
    var encoded: [UInt8] = []
    for _ in 0..<count / elements {
      let scale = Float16(random.unit() * level + level)
      encoded += withUnsafeBytes(of: scale.bitPattern.littleEndian) { Array($0) }
      encoded += (2..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
    try writer.addTensor(name, type: type, shape: shape, encoded: encoded)
  }
}

extension SeededGenerator {
  /// Random tokens of a vocabulary.
  mutating func tokens(_ count: Int, vocabulary: Int) -> [Int32] {
    (0..<count).map { _ in Int32(next() % UInt64(vocabulary)) }
  }

  /// A random tree: parents before children, -1 the prefix; chains, stars and all between.
  mutating func parents(_ count: Int) -> [Int32] {
    let chains = next() % 3
    return (0..<count).map { node in
      if chains > 0, node > 0, next() % 4 > 0 { return Int32(node - 1) }
      return Int32(next() % UInt64(node + 1)) - 1
    }
  }
}

/// Bit patterns of logits, which is what must be equal.
func bits(_ values: UnsafeBufferPointer<Float>) -> [UInt32] { values.map(\.bitPattern) }

/// Path from the root to `node`.
func path(to node: Int, _ parents: [Int32]) -> [Int] {
  var path = [node]
  while parents[path[0]] >= 0 { path.insert(Int(parents[path[0]]), at: 0) }
  return path
}
