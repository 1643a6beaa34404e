import Foundation

extension Tensor {
  /// Mean negative log-likelihood of `targets` under the softmax of this tensor's rows, without
  /// storing log-probabilities.
  ///
  /// - Parameters:
  ///   - targets: the right class of each row.
  ///   - weights: of each row in the mean; nil for 1 each.
  ///   - ignoring: rows of this class count for nothing.
  /// - Returns: a scalar; 0 if no row counts.
  public func crossEntropy(
    _ targets: [Int32], weights: [Float]? = nil, ignoring ignored: Int32 = -1
  ) -> Tensor {
    let width = lastSize
    require(
      targets.count == rowCount
        && targets.allSatisfy { $0 == ignored || ($0 >= 0 && Int($0) < width) },
      "targets for logits of shape \(shape)")
    let shares = Self.shares(targets.map { $0 != ignored }, weights)
    var change = values
    var loss = 0.0
    change.withUnsafeMutableBufferPointer { change in
      for (row, target) in targets.enumerated() {
        let logits = UnsafeMutableBufferPointer(rebasing: change[row * width..<(row + 1) * width])
        guard target != ignored else {
          logits.update(repeating: 0)
          continue
        }
        let own = logits[Int(target)]
        let offset = Softmax.apply(logits)
        loss += Double(shares[row]) * Double(offset - own)
        logits[Int(target)] -= 1
        for index in logits.indices { logits[index] *= shares[row] }
      }
    }
    return Tensor([Float(loss)], shape: [], inputs: [self]) { [self] gradient in
      accumulate(gradient[0] == 1 ? change : mapped(change) { $0 * gradient[0] })
    }
  }

  /// Mean cross-entropy -Σ t log p of the softmax of this tensor's rows against whole distributions.
  ///
  /// - Parameters:
  ///   - targets: of this tensor's shape; no gradient goes to it.
  ///   - weights: of each row in the mean; nil for 1 each.
  public func crossEntropy(distributions targets: Tensor, weights: [Float]? = nil) -> Tensor {
    require(targets.shape == shape, "targets of shape \(targets.shape) for logits of \(shape)")
    let width = lastSize
    let shares = Self.shares([Bool](repeating: true, count: rowCount), weights)
    var change = values
    var loss = 0.0
    change.withUnsafeMutableBufferPointer { change in
      targets.values.withUnsafeBufferPointer { targets in
        for row in 0..<shares.count {
          let begin = row * width
          let logits = UnsafeMutableBufferPointer(rebasing: change[begin..<begin + width])
          var inner = 0.0
          var mass = 0.0
          for index in logits.indices where targets[begin + index] != 0 {
            inner += Double(targets[begin + index]) * Double(logits[index])
            mass += Double(targets[begin + index])
          }
          let offset = Softmax.apply(logits)
          loss += Double(shares[row]) * (mass * Double(offset) - inner)
          for index in logits.indices {
            logits[index] = shares[row] * (Float(mass) * logits[index] - targets[begin + index])
          }
        }
      }
    }
    return Tensor([Float(loss)], shape: [], inputs: [self]) { [self] gradient in
      accumulate(gradient[0] == 1 ? change : mapped(change) { $0 * gradient[0] })
    }
  }

  /// Mean Kullback-Leibler divergence KL(targets ‖ softmax) over rows: the cross-entropy less the
  /// targets' own entropy, so that 0 means equal.
  public func divergence(from targets: Tensor, weights: [Float]? = nil) -> Tensor {
    let shares = Self.shares([Bool](repeating: true, count: rowCount), weights)
    var entropy = 0.0
    for (index, value) in targets.values.enumerated() where value > 0 {
      entropy -= Double(shares[index / lastSize]) * Double(value) * Foundation.log(Double(value))
    }
    return crossEntropy(distributions: targets, weights: weights) + Float(-entropy)
  }

  /// Mean of the squared differences.
  public func meanSquaredError(_ targets: Tensor) -> Tensor { (self - targets).squared().mean() }

  /// Share of each row in the mean.
  private static func shares(_ counts: [Bool], _ weights: [Float]?) -> [Float] {
    require(weights.map { $0.count == counts.count } ?? true, "one weight for each row")
    let own = counts.indices.map { counts[$0] ? Double(weights?[$0] ?? 1) : 0 }
    let total = own.reduce(0, +)
    return own.map { total > 0 ? Float($0 / total) : 0 }
  }
}
