extension Tensor {
  /// Rows of this table by number: the embedding of tokens.
  ///
  /// - Parameter rows: each below the size of the first dimension, repeated or not.
  /// - Returns: [rows, rest of the shape…].
  public func gathered(_ rows: [Int32]) -> Tensor { gathered(0, rows) }

  /// Entries of one dimension by number, in any order, repeated or not.
  public func gathered(_ axis: Int, _ indices: [Int32]) -> Tensor {
    let axis = normalized(axis)
    let (outer, size, inner) = split(at: axis)
    require(
      indices.allSatisfy { $0 >= 0 && Int($0) < size },
      "an index outside dimension \(axis) of \(shape)")
    var gatheredShape = shape
    gatheredShape[axis] = indices.count
    let result = values.withUnsafeBufferPointer { values in
      makeArray(outer * indices.count * inner) { result in
        guard inner > 0, let from = values.baseAddress, let to = result.baseAddress else { return }
        for block in 0..<outer {
          for (place, index) in indices.enumerated() {
            (to + (block * indices.count + place) * inner).update(
              from: from + (block * size + Int(index)) * inner, count: inner)
          }
        }
      }
    }
    return Tensor(result, shape: gatheredShape, inputs: [self]) { [self] gradient in
      addToGradient { sum in
        Self.scatter(gradient, indices, into: sum, outer: outer, size: size, inner: inner)
      }
    }
  }

  /// The opposite of `gathered`: entry i of a dimension is added to entry `indices[i]` of a result of
  /// `size` entries; the others are 0.
  public func scattered(_ axis: Int, _ indices: [Int32], size: Int) -> Tensor {
    let axis = normalized(axis)
    let (outer, count, inner) = split(at: axis)
    require(count == indices.count, "\(indices.count) indices for dimension \(axis) of \(shape)")
    require(indices.allSatisfy { $0 >= 0 && Int($0) < size }, "an index is not below \(size)")
    var scatteredShape = shape
    scatteredShape[axis] = size
    let result = makeArray(outer * size * inner) { result in
      result.update(repeating: 0)
      guard let sum = result.baseAddress else { return }
      Self.scatter(values, indices, into: sum, outer: outer, size: size, inner: inner)
    }
    return Tensor(result, shape: scatteredShape, inputs: [self]) { [self] gradient in
      addToGradient { sum in
        for block in 0..<outer {
          for (place, index) in indices.enumerated() {
            let (to, from) = ((block * count + place) * inner, (block * size + Int(index)) * inner)
            for step in 0..<inner { sum[to + step] += gradient[from + step] }
          }
        }
      }
    }
  }

  private static func scatter(
    _ values: [Float], _ indices: [Int32], into sum: UnsafeMutablePointer<Float>, outer: Int,
    size: Int, inner: Int
  ) {
    values.withUnsafeBufferPointer { values in
      for block in 0..<outer {
        for (place, index) in indices.enumerated() {
          let to = sum + (block * size + Int(index)) * inner
          let from = (block * indices.count + place) * inner
          for step in 0..<inner { to[step] += values[from + step] }
        }
      }
    }
  }

  /// One value of each vector along the last dimension.
  ///
  /// - Parameter indices: one for each vector.
  /// - Returns: the shape without its last dimension.
  public func picked(_ indices: [Int32]) -> Tensor {
    let width = lastSize
    require(
      indices.count == rowCount && indices.allSatisfy { $0 >= 0 && Int($0) < width },
      "\(indices.count) indices for the vectors of shape \(shape)")
    let result = indices.enumerated().map { values[$0 * width + Int($1)] }
    return Tensor(result, shape: Array(shape.dropLast()), inputs: [self]) { [self] gradient in
      addToGradient { sum in
        for (row, index) in indices.enumerated() { sum[row * width + Int(index)] += gradient[row] }
      }
    }
  }
}
