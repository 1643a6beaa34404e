import CKernels

/// The best of many values, without sorting the rest.
public enum LargestValues {
  /// Indices of the `count` largest of `values`, the largest first and the lower index first among
  /// equals: all of them if there are fewer. Nil if any value is NaN.
  ///
  /// - Complexity: one pass over the values, and a heap of `count` over the few that may be among
  ///   the largest.
  public static func indices(of values: UnsafeBufferPointer<Float>, count: Int) -> [Int32]? {
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
    return unordered ? nil : indices
  }

  /// Index of the largest of `values`, the lowest of equal ones; -1 if there are none. Nil if any
  /// value is NaN. Allocates nothing.
  public static func index(of values: UnsafeBufferPointer<Float>) -> Int? {
    guard let start = values.baseAddress, let total = Int32(exactly: values.count) else {
      return -1
    }
    var best: Int32 = -1
    return ft_top_k(start, total, 1, &best) < 0 ? nil : Int(best)
  }
}
