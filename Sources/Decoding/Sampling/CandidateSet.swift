import Compute

/// The tokens that are still in the running, in ascending order of id, with their logits.
///
/// All memory is allocated once, for the whole vocabulary; no operation allocates. The operations
/// that keep a best part never sort the vocabulary: they add the tokens up in 1024 buckets by
/// distance from the best one, find the bucket where the sum passes the target, and put only that
/// bucket's tokens in order.
struct CandidateSet {
  private(set) var count = 0
  private var ids: [Int32]
  private var logits: [Float]
  // Scratch, one entry per candidate: what to rank by (small is good), and what to add up.
  private var keys: [Float]
  private var weights: [Double]
  private var heap: [Int32]
  private var buckets: [Double]

  private static let bucketCount = 1024
  private static let bucketsPerUnit: Float = 32

  init(vocabularyCount: Int) {
    ids = Array(repeating: 0, count: vocabularyCount)
    logits = Array(repeating: 0, count: vocabularyCount)
    keys = Array(repeating: 0, count: vocabularyCount)
    weights = Array(repeating: 0, count: vocabularyCount)
    heap = Array(repeating: 0, count: vocabularyCount)
    buckets = Array(repeating: 0, count: Self.bucketCount)
  }

  /// Calls `body` with the candidates' ids (ascending) and logits.
  func withCandidates<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<Int32>, UnsafeBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try ids.withUnsafeBufferPointer { ids throws(Failure) in
      try logits.withUnsafeBufferPointer { logits throws(Failure) in
        try body(
          UnsafeBufferPointer(rebasing: ids[..<count]),
          UnsafeBufferPointer(rebasing: logits[..<count]))
      }
    }
  }

  /// Calls `body` with the candidates' ids and their probabilities at `temperature`.
  /// At temperature 0 the set must hold one token.
  mutating func withProbabilities<Result>(
    temperature: Double,
    _ body: (UnsafeBufferPointer<Int32>, UnsafeBufferPointer<Double>) throws -> Result
  ) rethrows -> Result {
    let best = Double(largestLogit)
    var sum = 0.0
    for index in 0..<count {
      let scaled = temperature > 0 ? (Double(logits[index]) - best) / temperature : 0
      weights[index] = ElementaryFunctions.exp(scaled)
      sum += weights[index]
    }
    for index in 0..<count { weights[index] /= sum }
    return try ids.withUnsafeBufferPointer { ids in
      try weights.withUnsafeBufferPointer { weights in
        try body(
          UnsafeBufferPointer(rebasing: ids[..<count]),
          UnsafeBufferPointer(rebasing: weights[..<count]))
      }
    }
  }

  // MARK: Filling

  /// Takes every token whose logit is above minus infinity. If some are plus infinity they share
  /// the whole probability, so only they stay, with logit 0.
  mutating func load(_ dense: UnsafeBufferPointer<Float>) {
    let isCertain = dense.contains(.infinity)
    let bound: Float = isCertain ? .greatestFiniteMagnitude : -.infinity
    var kept = 0
    ids.withUnsafeMutableBufferPointer { ids in
      logits.withUnsafeMutableBufferPointer { logits in
        for token in dense.indices where dense[token] > bound {
          ids[kept] = Int32(truncatingIfNeeded: token)
          logits[kept] = isCertain ? 0 : dense[token]
          kept += 1
        }
      }
    }
    count = kept
  }

  /// Takes one token only.
  mutating func load(onlyToken token: Int32, logit: Float) {
    ids[0] = token
    logits[0] = logit
    count = 1
  }

  // MARK: Truncation

  /// Keeps the `limit` tokens of the largest logits; of equal logits the lower ids.
  mutating func keepTop(_ limit: Int) {
    guard limit < count else { return }
    rankByLogit()
    weights.withUnsafeMutableBufferPointer { $0[..<count].update(repeating: 1) }
    keepSmallestKeys(untilWeight: Double(limit))
  }

  /// Keeps the fewest tokens of the largest logits whose probability is at least `probability`.
  mutating func keepNucleus(_ probability: Double) {
    guard count > 1 else { return }
    let total = computeWeights()
    rankByLogit()
    keepSmallestKeys(untilWeight: probability * total)
  }

  /// Keeps the fewest tokens of probability at least `probability` in sum whose surprise
  /// -log(p) is nearest to the entropy.
  mutating func keepTypical(_ probability: Double) {
    guard count > 1 else { return }
    let total = computeWeights()
    let best = Double(largestLogit)
    var meanLogit = 0.0
    for index in 0..<count where weights[index] > 0 {
      meanLogit += weights[index] * (Double(logits[index]) - best)
    }
    meanLogit /= total
    // Surprise log Z - l against entropy log Z - mean l: log Z cancels.
    for index in 0..<count {
      keys[index] = Float(abs(Double(logits[index]) - best - meanLogit))
    }
    keepSmallestKeys(untilWeight: probability * total)
  }

  /// Keeps the tokens at least `ratio` times as probable as the likeliest.
  mutating func keepAbove(ratio: Double) {
    let best = Double(largestLogit)
    let bound = ElementaryFunctions.log(ratio)
    var kept = 0
    for index in 0..<count where Double(logits[index]) - best >= bound { keep(index, at: &kept) }
    count = kept
  }

  private var largestLogit: Float {
    logits.withUnsafeBufferPointer {
      ElementaryFunctions.largest(of: UnsafeBufferPointer(rebasing: $0[..<count]))
    }
  }

  /// Sets every weight to e^(logit - largest logit) and returns their sum.
  private mutating func computeWeights() -> Double {
    let shift = largestLogit
    return logits.withUnsafeBufferPointer { logits in
      weights.withUnsafeMutableBufferPointer { weights in
        ElementaryFunctions.exponentials(
          of: UnsafeBufferPointer(rebasing: logits[..<count]), minus: shift, into: weights)
      }
    }
  }

  /// Sets the keys so that the largest logit is the best.
  private mutating func rankByLogit() {
    logits.withUnsafeBufferPointer { logits in
      keys.withUnsafeMutableBufferPointer { keys in
        for index in 0..<count { keys[index] = -logits[index] }
      }
    }
  }

  // MARK: Selection

  /// Keeps the shortest run of candidates in order of (key, id) whose weights sum to `target`, one
  /// candidate at least.
  private mutating func keepSmallestKeys(untilWeight target: Double) {
    let smallest = fillBuckets()
    var sum = 0.0
    var cut = 0
    while cut < Self.bucketCount, sum + buckets[cut] < target {
      sum += buckets[cut]
      cut += 1
    }
    // Rounding may leave the whole sum just short of a target near one: then all stay.
    guard cut < Self.bucketCount else { return }
    markSmallest(inBucket: cut, smallest, sum: sum, target: target)
    var kept = 0
    for index in 0..<count
    where keys[index] == -.infinity || Self.bucket(of: keys[index], smallest) < cut {
      keep(index, at: &kept)
    }
    count = kept
  }

  /// Adds the weights up by bucket and returns the smallest key.
  private mutating func fillBuckets() -> Float {
    keys.withUnsafeBufferPointer { keys in
      var smallest = Float.infinity
      for index in 0..<count { smallest = min(smallest, keys[index]) }
      weights.withUnsafeBufferPointer { weights in
        buckets.withUnsafeMutableBufferPointer { buckets in
          buckets.update(repeating: 0)
          for index in 0..<count {
            buckets[Self.bucket(of: keys[index], smallest)] += weights[index]
          }
        }
      }
      return smallest
    }
  }

  /// Sets the keys of the first candidates of a bucket, as many as reach `target`, to minus
  /// infinity.
  private mutating func markSmallest(
    inBucket cut: Int, _ smallest: Float, sum: Double, target: Double
  ) {
    var size = 0
    for index in 0..<count where Self.bucket(of: keys[index], smallest) == cut {
      heap[size] = Int32(truncatingIfNeeded: index)
      size += 1
    }
    for root in stride(from: size / 2 - 1, through: 0, by: -1) { siftDown(root, size: size) }
    var sum = sum
    while size > 0 {
      let first = Int(heap[0])
      keys[first] = -.infinity
      sum += weights[first]
      guard sum < target else { return }
      size -= 1
      heap[0] = heap[size]
      siftDown(0, size: size)
    }
  }

  private mutating func siftDown(_ start: Int, size: Int) {
    var root = start
    while true {
      var child = 2 * root + 1
      guard child < size else { return }
      if child + 1 < size, precedes(heap[child + 1], heap[child]) { child += 1 }
      guard precedes(heap[child], heap[root]) else { return }
      heap.swapAt(root, child)
      root = child
    }
  }

  private func precedes(_ left: Int32, _ right: Int32) -> Bool {
    let (leftKey, rightKey) = (keys[Int(left)], keys[Int(right)])
    return leftKey < rightKey || (leftKey == rightKey && left < right)
  }

  @inline(__always)
  private static func bucket(of key: Float, _ smallest: Float) -> Int {
    Int(min((key - smallest) * bucketsPerUnit, Float(bucketCount - 1)))
  }

  private mutating func keep(_ index: Int, at kept: inout Int) {
    ids[kept] = ids[index]
    logits[kept] = logits[index]
    kept += 1
  }
}
