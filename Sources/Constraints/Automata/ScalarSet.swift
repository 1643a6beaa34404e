/// A set of Unicode scalars as ascending, disjoint ranges that do not touch.
struct ScalarSet: Sendable, Equatable {
  /// First and last scalar of each range. Surrogates are never members.
  private(set) var ranges: [ClosedRange<UInt32>] = []

  static let last: UInt32 = 0x10FFFF
  static let surrogates: ClosedRange<UInt32> = 0xD800...0xDFFF

  init() {}

  init(_ ranges: [ClosedRange<UInt32>]) { self.ranges = Self.normalized(ranges) }

  init(_ scalar: UInt32) { self.init([scalar...scalar]) }

  /// Every scalar.
  static let all = ScalarSet([0...last])

  var isEmpty: Bool { ranges.isEmpty }

  func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }

  /// The scalars that are not members.
  var inverted: ScalarSet {
    var gaps: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { gaps.append(next...(range.lowerBound - 1)) }
      next = range.upperBound + 1
    }
    if next <= Self.last { gaps.append(next...Self.last) }
    return ScalarSet(gaps)
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  func intersection(_ other: ScalarSet) -> ScalarSet {
    inverted.union(other.inverted).inverted
  }

  func subtracting(_ other: ScalarSet) -> ScalarSet { intersection(other.inverted) }

  private static func normalized(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    var result: [ClosedRange<UInt32>] = []
    let parts = ranges.flatMap(withoutSurrogates).sorted { $0.lowerBound < $1.lowerBound }
    for range in parts {
      // The surrogates between two ranges are a gap that stays one.
      if let before = result.last, range.lowerBound <= before.upperBound + 1 {
        result[result.count - 1] = before.lowerBound...max(before.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  private static func withoutSurrogates(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
    let range = range.clamped(to: 0...last)
    guard range.overlaps(surrogates) else { return [range] }
    var parts: [ClosedRange<UInt32>] = []
    if range.lowerBound < surrogates.lowerBound {
      parts.append(range.lowerBound...(surrogates.lowerBound - 1))
    }
    if range.upperBound > surrogates.upperBound {
      parts.append((surrogates.upperBound + 1)...range.upperBound)
    }
    return parts
  }
}
