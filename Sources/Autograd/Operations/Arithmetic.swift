import Foundation

/// Applies `function` to each value.
@inline(__always)
func mapped(_ x: [Float], _ function: (Float) -> Float) -> [Float] {
  x.withUnsafeBufferPointer { x in
    makeArray(x.count) { result in for index in x.indices { result[index] = function(x[index]) } }
  }
}

/// Applies `function` to each pair of values.
@inline(__always)
func mapped(_ x: [Float], _ y: [Float], _ function: (Float, Float) -> Float) -> [Float] {
  x.withUnsafeBufferPointer { x in
    y.withUnsafeBufferPointer { y in
      makeArray(x.count) { result in
        for index in x.indices { result[index] = function(x[index], y[index]) }
      }
    }
  }
}

extension Tensor {
  /// A function of two tensors, value by value, with broadcasting.
  ///
  /// - Parameters:
  ///   - left: derivative with respect to the left value; `right` likewise.
  @inline(__always)
  private func combined(
    _ other: Tensor, _ function: (Float, Float) -> Float,
    left: @escaping (Float, Float) -> Float, right: @escaping (Float, Float) -> Float
  ) -> Tensor {
    let wide = Broadcasting.shape(shape, other.shape)
    let a = Broadcasting.expand(values, from: shape, to: wide)
    let b = Broadcasting.expand(other.values, from: other.shape, to: wide)
    return Tensor(mapped(a, b, function), shape: wide, inputs: [self, other]) {
      [self, other] gradient in
      accumulate(
        Broadcasting.reduce(
          mapped(gradient, mapped(a, b, left), *), from: wide, to: shape))
      other.accumulate(
        Broadcasting.reduce(
          mapped(gradient, mapped(a, b, right), *), from: wide, to: other.shape))
    }
  }

  /// Sum, with broadcasting.
  public static func + (left: Tensor, right: Tensor) -> Tensor {
    let wide = Broadcasting.shape(left.shape, right.shape)
    let a = Broadcasting.expand(left.values, from: left.shape, to: wide)
    let b = Broadcasting.expand(right.values, from: right.shape, to: wide)
    return Tensor(mapped(a, b, +), shape: wide, inputs: [left, right]) { gradient in
      left.accumulate(Broadcasting.reduce(gradient, from: wide, to: left.shape))
      right.accumulate(Broadcasting.reduce(gradient, from: wide, to: right.shape))
    }
  }

  /// Difference, with broadcasting.
  public static func - (left: Tensor, right: Tensor) -> Tensor {
    left.combined(right, { $0 - $1 }, left: { _, _ in 1 }, right: { _, _ in -1 })
  }

  /// Product value by value, with broadcasting.
  public static func * (left: Tensor, right: Tensor) -> Tensor {
    left.combined(right, { $0 * $1 }, left: { $1 }, right: { a, _ in a })
  }

  /// Quotient value by value, with broadcasting.
  public static func / (left: Tensor, right: Tensor) -> Tensor {
    left.combined(right, { $0 / $1 }, left: { 1 / $1 }, right: { -$0 / ($1 * $1) })
  }

  /// Negation.
  public static prefix func - (tensor: Tensor) -> Tensor { tensor * -1 }
  /// Each value times a number.
  public static func * (left: Tensor, right: Float) -> Tensor {
    left.applying({ $0 * right }) { _, _ in right }
  }
  /// Each value times a number.
  public static func * (left: Float, right: Tensor) -> Tensor { right * left }
  /// Each value divided by a number.
  public static func / (left: Tensor, right: Float) -> Tensor {
    left.applying({ $0 / right }) { _, _ in 1 / right }
  }
  /// Each value plus a number.
  public static func + (left: Tensor, right: Float) -> Tensor {
    left.applying({ $0 + right }) { _, _ in 1 }
  }
  /// A number minus each value.
  public static func - (left: Float, right: Tensor) -> Tensor {
    right.applying({ left - $0 }) { _, _ in -1 }
  }

  /// A function of each value.
  ///
  /// - Parameter derivative: of a value and of what the function made of it.
  @inline(__always)
  func applying(
    _ function: (Float) -> Float, derivative: @escaping (Float, Float) -> Float
  ) -> Tensor {
    let result = mapped(values, function)
    return Tensor(result, shape: shape, inputs: [self]) { [self] gradient in
      accumulate(mapped(gradient, mapped(values, result, derivative), *))
    }
  }

  /// eˣ.
  public func exp() -> Tensor { applying({ Foundation.exp($0) }) { _, y in y } }
  /// Natural logarithm.
  public func log() -> Tensor { applying({ Foundation.log($0) }) { x, _ in 1 / x } }
  /// Square root.
  public func squareRoot() -> Tensor { applying({ $0.squareRoot() }) { _, y in 0.5 / y } }
  /// Square.
  public func squared() -> Tensor { applying({ $0 * $0 }) { x, _ in 2 * x } }

  // MARK: - Activations

  /// max(x, 0); its derivative at 0 is 0.
  public func relu() -> Tensor { applying({ Swift.max($0, 0) }) { x, _ in x > 0 ? 1 : 0 } }
  /// 1 / (1 + e⁻ˣ).
  public func sigmoid() -> Tensor { applying(logistic) { _, y in y * (1 - y) } }
  /// Hyperbolic tangent.
  public func tanh() -> Tensor { applying({ Foundation.tanh($0) }) { _, y in 1 - y * y } }

  /// x · sigmoid(x), also called swish.
  public func silu() -> Tensor {
    applying({ $0 * logistic($0) }) { x, y in
      let s = logistic(x)
      return s + y * (1 - s)
    }
  }

  /// x · Φ(x) with Φ the normal distribution function (Hendrycks and Gimpel, arXiv 1606.08415).
  public func gelu() -> Tensor {
    applying({ 0.5 * $0 * (1 + erf($0 * Float(0.5).squareRoot())) }) { x, _ in
      let density = Foundation.exp(-0.5 * x * x) / (2 * Float.pi).squareRoot()
      return 0.5 * (1 + erf(x * Float(0.5).squareRoot())) + x * density
    }
  }

  /// The approximation of `gelu()` by tanh that GPT-2 and Gemma use.
  public func geluTanh() -> Tensor {
    let scale = (2 / Float.pi).squareRoot()
    return applying({ x in 0.5 * x * (1 + Foundation.tanh(scale * (x + 0.044715 * x * x * x))) }) {
      x, _ in
      let t = Foundation.tanh(scale * (x + 0.044715 * x * x * x))
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x)
    }
  }
}

/// 1 / (1 + e⁻ˣ).
func logistic(_ x: Float) -> Float { 1 / (1 + Foundation.exp(-x)) }
