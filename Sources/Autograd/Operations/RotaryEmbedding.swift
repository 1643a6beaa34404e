import Foundation

extension Tensor {
  /// Which values form the pairs that rotary embeddings turn.
  public enum RotaryPairs: Sendable {
    /// Value i and value i + half: most models.
    case halves
    /// Values 2i and 2i + 1: the order of the paper.
    case neighbours
  }

  /// Rotary position embedding (Su et al., arXiv 2104.09864): pair i of each vector is turned by
  /// position · base^(-2i/d).
  ///
  /// - Parameters:
  ///   - positions: of each entry of the dimension before the last.
  ///   - base: of the angles.
  public func rotated(
    _ positions: [Int], base: Double = 10000, pairs: RotaryPairs = .halves
  ) -> Tensor {
    require(
      rank >= 2 && shape[rank - 2] == positions.count && lastSize.isMultiple(of: 2),
      "\(positions.count) positions for shape \(shape)")
    let half = lastSize / 2
    var (cosines, sines) = ([Float](), [Float]())
    for position in positions {
      for pair in 0..<half {
        let angle = Double(position) * Foundation.pow(base, -Double(pair) / Double(half))
        cosines.append(Float(Foundation.cos(angle)))
        sines.append(Float(Foundation.sin(angle)))
      }
    }
    let turn = { (values: [Float], direction: Float) -> [Float] in
      makeArray(values.count) { result in
        for row in 0..<(half == 0 ? 0 : values.count / (2 * half)) {
          let place = row % positions.count * half
          for pair in 0..<half {
            let a = row * 2 * half + (pairs == .halves ? pair : 2 * pair)
            let b = pairs == .halves ? a + half : a + 1
            let (cosine, sine) = (cosines[place + pair], direction * sines[place + pair])
            result[a] = values[a] * cosine - values[b] * sine
            result[b] = values[a] * sine + values[b] * cosine
          }
        }
      }
    }
    return Tensor(turn(values, 1), shape: shape, inputs: [self]) { [self] gradient in
      accumulate(turn(gradient, -1))
    }
  }
}
