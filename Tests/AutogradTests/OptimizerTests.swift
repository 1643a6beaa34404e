import Foundation
import TestSupport
import Testing

@testable import Autograd

@Suite("Optimisers and layers")
struct OptimizerTests {
  /// The model of Tests/Goldens/make_autograd.py.
  struct SmallTransformer {
    let parameters: [Parameter]
    let tokens: [[Int32]]
    private let table: Tensor
    private let blocks: [TransformerBlock]
    private let norm: RMSNorm
    private let head: Tensor
    private let size = 64
    private let vocabulary = 32
    private let length = 16

    init() {
      var initializer = Initializer(seed: 1)
      let embedding = Embedding(vocabulary, size, &initializer)
      let blocks = (0..<2).map { _ in
        TransformerBlock(size: 64, heads: 4, hidden: 128, &initializer)
      }
      let norm = RMSNorm(size)
      let head = Linear(size, vocabulary, &initializer)
      parameters =
        embedding.parameters.named("embedding")
        + blocks.enumerated().flatMap { $1.parameters.named("blocks.\($0)") }
        + norm.parameters.named("norm") + head.parameters.named("head")
      var generator = SeededGenerator(seed: 2024)
      func uniform() -> Float { Float(generator.next() >> 40) / Float(1 << 23) - 1 }
      for parameter in parameters where parameter.tensor.rank == 2 {
        let scale: Float =
          parameter.name == "embedding.table"
          ? 0.5 : Float((3 / Double(parameter.tensor.lastSize)).squareRoot())
        parameter.tensor.values = parameter.tensor.values.map { _ in uniform() * scale }
      }
      tokens = (0..<32).map { first in
        [Int32(first)] + (0..<15).map { _ in Int32(generator.next() % 32) }
      }
      (table, self.blocks, self.norm, self.head) = (embedding.table, blocks, norm, head.weight)
    }

    func loss() -> Tensor {
      let inputs = tokens.flatMap { $0.dropLast() }
      var x = table.gathered(inputs).reshaped([tokens.count, length - 1, size])
      for block in blocks { x = block(x) }
      return norm(x).matmul(head, transposed: true).crossEntropy(
        tokens.flatMap { $0.dropFirst() })
    }
  }

  @Test("a transformer learns 32 sequences by heart, along the loss curve of jax")
  func overfitting() throws {
    let golden = try Goldens.load(GradientTests.Golden.self, "autograd")
    let model = SmallTransformer()
    let optimizer = AdamW(model.parameters)
    var losses: [Double] = []
    for _ in 0..<50 {
      let loss = model.loss()
      losses.append(Double(loss.scalar))
      model.parameters.clearGradients()
      loss.backward()
      optimizer.step(rate: 2e-3)
    }
    #expect(losses.count == golden.losses.count)
    for (step, (found, expected)) in zip(losses, golden.losses).enumerated() {
      #expect(abs(found - expected) < 1e-3, "step \(step): \(found) for \(expected)")
    }
    #expect(model.loss().scalar < 0.05)
  }

  @Test("every optimiser finds the least point of a bowl")
  func bowl() {
    let target = Tensor([3, -2, 0.5], shape: [3])
    let makers: [(String, ([Parameter]) -> any Optimizer, Float)] = [
      ("SGD", { SGD($0) }, 0.1), ("momentum", { SGD($0, momentum: 0.9) }, 0.02),
      ("AdamW", { AdamW($0, decay: 0) }, 0.05), ("Lion", { Lion($0, beta2: 0.9) }, 0.02),
    ]
    for (name, make, rate) in makers {
      let x = Tensor.zeros([3], requiresGradient: true)
      let optimizer = make([Parameter("x", x)])
      let schedule = Schedule(.linear, peak: Double(rate), total: 400)
      for step in 0..<400 {
        x.gradient = nil
        (x - target).squared().sum().backward()
        optimizer.step(rate: Float(schedule.rate(step)))
      }
      for (a, b) in zip(x.values, target.values) { #expect(abs(a - b) < 0.01, "\(name)") }
      #expect(optimizer.stepCount == 400)
    }
  }

  @Test("AdamW's first steps are those of the paper")
  func adamByHand() {
    let x = Tensor([1, -1], shape: [1, 2], requiresGradient: true)
    let optimizer = AdamW([Parameter("x", x)], epsilon: 0, decay: 0.1)
    x.gradient = [0.5, -2]
    optimizer.step(rate: 0.01)
    // The first step has length rate, whatever the gradient; weights shrink by rate · decay.
    #expect(abs(x.values[0] - (0.999 - 0.01)) < 1e-6)
    #expect(abs(x.values[1] - (-0.999 + 0.01)) < 1e-6)
    #expect(optimizer.state["first"]?[0].map { ($0 * 1000).rounded() } == [50, -200])
  }

  @Test("clipping shortens all gradients together")
  func clipping() {
    let parameters = [[Float(3)], [4]].map {
      Parameter("p", Tensor([0], shape: [1], requiresGradient: true).with(gradient: $0))
    }
    #expect(parameters.clipGradients(10) == 5)
    #expect(parameters.map { $0.tensor.gradient } == [[3], [4]])
    #expect(parameters.clipGradients(1) == 5)
    #expect(abs(parameters.gradientNorm - 1) < 1e-6)
  }

  @Test("schedules warm up, fall, and stop at their floor")
  func schedules() {
    let cosine = Schedule(.cosine, peak: 2, floor: 0.1, warmUp: 4, total: 104)
    #expect(cosine.rate(0) == 0.5)
    #expect(cosine.rate(3) == 2)
    #expect(abs(cosine.rate(54) - 1.1) < 1e-9)
    #expect(abs(cosine.rate(104) - 0.2) < 1e-9)
    #expect(abs(cosine.rate(1000) - 0.2) < 1e-9)
    #expect(Schedule(.constant, peak: 3, total: 5).rate(4) == 3)
    #expect(Schedule(.linear, peak: 4, total: 8).rate(4) == 2)
  }

  @Test("the moving average follows the parameters and changes places with them")
  func movingAverage() {
    let x = Tensor([0], shape: [1], requiresGradient: true)
    let parameters = [Parameter("x", x)]
    var average = MovingAverage(parameters, decay: 0.75)
    x.values = [4]
    average.add(parameters)
    #expect(average.values == [[1]])
    average.exchange(parameters)
    #expect(x.values == [1])
    average.exchange(parameters)
    #expect(x.values == [4] && average.values == [[1]])
  }

  @Test("convolution layers and parameters' names")
  func convolutionLayer() {
    var initializer = Initializer(seed: 3)
    let layer = Convolution2D(2, 3, window: (3, 3), padding: (1, 1), &initializer)
    #expect(layer(.filled(1, [1, 2, 4, 5])).shape == [1, 3, 4, 5])
    #expect(layer.parameters.named("stem").map(\.name) == ["stem.weight", "stem.bias"])
    #expect(layer.parameters.map(\.decays) == [true, false])
    #expect(layer.parameters.valueCount == 57)
    var again = Initializer(seed: 3)
    #expect(again.normal([3, 2, 3, 3], deviation: 1).values != layer.weight.values)
    var same = Initializer(seed: 3)
    #expect(
      Convolution2D(2, 3, window: (3, 3), &same).weight.values == layer.weight.values)
  }
}

extension Tensor {
  fileprivate func with(gradient: [Float]) -> Tensor {
    self.gradient = gradient
    return self
  }
}
