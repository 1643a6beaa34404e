/// STAND's memory: what probabilities the target gave after the latest few tokens, averaged over
/// the times they were seen.
///
/// A record holds the likeliest tokens of the model's own distribution (temperature 1, nothing
/// truncated) with their probabilities. Records of several orders lie in one table under a hash of
/// order and tokens.
///
/// Memory: about `8 * width + 35` bytes for each key of at most `maximumKeys`: 15 MB at the
/// defaults when it is full. Keys that nobody has used for longest make room for new ones.
final class ProbabilityStore {
  /// Visits beyond this weigh a record no further, so that it keeps learning.
  static let mostVisits = 64

  /// Most tokens of a record.
  let width: Int
  private var index: SecondChanceIndex
  private var counts: [UInt8] = []
  private var visits: [UInt8] = []
  private var tokens: [Int32] = []  // per key `width`, likeliest first; likewise below
  private var probabilities: [Float] = []
  private var merged: [(token: Int32, probability: Float)] = []

  /// - Parameters:
  ///   - width: 1 to 64.
  ///   - maximumKeys: at least 1.
  init(width: Int, maximumKeys: Int) {
    self.width = min(max(width, 1), 64)
    index = SecondChanceIndex(capacity: maximumKeys)
  }

  /// Number of keys.
  var count: Int { index.count }

  /// Key of the last tokens of a context.
  static func key(_ context: some BidirectionalCollection<Int32>, order: Int) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: order) &* 0x9E37_79B9_7F4A_7C15
    for token in context.suffix(order) {
      hash = (hash ^ UInt64(UInt32(bitPattern: token))) &* 0xBF58_476D_1CE4_E5B9
      hash ^= hash >> 29
    }
    return hash
  }

  /// The record of a key; nil if there is none.
  func record(_ key: UInt64) -> Record? {
    guard let place = index.place(of: key) else { return nil }
    index.touch(place)
    let range = place * width..<place * width + Int(counts[place])
    return Record(
      tokens: tokens[range], probabilities: probabilities[range], visits: Int(visits[place]))
  }

  /// A distribution as it is stored: the likeliest tokens first.
  struct Record {
    let tokens: ArraySlice<Int32>
    let probabilities: ArraySlice<Float>
    let visits: Int
  }

  /// Averages a distribution into the record of a key; a token that is missing on either side
  /// counts as 0 there, and the `width` likeliest stay.
  ///
  /// - Parameter new: different tokens, likeliest first, and their probabilities.
  func learn(_ key: UInt64, _ new: [(token: Int32, probability: Float)]) {
    let place = index.place(of: key) ?? insert(key)
    index.touch(place)
    let seen = Float(visits[place])
    let base = place * width
    merged.removeAll(keepingCapacity: true)
    for rank in 0..<Int(counts[place]) {
      merged.append((tokens[base + rank], probabilities[base + rank] * seen / (seen + 1)))
    }
    for (token, probability) in new {
      let share = probability / (seen + 1)
      if let known = merged.firstIndex(where: { $0.token == token }) {
        merged[known].probability += share
      } else {
        merged.append((token, share))
      }
    }
    merged.sort { ($0.probability, $1.token) > ($1.probability, $0.token) }
    counts[place] = UInt8(min(merged.count, width))
    visits[place] = UInt8(min(Int(visits[place]) + 1, Self.mostVisits))
    for (rank, entry) in merged.prefix(width).enumerated() {
      tokens[base + rank] = entry.token
      probabilities[base + rank] = entry.probability
    }
  }

  private func insert(_ key: UInt64) -> Int {
    let place = index.insert(key)
    if place == counts.count {
      counts.append(0)
      visits.append(0)
      tokens.append(contentsOf: repeatElement(0, count: width))
      probabilities.append(contentsOf: repeatElement(0, count: width))
    } else {
      counts[place] = 0
      visits[place] = 0
    }
    return place
  }
}
