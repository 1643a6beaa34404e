import Checkpoints
import Foundation
import Testing

@testable import Transformers

@Test("linear scaling stretches positions, Llama 3 divides pair by pair")
func ropeScaling() throws {
  var linear = SyntheticModel(extra: [
    ("llama.rope.scaling.type", .string("linear")), ("llama.rope.scaling.factor", .float32(4)),
  ])
  linear.layers = 1
  let plain = RopeConfiguration(dimension: 16, base: 10_000)
  #expect(abs(plain.frequencies[0] - 1) < 1e-7)
  #expect(abs(plain.frequencies[4] - 0.01) < 1e-8)
  let stretched = try linear.load().configuration.rope
  for (a, b) in zip(plain.frequencies, stretched.frequencies) { #expect(abs(a / 4 - b) < 1e-9) }
}

@Test("YaRN keeps fast pairs, divides slow ones by the factor, and raises the magnitude")
func yarn() {
  let plain = RopeConfiguration(dimension: 128, base: 10_000).frequencies.map { Double($0) }
  let yarn = Yarn(
    factor: 4, dimension: 128, base: 10_000, original: 4096, fast: 32, slow: 1,
    attentionFactor: 1)
  let scaled = yarn.scaled(plain)
  #expect(scaled[0] == plain[0])
  #expect(abs(scaled[63] - plain[63] / 4) < 1e-12)
  // Between pairs 20 and 46 (32 and 1 turns in 4096 positions) the two are mixed.
  #expect(scaled[20] == plain[20])
  #expect(scaled[33] < plain[33] && scaled[33] > plain[33] / 4)
  #expect(abs(yarn.magnitude - 1.138_629_436) < 1e-8)
}

@Test("a configuration that cannot be run is refused with the key or tensor named")
func badConfigurations() throws {
  func message(_ model: SyntheticModel) -> String {
    do {
      _ = try model.load()
      return ""
    } catch { return "\(error)" }
  }
  let cases: [(SyntheticModel, String)] = [
    (SyntheticModel(heads: 3), "attention.head_count_kv"),
    (SyntheticModel(headDimension: 12), "attention.key_length"),
    (
      SyntheticModel(extra: [("llama.attention.layer_norm_rms_epsilon", .float32(-1))]),
      "layer_norm_rms_epsilon"
    ),
    (
      SyntheticModel(extra: [("general.architecture", .string("mamba"))]),
      "architecture 'mamba' is not supported"
    ),
    (
      SyntheticModel(extra: [("llama.block_count", .uint32(4_000_000_000))]), "llama.block_count"
    ),
    (
      SyntheticModel(extra: [("llama.rope.scaling.type", .string("magic"))]),
      "rope.scaling.type"
    ),
    (SyntheticModel(dropped: ["blk.1.ffn_up.weight"]), "blk.1.ffn_up.weight"),
    (
      SyntheticModel(architecture: .gemma3, dropped: ["blk.0.post_ffw_norm.weight"]),
      "blk.0.post_ffw_norm.weight"
    ),
    (SyntheticModel(reshaped: ["blk.2.attn_v.weight": [64, 31]]), "blk.2.attn_v.weight"),
    (SyntheticModel(reshaped: ["output_norm.weight": [63]]), "output_norm.weight"),
  ]
  for (model, part) in cases {
    let text = message(model)
    #expect(text.contains(part), "expected \(part) in: \(text)")
  }
}
