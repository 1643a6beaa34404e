import Transformers

/// What tends to follow two tokens: a bounded table of weighted successors for each pair.
///
/// A table that was counted from a corpus holds relative frequencies (`init(corpus:)`); a running
/// generation adds to them (`reinforce`), so that weights become scores, no longer probabilities.
///
/// Memory: about `8 * successorLimit + 35` bytes for each pair of at most `maximumPairs`, which is
/// 35 MB at the defaults when it is full. Pairs that nobody has used for longest make room for new
/// ones.
public final class TrigramTable {
  /// Most successors of a pair, where nothing else is said: the setting of ADED.
  public static let defaultSuccessorLimit = 12
  /// Most pairs, where nothing else is said.
  public static let defaultMaximumPairs = 1 << 18
  /// Largest weight that a table holds.
  public static let maximumWeight: Float = 3

  /// Most successors of a pair; the heaviest stay.
  public let successorLimit: Int
  private var index: SecondChanceIndex
  private var counts: [UInt8] = []
  private var tokens: [Int32] = []  // per pair `successorLimit`, heaviest first; likewise below
  private var weights: [Float] = []

  /// An empty table.
  ///
  /// - Parameters:
  ///   - successorLimit: 1 to 64.
  ///   - maximumPairs: at least 1.
  public init(
    successorLimit: Int = TrigramTable.defaultSuccessorLimit,
    maximumPairs: Int = TrigramTable.defaultMaximumPairs
  ) {
    self.successorLimit = min(max(successorLimit, 1), 64)
    index = SecondChanceIndex(capacity: maximumPairs)
  }

  /// Number of pairs.
  public var pairCount: Int { index.count }
  /// Most pairs.
  public var maximumPairs: Int { index.capacity }

  /// The successors of a pair with their weights, heaviest first; of equal weights the lower id.
  public func successors(of first: Int32, _ second: Int32) -> [(token: Int32, weight: Float)] {
    guard let place = place(of: first, second) else { return [] }
    return successors(at: place).map { ($0, $1) }
  }

  // MARK: Looking without allocations

  static func key(_ first: Int32, _ second: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  func place(of first: Int32, _ second: Int32) -> Int? {
    index.place(of: Self.key(first, second))
  }

  func count(at place: Int) -> Int { Int(counts[place]) }

  func token(at place: Int, _ rank: Int) -> Int32 { tokens[place * successorLimit + rank] }

  func weight(at place: Int, _ rank: Int) -> Float { weights[place * successorLimit + rank] }

  private func successors(at place: Int) -> Zip2Sequence<ArraySlice<Int32>, ArraySlice<Float>> {
    let range = place * successorLimit..<place * successorLimit + Int(counts[place])
    return zip(tokens[range], weights[range])
  }

  // MARK: Learning

  /// Adds to the weight of a tri-gram, which is made if it is not there. A newcomer to a full pair
  /// takes the place of the lightest successor: what was written last counts.
  ///
  /// - Parameters:
  ///   - boost: what is added, above 0.
  ///   - cap: largest weight; one that is larger already stays as it is.
  public func reinforce(
    _ first: Int32, _ second: Int32, _ third: Int32, by boost: Float, cap: Float
  ) {
    let place = place(of: first, second) ?? insert(Self.key(first, second))
    index.touch(place)
    let base = place * successorLimit
    var rank = (0..<count(at: place)).first { tokens[base + $0] == third }
    if rank == nil {
      let end = min(count(at: place), successorLimit - 1)
      counts[place] = UInt8(end + 1)
      tokens[base + end] = third
      weights[base + end] = 0
      rank = end
    }
    guard let rank else { return }
    weights[base + rank] = max(weights[base + rank], min(weights[base + rank] + boost, cap))
    moveUp(rank, base: base)
  }

  /// Adds to every tri-gram of `run`.
  func reinforce(_ run: ArraySlice<Int32>, by boost: Float, cap: Float) {
    guard run.count > 2 else { return }
    for last in run.startIndex + 2..<run.endIndex {
      reinforce(run[last - 2], run[last - 1], run[last], by: boost, cap: cap)
    }
  }

  /// Multiplies every weight by `factor`, in 0...1, so that what was learnt long ago fades.
  public func decay(by factor: Float) {
    let factor = min(max(factor, 0), 1)
    for index in weights.indices { weights[index] *= factor }
    // Rounding may have made two weights equal, and then the lower id comes first.
    for place in counts.indices {
      for rank in 0..<count(at: place) { moveUp(rank, base: place * successorLimit) }
    }
  }

  /// Sets all successors of a pair: the heaviest `successorLimit` of them, which must be sorted by
  /// falling weight, then rising id.
  func set(_ key: UInt64, _ sorted: [(token: Int32, weight: Float)]) {
    let place = index.place(of: key) ?? insert(key)
    let base = place * successorLimit
    for (rank, successor) in sorted.prefix(successorLimit).enumerated() {
      tokens[base + rank] = successor.token
      weights[base + rank] = successor.weight
    }
    counts[place] = UInt8(min(sorted.count, successorLimit))
  }

  /// Every pair in order of its key, with its successors.
  var contents: [(key: UInt64, successors: [(token: Int32, weight: Float)])] {
    index.entries.sorted { $0.key < $1.key }.map { entry in
      (entry.key, successors(at: entry.place).map { ($0, $1) })
    }
  }

  private func insert(_ key: UInt64) -> Int {
    let place = index.insert(key)
    if place == counts.count {
      counts.append(0)
      tokens.append(contentsOf: repeatElement(0, count: successorLimit))
      weights.append(contentsOf: repeatElement(0, count: successorLimit))
    } else {
      counts[place] = 0
    }
    return place
  }

  private func moveUp(_ rank: Int, base: Int) {
    var at = base + rank
    while at > base,
      weights[at] > weights[at - 1]
        || (weights[at] == weights[at - 1] && tokens[at] < tokens[at - 1])
    {
      weights.swapAt(at, at - 1)
      tokens.swapAt(at, at - 1)
      at -= 1
    }
  }

  /// Checks what must always hold; for tests.
  ///
  /// - Throws: `BrokenInvariant` that says what does not.
  public func checkInvariants() throws {
    guard pairCount <= maximumPairs, counts.count == pairCount,
      tokens.count == pairCount * successorLimit, weights.count == tokens.count
    else { throw BrokenInvariant(what: "the table has one record for each of its pairs") }
    for (key, successors) in contents {
      for (left, right) in zip(successors, successors.dropFirst())
      where (right.weight, left.token) >= (left.weight, right.token) {
        throw BrokenInvariant(what: "the successors of pair \(key) are in order")
      }
      guard Set(successors.map(\.token)).count == successors.count else {
        throw BrokenInvariant(what: "the successors of pair \(key) differ")
      }
    }
  }
}
