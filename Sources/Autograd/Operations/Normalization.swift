extension Tensor {
  /// x / √(mean of x² + ε) · weight along the last dimension (Zhang and Sennrich, arXiv 1910.07467).
  ///
  /// - Parameter weight: [size of the last dimension].
  public func rmsNorm(_ weight: Tensor, epsilon: Float = 1e-5) -> Tensor {
    let width = lastSize
    require(weight.shape == [width], "a weight of shape \(weight.shape) for rows of \(width)")
    let rows = rowCount
    var scales = [Float](repeating: 0, count: rows)
    let result = values.withUnsafeBufferPointer { x in
      weight.values.withUnsafeBufferPointer { w in
        makeArray(x.count) { y in
          for row in 0..<rows {
            let begin = row * width
            var squares = 0.0
            for index in 0..<width { squares += Double(x[begin + index] * x[begin + index]) }
            let scale = Float(1 / (squares / Double(width) + Double(epsilon)).squareRoot())
            scales[row] = scale
            for index in 0..<width { y[begin + index] = x[begin + index] * scale * w[index] }
          }
        }
      }
    }
    return Tensor(result, shape: shape, inputs: [self, weight]) { [self, weight] g in
      let x = values
      let w = weight.values
      accumulate(
        makeArray(x.count) { change in
          for row in 0..<rows {
            let begin = row * width
            var inner = 0.0
            for index in 0..<width {
              inner += Double(g[begin + index] * w[index] * x[begin + index])
            }
            let scale = scales[row]
            let pull = Float(inner / Double(width)) * scale * scale * scale
            for index in 0..<width {
              change[begin + index] = g[begin + index] * w[index] * scale - x[begin + index] * pull
            }
          }
        })
      weight.addToGradient { sum in
        for row in 0..<rows {
          let begin = row * width
          for index in 0..<width { sum[index] += g[begin + index] * x[begin + index] * scales[row] }
        }
      }
    }
  }

  /// (x - mean) / √(variance + ε) · weight + bias along the last dimension (Ba, Kiros and Hinton,
  /// arXiv 1607.06450).
  public func layerNorm(_ weight: Tensor, _ bias: Tensor, epsilon: Float = 1e-5) -> Tensor {
    let width = lastSize
    require(
      weight.shape == [width] && bias.shape == [width],
      "weights of \(weight.shape) and \(bias.shape) for rows of \(width)")
    let rows = rowCount
    var scales = [Float](repeating: 0, count: rows)
    // x without mean and scale; kept for the gradient.
    let normal = values.withUnsafeBufferPointer { x in
      makeArray(x.count) { y in
        for row in 0..<rows {
          let begin = row * width
          var mean = 0.0
          for index in 0..<width { mean += Double(x[begin + index]) }
          mean /= Double(width)
          var squares = 0.0
          for index in 0..<width {
            let difference = Double(x[begin + index]) - mean
            squares += difference * difference
          }
          let scale = 1 / (squares / Double(width) + Double(epsilon)).squareRoot()
          scales[row] = Float(scale)
          for index in 0..<width {
            y[begin + index] = Float((Double(x[begin + index]) - mean) * scale)
          }
        }
      }
    }
    let (w, b) = (weight.values, bias.values)
    let result = makeArray(normal.count) { y in
      for index in normal.indices { y[index] = normal[index] * w[index % width] + b[index % width] }
    }
    return Tensor(result, shape: shape, inputs: [self, weight, bias]) { [self, weight, bias] g in
      accumulate(
        makeArray(normal.count) { change in
          for row in 0..<rows {
            let begin = row * width
            var (total, inner) = (0.0, 0.0)
            for index in 0..<width {
              let value = Double(g[begin + index] * w[index])
              total += value
              inner += value * Double(normal[begin + index])
            }
            let (meanTotal, meanInner) = (
              Float(total / Double(width)), Float(inner / Double(width))
            )
            for index in 0..<width {
              change[begin + index] =
                scales[row]
                * (g[begin + index] * w[index] - meanTotal - normal[begin + index] * meanInner)
            }
          }
        })
      weight.accumulate(Broadcasting.reduce(mapped(g, normal, *), from: shape, to: [width]))
      bias.accumulate(Broadcasting.reduce(g, from: shape, to: [width]))
    }
  }
}
