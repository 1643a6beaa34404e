import CKernels

/// The best of many values, without sorting the rest.
public enum LargestValues {
  /// Indices of the `count` largest of `values`, the largest first and the lower index first among
  /// equals: all of them if there are fewer. Nil if any value is NaN.
  ///
  /// - Complexity: one pass over the values, and a heap of `count` over the few that may be among
  ///   the largest.
  public static func indices(of values: UnsafeBufferPointer<Float>, count: Int) -> [Int]? {
    let kept = max(0, min(count, values.count, Int(Int32.max)))
    guard let start = values.baseAddress, kept > 0, let total = Int32(exactly: values.count) else {
      return []
    }
    var unordered = false
    let indices = [Int32](unsafeUninitializedCapacity: kept) { buffer, written in
      let found = ft_top_k(start, total, Int32(kept), buffer.baseAddress)
      unordered = found < 0
      written = max(0, Int(found))
    }
    return unordered ? nil : indices.map { Int($0) }
  }
}
