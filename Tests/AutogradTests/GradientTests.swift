import Foundation
import TestSupport
import Testing

@testable import Autograd

func sine(_ x: Double) -> Double { Foundation.sin(x) }

@Suite("Gradients")
struct GradientTests {
  @Test("agree with finite differences", arguments: Operations.golden + Operations.further)
  func finiteDifferences(_ operation: Operations.Case) {
    var generator = SeededGenerator(seed: 77)
    for shapes in [operation.shapes, operation.shapes] + operation.more {
      check(operation, shapes, &generator)
    }
  }

  /// Compares with differences of fourth order of sums in 64 bits.
  private func check(
    _ operation: Operations.Case, _ shapes: [[Int]], _ generator: inout SeededGenerator
  ) {
    let inputs = shapes.map { shape in
      Tensor(
        spread(shape.reduce(1, *), &generator), shape: shape, requiresGradient: true)
    }
    let result = operation.function(inputs)
    let weights = (0..<result.count).map { _ in 2 * generator.unit() - 1 }
    result.backward(weights)
    func loss() -> Double {
      zip(operation.function(inputs).values, weights).reduce(0) {
        $0 + Double($1.0) * Double($1.1)
      }
    }
    let step: Float = 0.02
    for (index, input) in inputs.enumerated() {
      let gradient = input.gradient ?? [Float](repeating: 0, count: input.count)
      #expect(gradient.count == input.count)
      for place in 0..<min(input.count, 60) {
        let value = input.values[place]
        func at(_ offset: Float) -> Double {
          input.values[place] = value + offset
          defer { input.values[place] = value }
          return loss()
        }
        let difference =
          (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / Double(12 * step)
        let error = abs(difference - Double(gradient[place]))
        #expect(
          error <= 1e-3 * max(1, abs(difference)),
          "\(operation.name) \(shapes), input \(index), place \(place): \(gradient[place]) for \(difference)"
        )
      }
    }
  }

  /// Values in -1...1, near odd multiples of 1/16: never near 0, and neighbours far apart, so that
  /// kinks and maxima stay where they are.
  private func spread(_ count: Int, _ generator: inout SeededGenerator) -> [Float] {
    let first = Int(generator.next() % 16)
    return (0..<count).map {
      Float((first + 5 * $0) % 16) / 8 - 0.9375 + 0.004 * generator.unit()
    }
  }

  struct Golden: Decodable {
    struct Input: Decodable {
      let shape: [Int]
      let values: [Float]
    }
    struct Operation: Decodable {
      let name: String
      let inputs: [Input]
      let weights: [Float]
      let shape: [Int]
      let result: [Float]
      let gradients: [[Float]]
    }
    let operations: [Operation]
    let losses: [Double]
  }

  @Test("agree with jax, results as well")
  func jax() throws {
    let golden = try Goldens.load(Golden.self, "autograd")
    #expect(golden.operations.count == Operations.golden.count)
    for (operation, expected) in zip(Operations.golden, golden.operations) {
      #expect(operation.name == expected.name)
      #expect(operation.shapes == expected.inputs.map(\.shape))
      let inputs = expected.inputs.map {
        Tensor($0.values, shape: $0.shape, requiresGradient: true)
      }
      let result = operation.function(inputs)
      #expect(result.shape == expected.shape, "\(operation.name)")
      expectClose(result.values, expected.result, operation.name)
      result.backward(expected.weights)
      for (input, gradient) in zip(inputs, expected.gradients) {
        expectClose(
          input.gradient ?? [Float](repeating: 0, count: input.count), gradient, operation.name)
      }
    }
  }

  private func expectClose(_ found: [Float], _ expected: [Float], _ name: String) {
    #expect(found.count == expected.count)
    for (a, b) in zip(found, expected) {
      #expect(abs(a - b) <= 2e-5 * max(1, abs(b)), "\(name): \(a) for \(b)")
    }
  }

  @Test("what needs no gradient keeps no graph and gets none")
  func frozen() {
    let frozen = Tensor([1, 2], shape: [2])
    let learnt = Tensor([3, 4], shape: [2], requiresGradient: true)
    #expect((frozen * frozen).inputs.isEmpty)
    let loss = (frozen * learnt).sum()
    loss.backward()
    #expect(learnt.gradient == [1, 2])
    #expect(frozen.gradient == nil)
    loss.backward()
    #expect(learnt.gradient == [2, 4], "gradients of several calls add up")
  }

  @Test("straight-through draws pass the soft gradient on")
  func straightThrough() {
    let logits = Tensor([0.3, -0.2, 0.9, 0.1], shape: [2, 2], requiresGradient: true)
    let weights = Tensor([1, 2, 3, 4], shape: [2, 2])
    let hard = logits.gumbelSoftmax(seed: 4, step: 1, hard: true)
    #expect(Set(hard.values) == [0, 1])
    (hard * weights).sum().backward()
    let gradient = logits.gradient
    logits.gradient = nil
    (logits.gumbelSoftmax(seed: 4, step: 1) * weights).sum().backward()
    #expect(gradient == logits.gradient)
  }

  @Test("a hard draw follows the distribution")
  func gumbelFrequencies() {
    let logits = Tensor([0, log(3)], shape: [1, 2])
    let ones = (0..<4000).reduce(0) {
      $0 + Int(logits.gumbelSoftmax(seed: 9, step: $1, hard: true).values[1])
    }
    #expect((2890...3110).contains(ones), "\(ones) of 4000, expected 3000")
  }

  @Test("dropout keeps the mean, and is a function of seed, layer and step")
  func dropout() {
    let x = Tensor.filled(1, [100, 100])
    let once = x.dropout(0.3, seed: 1, layer: 2, step: 3)
    #expect(abs(once.mean().scalar - 1) < 0.02)
    #expect(once.values == x.dropout(0.3, seed: 1, layer: 2, step: 3).values)
    #expect(once.values != x.dropout(0.3, seed: 1, layer: 2, step: 4).values)
    #expect(once.values != x.dropout(0.3, seed: 1, layer: 3, step: 3).values)
    #expect(x.dropout(0, seed: 1, layer: 2, step: 3) === x)
  }

  @Test("products have the same bits in every run")
  func determinism() {
    var generator = SeededGenerator(seed: 5)
    let a = Tensor((0..<300 * 200).map { _ in generator.unit() }, shape: [300, 200])
    let b = Tensor((0..<200 * 150).map { _ in generator.unit() }, shape: [200, 150])
    BLAS.setThreads(2)
    let first = a.matmul(b).values
    for _ in 0..<5 { #expect(a.matmul(b).values == first) }
    BLAS.setThreads(1)
    let single = a.matmul(b).values
    #expect(zip(first, single).allSatisfy { abs($0 - $1) <= 1e-4 * abs($1) })
  }

  @Test("the softmax's exponential is exact to two units in the last place")
  func exponential() {
    for step in -2000...2000 {
      let x = Float(step) * 0.043
      guard x > -86, x < 87 else { continue }
      let exact = Foundation.exp(Double(x))
      #expect(abs(Double(Softmax.exponential(x)) - exact) <= 2.5e-7 * exact, "\(x)")
    }
    #expect(Softmax.exponential(-1e9) == 0)
    #expect(Softmax.exponential(-.infinity) == 0)
    #expect(Softmax.exponential(0) == 1)
  }
}
