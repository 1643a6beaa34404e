import Compute
import Transformers

/// The target's logits at the root and at every node of a tree, as the forward pass left them.
///
/// A view: valid until the engine's next pass, or as long as the memory it was made of.
public struct TreeLogits {
  private let base: UnsafePointer<Float>?
  /// Number of tokens of the model.
  public let vocabularyCount: Int
  /// Rows there are: the root's and one for each node.
  public let rowCount: Int

  /// - Parameter base: [rowCount, vocabularyCount]; the root first, then the nodes in order.
  public init(_ base: UnsafePointer<Float>?, rowCount: Int, vocabularyCount: Int) {
    self.base = base
    self.rowCount = base == nil ? 0 : rowCount
    self.vocabularyCount = vocabularyCount
  }

  /// The rows of one sequence: `count` of those that logits were asked for, from `first` on.
  init(_ output: ForwardOutput, first: Int, count: Int) {
    let row = output.logits(first)
    self.init(row.baseAddress, rowCount: count, vocabularyCount: row.count)
  }

  /// Logits after `node`: [vocabularyCount]. `TokenTree.root` for the root; empty if there is no
  /// such row.
  public subscript(_ node: Int) -> UnsafeBufferPointer<Float> {
    guard let base, node >= -1, node + 1 < rowCount else {
      return UnsafeBufferPointer(start: nil, count: 0)
    }
    return UnsafeBufferPointer(
      start: base + (node + 1) * vocabularyCount, count: vocabularyCount)
  }

  /// The `count` tokens of the largest logits after `node`, largest first; of equal ones the lower
  /// ids. Fewer if the vocabulary is smaller.
  public func topTokens(after node: Int, count: Int) -> [Int32] {
    TopTokens.largest(count, of: self[node])
  }
}

/// The largest few of many logits.
enum TopTokens {
  /// Ids of the `count` largest values, largest first; of equal ones the lower ids. Values that
  /// are not numbers are left out.
  ///
  /// Complexity: one pass over the values on usual data; nothing is sorted.
  static func largest(_ count: Int, of logits: UnsafeBufferPointer<Float>) -> [Int32] {
    LargestValues.indices(of: logits, count: count) ?? largestNumbers(count, of: logits)
  }

  /// The same where some values are not numbers.
  private static func largestNumbers(
    _ count: Int, of logits: UnsafeBufferPointer<Float>
  ) -> [Int32] {
    let count = min(count, logits.count)
    guard count > 0 else { return [] }
    var best: [Int32] = []
    best.reserveCapacity(count + 1)
    var bound = -Float.infinity
    for index in logits.indices {
      let value = logits[index]
      guard value > bound || best.count < count, value == value else { continue }
      var place = best.count
      while place > 0, logits[Int(best[place - 1])] < value { place -= 1 }
      best.insert(Int32(truncatingIfNeeded: index), at: place)
      if best.count > count { best.removeLast() }
      if best.count == count { bound = logits[Int(best[count - 1])] }
    }
    return best
  }
}
