import Foretoken

/// Figures of repeated runs.
struct Samples {
  private let sorted: [Double]

  /// - Parameter values: one or more.
  init(_ values: [Double]) { sorted = values.sorted() }

  /// The middle value, or the mean of the two in the middle; 0 without values.
  var median: Double {
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// The value below which a share `part` of the values lies, between neighbours in proportion; 0
  /// without values.
  func quantile(_ part: Double) -> Double {
    guard let last = sorted.indices.last else { return 0 }
    let place = min(max(part, 0), 1) * Double(last)
    let low = Int(place)
    let high = min(low + 1, last)
    return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
  }

  var minimum: Double { sorted.first ?? 0 }
  var maximum: Double { sorted.last ?? 0 }

  /// The spread as text: `151 – 163`.
  var spread: String { "\(readableNumber(minimum)) – \(readableNumber(maximum))" }

  /// The same figures in another unit.
  func scaled(by factor: Double) -> Samples { Samples(sorted.map { $0 * factor }) }

  var json: JSONValue {
    ["median": rounded(median), "min": rounded(minimum), "max": rounded(maximum)]
  }
}

/// Seconds that `body` takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  return try clock.measure(body) / .seconds(1)
}
