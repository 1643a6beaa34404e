import Checkpoints
import Foundation
import TestSupport
import Testing

/// Dequantised values of real files against those of the format's reference implementation.
@Suite struct TensorGoldenTests {
  struct Golden: Decodable {
    struct Tensor: Decodable {
      let name: String
      let type: String
      let shape_gguf_order: [Int]
      let count: Int
      let sum: Double
      let sum_abs: Double
      let first16: [Float]
      let middle_index: Int
      let middle16: [Float]
    }

    let tensors: [Tensor]
  }

  @Test(
    "dequantised tensors of real models equal the reference values",
    arguments: ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
  func tensorsEqualReference(alias: String) async throws {
    let golden = try Goldens.load(Golden.self, "tensors_\(alias)")
    let file = try GGUFFile(path: await TestModels.path(alias).path)
    #expect(!golden.tensors.isEmpty)
    for expected in golden.tensors {
      let tensor = try file.tensor(named: expected.name)
      #expect(tensor.type.description == expected.type)
      #expect(tensor.shape == expected.shape_gguf_order)
      let values = try file.dequantize(tensor, rows: 0..<expected.count / tensor.rowLength)
      #expect(values.count == expected.count)
      #expect(Array(values.prefix(16)) == expected.first16, "\(expected.name)")
      let middle = expected.middle_index..<expected.middle_index + expected.middle16.count
      #expect(Array(values[middle]) == expected.middle16, "\(expected.name)")
      let sum = values.reduce(0.0) { $0 + Double($1) }
      let magnitude = values.reduce(0.0) { $0 + Double(abs($1)) }
      #expect(abs(sum - expected.sum) <= 1e-6 * expected.sum_abs, "\(expected.name)")
      #expect(abs(magnitude - expected.sum_abs) <= 1e-6 * expected.sum_abs, "\(expected.name)")
    }
  }
}
