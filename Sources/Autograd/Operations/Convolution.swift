extension Tensor {
  /// Convolution of images: Σ over channels and window of weight · input.
  ///
  /// - Parameters:
  ///   - weight: [channels out, channels in, window height, window width].
  ///   - bias: [channels out]; nil for none.
  ///   - stride: steps of the window, vertical and horizontal.
  ///   - padding: zeros on every side, vertical and horizontal.
  ///   - dilation: distance between neighbours in the window.
  /// - Returns: [batches, channels out, height, width], for an input of [batches, channels in, height,
  ///   width].
  public func convolved2D(
    _ weight: Tensor, bias: Tensor? = nil, stride: (Int, Int) = (1, 1),
    padding: (Int, Int) = (0, 0),
    dilation: (Int, Int) = (1, 1)
  ) -> Tensor {
    let plan = ConvolutionPlan(shape, weight.shape, stride, padding, dilation)
    let columns = plan.columns(values)
    let size = plan.outputs * plan.pixels
    let result = columns.withUnsafeBufferPointer { columns in
      weight.values.withUnsafeBufferPointer { w in
        makeArray(plan.batches * size) { result in
          guard let c = columns.baseAddress, let w = w.baseAddress, let r = result.baseAddress
          else {
            return result.update(repeating: 0)
          }
          for batch in 0..<plan.batches {
            BLAS.multiply(
              w, by: c + batch * plan.window * plan.pixels, into: r + batch * size, m: plan.outputs,
              n: plan.pixels, k: plan.window)
          }
        }
      }
    }
    let output = Tensor(result, shape: plan.resultShape, inputs: [self, weight]) {
      [self, weight] gradient in
      plan.pullback(gradient, columns, input: self, weight: weight)
    }
    return bias.map { output + $0.reshaped([plan.outputs, 1, 1]) } ?? output
  }

  /// Convolution of sequences: input [batches, channels in, length], weight [channels out, channels
  /// in, window].
  public func convolved1D(
    _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1
  ) -> Tensor {
    require(rank == 3 && weight.rank == 3, "a convolution of \(shape) with \(weight.shape)")
    let result = reshaped([shape[0], shape[1], 1, shape[2]]).convolved2D(
      weight.reshaped([weight.shape[0], weight.shape[1], 1, weight.shape[2]]), bias: bias,
      stride: (1, stride), padding: (0, padding), dilation: (1, dilation))
    return result.reshaped([result.shape[0], result.shape[1], result.shape[3]])
  }
}

/// Sizes of a convolution, which is a matrix product with the windows as columns.
private struct ConvolutionPlan {
  let batches, channels, height, width: Int
  let outputs, windowHeight, windowWidth: Int
  let resultHeight, resultWidth: Int
  let stride: (Int, Int)
  let padding: (Int, Int)
  let dilation: (Int, Int)

  /// Values of one window.
  var window: Int { channels * windowHeight * windowWidth }
  /// Windows of one image.
  var pixels: Int { resultHeight * resultWidth }
  var resultShape: [Int] { [batches, outputs, resultHeight, resultWidth] }

  init(
    _ input: [Int], _ weight: [Int], _ stride: (Int, Int), _ padding: (Int, Int),
    _ dilation: (Int, Int)
  ) {
    require(
      input.count == 4 && weight.count == 4 && input[1] == weight[1] && stride.0 > 0 && stride.1 > 0
        && dilation.0 > 0 && dilation.1 > 0 && padding.0 >= 0 && padding.1 >= 0,
      "a convolution of \(input) with \(weight)")
    (batches, channels, height, width) = (input[0], input[1], input[2], input[3])
    (outputs, windowHeight, windowWidth) = (weight[0], weight[2], weight[3])
    (self.stride, self.padding, self.dilation) = (stride, padding, dilation)
    resultHeight = (height + 2 * padding.0 - dilation.0 * (windowHeight - 1) - 1) / stride.0 + 1
    resultWidth = (width + 2 * padding.1 - dilation.1 * (windowWidth - 1) - 1) / stride.1 + 1
    require(
      height + 2 * padding.0 > dilation.0 * (windowHeight - 1)
        && width + 2 * padding.1 > dilation.1 * (windowWidth - 1),
      "a window of \(weight) is larger than \(input) with its padding")
  }

  /// Calls `body` with the place of each value of the windows, [batches, window, pixels], and of the
  /// input that it holds; nothing where that is padding.
  @inline(__always)
  private func forEach(_ body: (_ column: Int, _ input: Int) -> Void) {
    var row = 0
    for plane in 0..<batches * channels {
      for y in 0..<windowHeight {
        for x in 0..<windowWidth {
          for top in 0..<resultHeight {
            let line = top * stride.0 + y * dilation.0 - padding.0
            guard line >= 0, line < height else { continue }
            for left in 0..<resultWidth {
              let place = left * stride.1 + x * dilation.1 - padding.1
              guard place >= 0, place < width else { continue }
              body(row * pixels + top * resultWidth + left, (plane * height + line) * width + place)
            }
          }
          row += 1
        }
      }
    }
  }

  func columns(_ input: [Float]) -> [Float] {
    input.withUnsafeBufferPointer { input in
      makeArray(batches * window * pixels) { columns in
        columns.update(repeating: 0)
        forEach { columns[$0] = input[$1] }
      }
    }
  }

  func pullback(_ g: [Float], _ columns: [Float], input: Tensor, weight: Tensor) {
    g.withUnsafeBufferPointer { g in
      columns.withUnsafeBufferPointer { columns in
        guard let g = g.baseAddress, let c = columns.baseAddress else { return }
        weight.addToGradient { sum in
          for batch in 0..<batches {
            BLAS.multiply(
              g + batch * outputs * pixels, by: c + batch * window * pixels, rightTransposed: true,
              into: sum,
              m: outputs, n: window, k: pixels, keep: 1)
          }
        }
        guard input.requiresGradient else { return }
        var change = [Float](repeating: 0, count: columns.count)
        change.withUnsafeMutableBufferPointer { change in
          weight.values.withUnsafeBufferPointer { w in
            guard let w = w.baseAddress, let change = change.baseAddress else { return }
            for batch in 0..<batches {
              BLAS.multiply(
                w, leftTransposed: true, by: g + batch * outputs * pixels,
                into: change + batch * window * pixels, m: window, n: pixels, k: outputs)
            }
          }
        }
        input.addToGradient { sum in forEach { sum[$1] += change[$0] } }
      }
    }
  }
}
