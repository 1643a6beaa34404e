extension Tensor {
  /// The same values in another shape. One size may be -1: what is left.
  public func reshaped(_ shape: [Int]) -> Tensor {
    var shape = shape
    if let open = shape.firstIndex(of: -1) {
      let known = shape.reduce(1) { $1 == -1 ? $0 : $0 * $1 }
      shape[open] = known == 0 ? 0 : count / known
    }
    require(shape.reduce(1, *) == count, "shape \(self.shape) as \(shape)")
    return Tensor(values, shape: shape, inputs: [self]) { [self] in accumulate($0) }
  }

  /// Repeats dimensions of size 1, and adds leading ones, to reach `shape`.
  public func broadcast(to shape: [Int]) -> Tensor {
    require(Broadcasting.shape(self.shape, shape) == shape, "shape \(self.shape) to \(shape)")
    return Tensor(
      Broadcasting.expand(values, from: self.shape, to: shape), shape: shape, inputs: [self]
    ) { [self] in accumulate(Broadcasting.reduce($0, from: shape, to: self.shape)) }
  }

  /// Dimensions in another order: dimension i of the result is dimension `axes[i]` of this one.
  public func permuted(_ axes: [Int]) -> Tensor {
    let axes = axes.map(normalized)
    require(axes.sorted() == Array(shape.indices), "dimensions \(axes) of shape \(shape)")
    let result = Self.permute(values, shape, axes)
    var inverse = axes
    for (place, axis) in axes.enumerated() { inverse[axis] = place }
    return Tensor(result, shape: axes.map { shape[$0] }, inputs: [self]) { [self] gradient in
      accumulate(Self.permute(gradient, axes.map { shape[$0] }, inverse))
    }
  }

  /// The last two dimensions exchanged.
  public func transposed() -> Tensor {
    require(rank >= 2, "the transpose of shape \(shape)")
    return permuted(Array(0..<(rank - 2)) + [rank - 1, rank - 2])
  }

  private static func permute(_ values: [Float], _ shape: [Int], _ axes: [Int]) -> [Float] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    // Runs that stay together are copied as one.
    var run = 1
    var kept = axes.count
    while kept > 0, axes[kept - 1] == kept - 1 {
      kept -= 1
      run *= shape[kept]
    }
    let sizes = axes[..<kept].map { shape[$0] }
    let steps = axes[..<kept].map { strides[$0] }
    return values.withUnsafeBufferPointer { values in
      makeArray(values.count) { result in
        guard let from = values.baseAddress, let to = result.baseAddress, run > 0 else { return }
        var counters = [Int](repeating: 0, count: kept)
        var place = 0
        for begin in stride(from: 0, to: values.count, by: run) {
          (to + begin).update(from: from + place, count: run)
          var axis = kept - 1
          while axis >= 0 {
            counters[axis] += 1
            place += steps[axis]
            if counters[axis] < sizes[axis] { break }
            place -= steps[axis] * sizes[axis]
            counters[axis] = 0
            axis -= 1
          }
        }
      }
    }
  }

  /// A part of one dimension.
  public func sliced(_ axis: Int, _ range: Range<Int>) -> Tensor {
    let axis = normalized(axis)
    require(
      range.lowerBound >= 0 && range.upperBound <= shape[axis],
      "\(range) of dimension \(axis) of \(shape)")
    let (outer, size, inner) = split(at: axis)
    var sliced = shape
    sliced[axis] = range.count
    let width = range.count * inner
    let result = values.withUnsafeBufferPointer { values in
      makeArray(outer * width) { result in
        guard width > 0, let from = values.baseAddress, let to = result.baseAddress else { return }
        for block in 0..<outer {
          (to + block * width).update(
            from: from + (block * size + range.lowerBound) * inner, count: width)
        }
      }
    }
    return Tensor(result, shape: sliced, inputs: [self]) { [self] gradient in
      addToGradient { sum in
        for block in 0..<outer {
          for index in 0..<width {
            sum[(block * size + range.lowerBound) * inner + index] +=
              gradient[block * width + index]
          }
        }
      }
    }
  }

  /// Tensors one after the other along one dimension; all others must agree.
  public static func concatenated(_ tensors: [Tensor], _ axis: Int) -> Tensor {
    guard let first = tensors.first else { return Tensor.zeros([0]) }
    let axis = first.normalized(axis)
    var shape = first.shape
    shape[axis] = 0
    for tensor in tensors {
      require(
        tensor.rank == first.rank
          && shape.indices.allSatisfy { $0 == axis || tensor.shape[$0] == shape[$0] },
        "\(tensor.shape) beside \(first.shape) along dimension \(axis)")
      shape[axis] += tensor.shape[axis]
    }
    let (outer, _, inner) = first.split(at: axis)
    let total = shape[axis] * inner
    let widths = tensors.map { $0.shape[axis] * inner }
    let result = makeArray(outer * total) { result in
      var begin = 0
      for (tensor, width) in zip(tensors, widths) {
        tensor.values.withUnsafeBufferPointer { values in
          guard width > 0, let from = values.baseAddress, let to = result.baseAddress else {
            return
          }
          for block in 0..<outer {
            (to + block * total + begin).update(from: from + block * width, count: width)
          }
        }
        begin += width
      }
    }
    return Tensor(result, shape: shape, inputs: tensors) { gradient in
      var begin = 0
      for (tensor, width) in zip(tensors, widths) {
        tensor.addToGradient { sum in
          for block in 0..<outer {
            for index in 0..<width {
              sum[block * width + index] += gradient[block * total + begin + index]
            }
          }
        }
        begin += width
      }
    }
  }
}
