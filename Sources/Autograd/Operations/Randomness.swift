import Compute
import Foundation

extension RandomStream.Purpose {
  /// Values that dropout sets to zero.
  public static let dropout = Self(rawValue: 16)
  /// Noise of `Tensor.gumbelSoftmax`.
  public static let gumbel = Self(rawValue: 17)
  /// First values of parameters.
  public static let initialization = Self(rawValue: 18)
  /// Order and choice of training data.
  public static let data = Self(rawValue: 19)
}

extension Tensor {
  /// Sets values to zero with probability `rate`, and scales the others so that the mean stays.
  ///
  /// Which ones is a function of seed, `layer` and `step` alone: a checkpointed segment that is run
  /// twice, or a resumed training, drops the same.
  ///
  /// - Parameters:
  ///   - rate: 0 for none; below 1.
  ///   - layer: tells the dropouts of one step apart.
  ///   - step: number of the training step.
  public func dropout(_ rate: Float, seed: UInt64, layer: Int, step: Int) -> Tensor {
    require(rate >= 0 && rate < 1, "a dropout rate of \(rate)")
    guard rate > 0 else { return self }
    let stream = RandomStream(
      seed: seed ^ (UInt64(truncatingIfNeeded: layer) << 40), purpose: .dropout)
    let bound = UInt32(Double(rate) * 0x1p32)
    let scale = 1 / (1 - rate)
    var mask = [Float](repeating: 0, count: count)
    for block in 0..<(count + 3) / 4 {
      let bits = stream.bits(position: step, block: block)
      for lane in 0..<min(4, count - 4 * block) {
        mask[4 * block + lane] = bits[lane] < bound ? 0 : scale
      }
    }
    return Tensor(mapped(values, mask, *), shape: shape, inputs: [self]) { [self] gradient in
      accumulate(mapped(gradient, mask, *))
    }
  }

  /// Values of `hard` with the gradient of this tensor: what is not differentiable is passed by
  /// (Bengio, Léonard and Courville, arXiv 1308.3432).
  public func straightThrough(_ hard: Tensor) -> Tensor {
    require(hard.shape == shape, "values of \(hard.shape) for \(shape)")
    return Tensor(hard.values, shape: shape, inputs: [self]) { [self] in accumulate($0) }
  }

  /// A draw from the distribution of each row of logits that can be differentiated: the softmax of
  /// (logits + Gumbel noise) / temperature (Jang, Gu and Poole, arXiv 1611.01144).
  ///
  /// - Parameters:
  ///   - step: the noise of each value is a function of seed, step and place.
  ///   - hard: give the drawn class as 0 and 1, with the gradient of the soft draw.
  public func gumbelSoftmax(
    temperature: Float = 1, seed: UInt64, step: Int, hard: Bool = false
  ) -> Tensor {
    require(temperature > 0, "a temperature of \(temperature)")
    let stream = RandomStream(seed: seed, purpose: .gumbel)
    let noise = (0..<count).map { Float(stream.gumbel(position: step, token: $0)) }
    let soft = ((self + Tensor(noise, shape: shape)) / temperature).softmax()
    guard hard else { return soft }
    var draw = [Float](repeating: 0, count: count)
    let width = lastSize
    for row in 0..<rowCount {
      let place = (row * width..<(row + 1) * width).max { soft.values[$0] < soft.values[$1] }
      draw[place ?? row * width] = 1
    }
    return soft.straightThrough(Tensor(draw, shape: shape))
  }
}
