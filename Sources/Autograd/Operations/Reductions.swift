import Foundation

extension Tensor {
  /// The shape with the given dimensions reduced to size 1; all of them for nil.
  private func reducedShape(_ axes: [Int]?) -> [Int] {
    guard let axes else { return shape.map { _ in 1 } }
    var reduced = shape
    for axis in axes { reduced[normalized(axis)] = 1 }
    return reduced
  }

  private func droppedShape(_ axes: [Int]?) -> [Int] {
    guard let axes else { return [] }
    let dropped = Set(axes.map(normalized))
    return shape.indices.filter { !dropped.contains($0) }.map { shape[$0] }
  }

  /// A dimension counted from the front; negative ones count from the end.
  func normalized(_ axis: Int) -> Int {
    let place = axis < 0 ? axis + rank : axis
    require(shape.indices.contains(place), "dimension \(axis) of shape \(shape)")
    return place
  }

  /// Sum over the given dimensions, all of them for nil.
  ///
  /// - Parameter keepsDimensions: keep the summed dimensions with size 1.
  public func sum(_ axes: [Int]? = nil, keepsDimensions: Bool = false) -> Tensor {
    let reduced = reducedShape(axes)
    return Tensor(
      Broadcasting.reduce(values, from: shape, to: reduced),
      shape: keepsDimensions ? reduced : droppedShape(axes), inputs: [self]
    ) { [self] gradient in
      accumulate(Broadcasting.expand(gradient, from: reduced, to: shape))
    }
  }

  /// Mean over the given dimensions, all of them for nil.
  public func mean(_ axes: [Int]? = nil, keepsDimensions: Bool = false) -> Tensor {
    let sum = sum(axes, keepsDimensions: keepsDimensions)
    return sum * (Float(Swift.max(sum.count, 1)) / Float(Swift.max(count, 1)))
  }

  /// Largest value along a dimension; the first of equal ones gets the gradient.
  public func max(_ axis: Int) -> Tensor {
    let axis = normalized(axis)
    require(shape[axis] > 0, "the largest of no values (dimension \(axis) of \(shape))")
    let (outer, size, inner) = split(at: axis)
    var places = [Int](repeating: 0, count: outer * inner)
    var result = [Float](repeating: 0, count: outer * inner)
    for a in 0..<outer {
      for b in 0..<inner {
        var best = a * size * inner + b
        for step in 1..<Swift.max(size, 1) {
          let place = (a * size + step) * inner + b
          if values[place] > values[best] { best = place }
        }
        places[a * inner + b] = best
        result[a * inner + b] = values[best]
      }
    }
    return Tensor(result, shape: droppedShape([axis]), inputs: [self]) { [self] gradient in
      addToGradient { sum in
        for (index, place) in places.enumerated() { sum[place] += gradient[index] }
      }
    }
  }

  /// The tensor as [outer, size of the dimension, inner].
  func split(at axis: Int) -> (outer: Int, size: Int, inner: Int) {
    (shape[..<axis].reduce(1, *), shape[axis], shape[(axis + 1)...].reduce(1, *))
  }

  /// Probabilities along the last dimension: eˣ / Σ eˣ.
  public func softmax() -> Tensor {
    var result = values
    Softmax.apply(&result, width: lastSize)
    let width = lastSize
    return Tensor(result, shape: shape, inputs: [self]) { [self] gradient in
      accumulate(Softmax.pullback(gradient, probabilities: result, width: width))
    }
  }

  /// Logarithm of `softmax()`, without loss where probabilities are small.
  public func logSoftmax() -> Tensor {
    let width = lastSize
    var result = values
    result.withUnsafeMutableBufferPointer { result in
      for begin in stride(from: 0, to: result.count, by: Swift.max(width, 1)) {
        let row = UnsafeMutableBufferPointer(rebasing: result[begin..<begin + width])
        let offset = Softmax.logSumExp(UnsafeBufferPointer(row))
        for index in row.indices { row[index] -= offset }
      }
    }
    return Tensor(result, shape: shape, inputs: [self]) { [self] gradient in
      accumulate(
        makeArray(gradient.count) { change in
          for begin in stride(from: 0, to: gradient.count, by: Swift.max(width, 1)) {
            var total = 0.0
            for index in begin..<begin + width { total += Double(gradient[index]) }
            for index in begin..<begin + width {
              change[index] = gradient[index] - Foundation.exp(result[index]) * Float(total)
            }
          }
        })
    }
  }
}

/// Softmax of rows.
enum Softmax {
  /// eˣ of each value in place, in a form that compilers turn into vector code: 2ᵏ · p(r) with x =
  /// k log 2 + r and a polynomial of degree 6, within 2 units in the last place. Values below -87
  /// give 0.
  @inline(__always)
  static func exponential(_ x: Float) -> Float {
    let bounded = Swift.max(Swift.min(x, 88), -87)
    let k = (bounded * 1.442_695_04).rounded(.toNearestOrEven)
    let r = (bounded - k * 0.693_359_375) + k * 2.121_944_4e-4
    var p: Float = 1.0 / 720
    p = p * r + 1.0 / 120
    p = p * r + 1.0 / 24
    p = p * r + 1.0 / 6
    p = p * r + 0.5
    p = p * r + 1
    p = p * r + 1
    let power = Float(bitPattern: UInt32(bitPattern: (Int32(k) &+ 127) &<< 23))
    return x < -87 ? 0 : p * power
  }

  /// Replaces each row of `width` values by its probabilities; rows of -∞ alone by zeros.
  static func apply(_ values: inout [Float], width: Int) {
    guard width > 0 else { return }
    values.withUnsafeMutableBufferPointer { values in
      for begin in stride(from: 0, to: values.count, by: width) {
        apply(UnsafeMutableBufferPointer(rebasing: values[begin..<begin + width]))
      }
    }
  }

  /// Replaces a row by its probabilities and gives the logarithm of the sum of its exponentials.
  @discardableResult
  static func apply(_ row: UnsafeMutableBufferPointer<Float>) -> Float {
    let largest = largest(UnsafeBufferPointer(row))
    guard largest > -.infinity else {
      row.update(repeating: 0)
      return -.infinity
    }
    for index in row.indices { row[index] = exponential(row[index] - largest) }
    let total = sum(UnsafeBufferPointer(row))
    let scale = Float(1 / total)
    for index in row.indices { row[index] *= scale }
    return largest + Float(Foundation.log(total))
  }

  /// log Σ eˣ.
  static func logSumExp(_ row: UnsafeBufferPointer<Float>) -> Float {
    let largest = largest(row)
    guard largest > -.infinity else { return largest }
    var total = 0.0
    for value in row { total += Double(exponential(value - largest)) }
    return largest + Float(Foundation.log(total))
  }

  /// In eight lanes, which is the same in vector code.
  private static func largest(_ row: UnsafeBufferPointer<Float>) -> Float {
    var lanes = SIMD8<Float>(repeating: -.infinity)
    let whole = row.count / 8 * 8
    for index in stride(from: 0, to: whole, by: 8) {
      var next = SIMD8<Float>()
      for lane in 0..<8 { next[lane] = row[index + lane] }
      lanes.replace(with: next, where: next .> lanes)
    }
    return row[whole...].reduce(lanes.max()) { Swift.max($0, $1) }
  }

  private static func sum(_ row: UnsafeBufferPointer<Float>) -> Double {
    var lanes = SIMD8<Float>()
    var total = 0.0
    let whole = row.count / 8 * 8
    for index in stride(from: 0, to: whole, by: 8) {
      var next = SIMD8<Float>()
      for lane in 0..<8 { next[lane] = row[index + lane] }
      lanes += next
      // Short runs of 32-bit sums keep the error far below that of the exponentials.
      if index % 512 == 504 {
        for lane in 0..<8 { total += Double(lanes[lane]) }
        lanes = SIMD8<Float>()
      }
    }
    for lane in 0..<8 { total += Double(lanes[lane]) }
    return row[whole...].reduce(total) { $0 + Double($1) }
  }

  /// Gradient of the values from that of their probabilities.
  static func pullback(_ gradient: [Float], probabilities: [Float], width: Int) -> [Float] {
    makeArray(gradient.count) { change in
      for begin in stride(from: 0, to: gradient.count, by: Swift.max(width, 1)) {
        var inner = 0.0
        for index in begin..<begin + width {
          inner += Double(gradient[index] * probabilities[index])
        }
        for index in begin..<begin + width {
          change[index] = probabilities[index] * (gradient[index] - Float(inner))
        }
      }
    }
  }
}
