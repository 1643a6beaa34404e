import Compute

/// Draws a token from processed logits.
///
/// Gumbel-max: the token with the largest (logit / temperature + Gumbel noise) is a sample of the
/// softmax (Gumbel, 1954; Maddison, Tarlow and Minka, arXiv 1411.0030). With noise that is a
/// function of (seed, position, token) the sample is a pure function of the logits.
enum Sampler {
  /// Index of the largest value, of equal ones the lowest; nil if none is above minus infinity.
  static func likeliest(_ logits: UnsafeBufferPointer<Float>) -> Int? {
    let largest = ElementaryFunctions.largest(of: logits)
    guard largest > -.infinity else { return nil }
    return logits.firstIndex(of: largest)
  }

  /// The token with the largest perturbed logit; of equal ones the lowest id.
  ///
  /// - Parameters:
  ///   - ids: [candidates], ascending, at least one.
  ///   - logits: [candidates], finite.
  ///   - temperature: 0 or more.
  ///   - noise: the stream of the generation's seed.
  ///   - position: number of tokens before the one drawn.
  static func choose(
    ids: UnsafeBufferPointer<Int32>, logits: UnsafeBufferPointer<Float>, temperature: Double,
    noise: RandomStream, position: Int
  ) -> Int32 {
    let likeliest = likeliest(logits) ?? 0
    guard temperature > 0, ids.count > 1 else { return ids[likeliest] }
    let top = Double(logits[likeliest])
    var draw = Draw(noise: noise, position: position)
    // The likeliest token goes first: its score rules most of the others out without their noise.
    draw.offer(ids[likeliest], score: 0)
    var distance = draw.margin * temperature
    for index in ids.indices where Double(logits[index]) - top >= distance && index != likeliest {
      if draw.offer(ids[index], score: (Double(logits[index]) - top) / temperature) {
        distance = draw.margin * temperature
      }
    }
    return draw.token
  }

  /// The best perturbed score so far. Noise is computed only for scores that can still win.
  private struct Draw {
    let noise: RandomStream
    let position: Int
    var token: Int32 = .max
    private var best = -Double.infinity
    private var block = -1
    private var bits = SIMD4<UInt32>.zero

    init(noise: RandomStream, position: Int) {
      self.noise = noise
      self.position = position
    }

    /// Scores below this lose, whatever their noise. The bound of the noise is rounded up by more
    /// than scores are by rounding.
    var margin: Double { best - RandomStream.maximumGumbel }

    /// Takes a candidate; true if it is the best so far.
    @discardableResult
    mutating func offer(_ candidate: Int32, score: Double) -> Bool {
      let id = Int(candidate)
      if id >> 2 != block {
        block = id >> 2
        bits = noise.bits(position: position, block: block)
      }
      guard score + RandomStream.gumbelBound(bits[id & 3]) >= best else { return false }
      let perturbed = score + RandomStream.gumbel(bits[id & 3])
      guard perturbed > best || (perturbed == best && candidate < token) else { return false }
      best = perturbed
      token = candidate
      return true
    }
  }
}
