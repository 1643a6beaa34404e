/// The rules by which tensors of different shapes are combined: shapes are aligned at their last
/// dimension, and a dimension of size 1, or a missing one, repeats.
enum Broadcasting {
  /// The shape of a combination.
  static func shape(_ left: [Int], _ right: [Int]) -> [Int] {
    if left == right { return left }
    let rank = max(left.count, right.count)
    return (0..<rank).map { axis in
      let a = size(left, axis, rank)
      let b = size(right, axis, rank)
      require(a == b || a == 1 || b == 1, "shapes \(left) and \(right) do not fit together")
      return a == 1 ? b : a
    }
  }

  private static func size(_ shape: [Int], _ axis: Int, _ rank: Int) -> Int {
    let own = axis - (rank - shape.count)
    return own < 0 ? 1 : shape[own]
  }

  /// The shape without leading dimensions of size 1.
  private static func stripped(_ shape: [Int]) -> ArraySlice<Int> { shape.drop { $0 == 1 } }

  /// Step of each dimension of `wide` in an array of shape `narrow`; 0 where it repeats.
  private static func strides(_ narrow: [Int], in wide: [Int]) -> [Int] {
    var strides = [Int](repeating: 0, count: wide.count)
    var step = 1
    for axis in narrow.indices.reversed() {
      let place = axis + wide.count - narrow.count
      strides[place] = narrow[axis] == 1 ? 0 : step
      step *= narrow[axis]
    }
    return strides
  }

  /// Calls `body` with the index into `narrow` for each element of `wide`, in order.
  @inline(__always)
  private static func forEach(_ narrow: [Int], in wide: [Int], _ body: (Int, Int) -> Void) {
    let total = wide.reduce(1, *)
    guard total > 0 else { return }
    let strides = strides(narrow, in: wide)
    var counters = [Int](repeating: 0, count: wide.count)
    var place = 0
    for index in 0..<total {
      body(index, place)
      var axis = wide.count - 1
      while axis >= 0 {
        counters[axis] += 1
        place += strides[axis]
        if counters[axis] < wide[axis] { break }
        place -= strides[axis] * wide[axis]
        counters[axis] = 0
        axis -= 1
      }
    }
  }

  /// The values of `tensor`, repeated to `shape`.
  static func expand(_ values: [Float], from narrow: [Int], to wide: [Int]) -> [Float] {
    if narrow == wide { return values }
    let total = wide.reduce(1, *)
    guard total > 0 else { return [] }
    if values.count == total { return values }
    if values.count == 1 { return [Float](repeating: values[0], count: total) }
    return makeArray(total) { result in
      values.withUnsafeBufferPointer { values in
        if wide.suffix(stripped(narrow).count).elementsEqual(stripped(narrow)) {
          guard let from = values.baseAddress, let to = result.baseAddress else { return }
          for begin in stride(from: 0, to: total, by: values.count) {
            (to + begin).update(from: from, count: values.count)
          }
        } else {
          forEach(narrow, in: wide) { result[$0] = values[$1] }
        }
      }
    }
  }

  /// Sums `values` of shape `wide` over the dimensions in which `narrow` repeats. Sums are kept in 64
  /// bits.
  static func reduce(_ values: [Float], from wide: [Int], to narrow: [Int]) -> [Float] {
    if narrow == wide { return values }
    let count = narrow.reduce(1, *)
    if count == values.count { return values }
    var sums = [Double](repeating: 0, count: count)
    values.withUnsafeBufferPointer { values in
      sums.withUnsafeMutableBufferPointer { sums in
        if wide.suffix(stripped(narrow).count).elementsEqual(stripped(narrow)) {
          guard count > 0 else { return }
          for begin in stride(from: 0, to: values.count, by: count) {
            for index in 0..<count { sums[index] += Double(values[begin + index]) }
          }
        } else {
          forEach(narrow, in: wide) { sums[$1] += Double(values[$0]) }
        }
      }
    }
    return sums.map(Float.init)
  }
}
