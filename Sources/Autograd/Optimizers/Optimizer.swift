import Foundation

/// Changes parameters by their gradients.
///
/// The state is plain arrays with names, so that a checkpoint holds all of it.
public protocol Optimizer: AnyObject {
  /// What is changed, in order.
  var parameters: [Parameter] { get }
  /// Steps taken.
  var stepCount: Int { get set }
  /// Arrays that a resumed training needs: one for each parameter and name.
  var state: [String: [[Float]]] { get set }

  /// Takes a step along the gradients, which it leaves as they are. Parameters without one stay.
  func step(rate: Float)
}

/// Stochastic gradient descent with momentum: v := μ v + g, w := w - rate · v.
public final class SGD: Optimizer {
  /// What is changed.
  public let parameters: [Parameter]
  /// Steps taken.
  public var stepCount = 0
  private let momentum: Float
  private let decay: Float
  private var velocity: [[Float]]

  /// - Parameter decay: part of each weight that is added to its gradient.
  public init(_ parameters: [Parameter], momentum: Float = 0, decay: Float = 0) {
    self.parameters = parameters
    self.momentum = momentum
    self.decay = decay
    velocity = parameters.map { [Float](repeating: 0, count: momentum == 0 ? 0 : $0.tensor.count) }
  }

  /// `velocity`.
  public var state: [String: [[Float]]] {
    get { ["velocity": velocity] }
    set { velocity = newValue["velocity"] ?? velocity }
  }

  /// Takes a step.
  public func step(rate: Float) {
    stepCount += 1
    for (index, parameter) in parameters.enumerated() {
      guard let gradient = parameter.tensor.gradient else { continue }
      let decay = parameter.decays ? decay : 0
      let momentum = momentum
      update(parameter.tensor, gradient, &velocity[index]) { w, g, v, place in
        let change = g[place] + decay * w[place]
        if momentum == 0 {
          w[place] -= rate * change
        } else {
          v[place] = momentum * v[place] + change
          w[place] -= rate * v[place]
        }
      }
    }
  }
}

/// Adam with weight decay apart from the gradient (Loshchilov and Hutter, arXiv 1711.05101).
public final class AdamW: Optimizer {
  /// What is changed.
  public let parameters: [Parameter]
  /// Steps taken.
  public var stepCount = 0
  private let beta1: Float
  private let beta2: Float
  private let epsilon: Float
  private let decay: Float
  private var first: [[Float]]
  private var second: [[Float]]

  /// - Parameters:
  ///   - beta1: decay of the mean of gradients; `beta2` of their squares.
  ///   - epsilon: added to the root of the mean square.
  ///   - decay: part of the rate by which weights shrink each step.
  public init(
    _ parameters: [Parameter], beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
    decay: Float = 0.01
  ) {
    self.parameters = parameters
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.decay = decay
    first = parameters.map { [Float](repeating: 0, count: $0.tensor.count) }
    second = first
  }

  /// `first` and `second` moments.
  public var state: [String: [[Float]]] {
    get { ["first": first, "second": second] }
    set {
      first = newValue["first"] ?? first
      second = newValue["second"] ?? second
    }
  }

  /// Takes a step.
  public func step(rate: Float) {
    stepCount += 1
    let (beta1, beta2, epsilon) = (beta1, beta2, epsilon)
    let correction1 = Float(1 - Foundation.pow(Double(beta1), Double(stepCount)))
    let correction2 = Float((1 - Foundation.pow(Double(beta2), Double(stepCount))).squareRoot())
    for (index, parameter) in parameters.enumerated() {
      guard let gradient = parameter.tensor.gradient else { continue }
      let shrink = parameter.decays ? 1 - rate * decay : 1
      second[index].withUnsafeMutableBufferPointer { v in
        update(parameter.tensor, gradient, &first[index]) { w, g, m, place in
          m[place] = beta1 * m[place] + (1 - beta1) * g[place]
          v[place] = beta2 * v[place] + (1 - beta2) * g[place] * g[place]
          let scale = v[place].squareRoot() / correction2 + epsilon
          w[place] = w[place] * shrink - rate * (m[place] / correction1) / scale
        }
      }
    }
  }
}

/// Steps of one size along the sign of a mean of gradients (Chen et al., arXiv 2302.06675).
public final class Lion: Optimizer {
  /// What is changed.
  public let parameters: [Parameter]
  /// Steps taken.
  public var stepCount = 0
  private let beta1: Float
  private let beta2: Float
  private let decay: Float
  private var mean: [[Float]]

  /// - Parameters:
  ///   - beta1: weight of the mean in the step; `beta2` in the next mean.
  ///   - decay: part of the rate by which weights shrink each step.
  public init(
    _ parameters: [Parameter], beta1: Float = 0.9, beta2: Float = 0.99, decay: Float = 0
  ) {
    self.parameters = parameters
    self.beta1 = beta1
    self.beta2 = beta2
    self.decay = decay
    mean = parameters.map { [Float](repeating: 0, count: $0.tensor.count) }
  }

  /// `mean`.
  public var state: [String: [[Float]]] {
    get { ["mean": mean] }
    set { mean = newValue["mean"] ?? mean }
  }

  /// Takes a step.
  public func step(rate: Float) {
    stepCount += 1
    let (beta1, beta2) = (beta1, beta2)
    for (index, parameter) in parameters.enumerated() {
      guard let gradient = parameter.tensor.gradient else { continue }
      let shrink = parameter.decays ? 1 - rate * decay : 1
      update(parameter.tensor, gradient, &mean[index]) { w, g, m, place in
        let direction = beta1 * m[place] + (1 - beta1) * g[place]
        let sign: Float = direction > 0 ? 1 : direction < 0 ? -1 : 0
        w[place] = w[place] * shrink - rate * sign
        m[place] = beta2 * m[place] + (1 - beta2) * g[place]
      }
    }
  }
}

/// Calls `body` for each place of a parameter.
@inline(__always)
private func update(
  _ tensor: Tensor, _ gradient: [Float], _ state: inout [Float],
  _ body: (
    UnsafeMutableBufferPointer<Float>, UnsafeBufferPointer<Float>,
    UnsafeMutableBufferPointer<Float>, Int
  ) -> Void
) {
  tensor.values.withUnsafeMutableBufferPointer { values in
    gradient.withUnsafeBufferPointer { gradient in
      state.withUnsafeMutableBufferPointer { state in
        for place in 0..<values.count { body(values, gradient, state, place) }
      }
    }
  }
}

extension Array where Element == Parameter {
  /// Length of all gradients together.
  public var gradientNorm: Double {
    reduce(0.0) { total, parameter in
      (parameter.tensor.gradient ?? []).reduce(total) { $0 + Double($1) * Double($1) }
    }.squareRoot()
  }

  /// Multiplies all gradients.
  public func scaleGradients(_ factor: Float) {
    for parameter in self where parameter.tensor.gradient != nil {
      parameter.tensor.gradient = parameter.tensor.gradient.map { mapped($0) { $0 * factor } }
    }
  }

  /// Shortens the gradients together to length `limit`, if they are longer.
  /// - Returns: their length before.
  @discardableResult
  public func clipGradients(_ limit: Double) -> Double {
    let norm = gradientNorm
    if norm > limit, norm.isFinite { scaleGradients(Float(limit / norm)) }
    return norm
  }
}

/// A mean of the parameters over time, which often predicts better than their last values.
public struct MovingAverage {
  /// The means, in the order of the parameters.
  public var values: [[Float]]
  private let decay: Float

  /// Begins with the present values.
  public init(_ parameters: [Parameter], decay: Float = 0.999) {
    values = parameters.map(\.tensor.values)
    self.decay = decay
  }

  /// Adds the present values: mean := decay · mean + (1 - decay) · value.
  public mutating func add(_ parameters: [Parameter]) {
    for (index, parameter) in parameters.enumerated() {
      let decay = decay
      values[index] = mapped(values[index], parameter.tensor.values) {
        decay * $0 + (1 - decay) * $1
      }
    }
  }

  /// Exchanges the parameters' values with the means; again to undo it.
  public mutating func exchange(_ parameters: [Parameter]) {
    for (index, parameter) in parameters.enumerated() {
      swap(&values[index], &parameter.tensor.values)
    }
  }
}
