/// Directions of hidden states: rows of unit length, to be compared by their cosines.
///
/// Sums run in fixed lanes, multiply then add, so a cosine has the same bits on every machine.
struct HiddenBank {
  /// Floats of a row.
  let width: Int
  private var rows: [Float] = []
  private(set) var count = 0

  /// An empty bank.
  init(width: Int) { self.width = width }

  /// Appends a hidden state: [width]. One of length zero has the cosine 0 with everything.
  mutating func append(_ row: UnsafeBufferPointer<Float>) {
    rows.append(contentsOf: Self.unit(row))
    count += 1
  }

  /// Appends hidden states: [rows, width].
  mutating func append(rows all: UnsafeBufferPointer<Float>) {
    for begin in stride(from: 0, through: all.count - width, by: width) {
      append(UnsafeBufferPointer(rebasing: all[begin..<begin + width]))
    }
  }

  /// The largest cosine of `row` with the rows from `first` on, and which row it is; nil if there
  /// are none. Of equal ones the first.
  func nearest(to row: UnsafeBufferPointer<Float>, from first: Int = 0) -> (
    cosine: Float, row: Int
  )? {
    let unit = Self.unit(row)
    return rows.withUnsafeBufferPointer { rows in
      unit.withUnsafeBufferPointer { unit in
        var best: (cosine: Float, row: Int)?
        for index in max(first, 0)..<max(count, first, 0) {
          let begin = index * width
          let cosine = Self.dot(
            UnsafeBufferPointer(rebasing: rows[begin..<begin + width]), unit)
          if best.map({ cosine > $0.cosine }) ?? true { best = (cosine, index) }
        }
        return best
      }
    }
  }

  private static func unit(_ row: UnsafeBufferPointer<Float>) -> [Float] {
    let length = dot(row, row).squareRoot()
    guard length > 0, length.isFinite else { return [Float](repeating: 0, count: row.count) }
    return row.map { $0 / length }
  }

  private static func dot(
    _ left: UnsafeBufferPointer<Float>, _ right: UnsafeBufferPointer<Float>
  ) -> Float {
    var lanes = SIMD8<Float>.zero
    var index = 0
    while index + 8 <= left.count {
      lanes += block(left, index) * block(right, index)
      index += 8
    }
    var sum = lanes.sum()
    for rest in index..<left.count { sum += left[rest] * right[rest] }
    return sum
  }

  @inline(__always)
  private static func block(_ row: UnsafeBufferPointer<Float>, _ at: Int) -> SIMD8<Float> {
    SIMD8(
      row[at], row[at + 1], row[at + 2], row[at + 3], row[at + 4], row[at + 5], row[at + 6],
      row[at + 7])
  }
}
