import Foundation

@testable import Decoding

/// The processors written as plainly as possible, in doubles with full sorts: what the fast ones
/// are compared with.
struct NaiveSampling {
  let options: SamplingOptions

  /// Tokens that can be drawn, with their probabilities.
  func distribution(logits: [Float], history: [Int32]) -> [Int32: Double] {
    var values = logits
    for (token, bias) in options.logitBias { values[Int(token)] += bias }
    penalize(&values, history)
    var kept = values.indices.filter { values[$0] > -.infinity }
    if values.contains(.infinity) {
      kept = kept.filter { values[$0] == .infinity }
      for token in kept { values[token] = 0 }
    }
    kept.sort { values[$0] == values[$1] ? $0 < $1 : values[$0] > values[$1] }
    if options.topK > 0 { kept = Array(kept.prefix(options.topK)) }
    if options.typicalP < 1 { kept = typical(kept, values) }
    if options.topP < 1 { kept = prefix(kept, values, mass: options.topP) }
    let best = Double(values[kept[0]])
    if options.minP > 0 {
      kept = kept.filter { Foundation.exp(Double(values[$0]) - best) >= options.minP }
    }
    guard options.temperature > 0 else { return [Int32(kept[0]): 1] }
    let weights = kept.map {
      Foundation.exp((Double(values[$0]) - best) / options.temperature)
    }
    let total = weights.reduce(0, +)
    return Dictionary(
      uniqueKeysWithValues: zip(kept, weights).map { (Int32($0), $1 / total) })
  }

  private func penalize(_ values: inout [Float], _ history: [Int32]) {
    let window = history.suffix(options.penaltyWindow ?? history.count)
    for token in Set(window) {
      let count = Float(window.filter { $0 == token }.count)
      var value = values[Int(token)]
      guard value.isFinite else { continue }
      let factor = Float(options.repetitionPenalty)
      value = value > 0 ? value / factor : value * factor
      value =
        value - count * Float(options.frequencyPenalty) - Float(options.presencePenalty)
      values[Int(token)] = value
    }
  }

  private func softmax(_ tokens: [Int], _ values: [Float]) -> [Double] {
    let best = tokens.map { Double(values[$0]) }.max() ?? 0
    let weights = tokens.map { Foundation.exp(Double(values[$0]) - best) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  private func prefix(_ sorted: [Int], _ values: [Float], mass: Double) -> [Int] {
    var sum = 0.0
    var kept: [Int] = []
    for (token, probability) in zip(sorted, softmax(sorted, values)) {
      kept.append(token)
      sum += probability
      if sum >= mass { break }
    }
    return kept
  }

  private func typical(_ tokens: [Int], _ values: [Float]) -> [Int] {
    let probabilities = softmax(tokens, values)
    let entropy = -probabilities.reduce(0) { $0 + ($1 > 0 ? $1 * Foundation.log($1) : 0) }
    let ranked = zip(tokens, probabilities).sorted { left, right in
      let distances = [left, right].map { abs(-Foundation.log($0.1) - entropy) }
      return abs(distances[0] - distances[1]) < 1e-9
        ? left.0 < right.0 : distances[0] < distances[1]
    }
    var sum = 0.0
    var kept: [Int] = []
    for (token, probability) in ranked {
      kept.append(token)
      sum += probability
      if sum >= options.typicalP { break }
    }
    return kept.sorted { values[$0] == values[$1] ? $0 < $1 : values[$0] > values[$1] }
  }
}

/// Small deterministic generator for test data (xorshift).
struct TestRandom: RandomNumberGenerator {
  var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }

  /// Sum of uniform numbers: bell-shaped, as logits are.
  mutating func logits(_ count: Int, scale: Float = 4) -> [Float] {
    (0..<count).map { _ in
      scale * ((0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &self) })
    }
  }
}
