extension Tensor {
  /// Matrix product of the last two dimensions; the ones before are batches.
  ///
  /// - Parameters:
  ///   - other: of the same batch dimensions, or a single matrix, which then serves all batches.
  ///   - transposed: multiply with the transpose of `other`: a weight of [outputs, inputs].
  ///   - transposesSelf: multiply the transpose of this tensor.
  /// - Returns: [batches…, m, n].
  public func matmul(
    _ other: Tensor, transposed: Bool = false, transposesSelf: Bool = false
  ) -> Tensor {
    let plan = ProductPlan(shape, other.shape, transposesSelf, transposed)
    let result = makeArray(plan.resultShape.reduce(1, *)) { result in
      values.withUnsafeBufferPointer { a in
        other.values.withUnsafeBufferPointer { b in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = result.baseAddress else {
            return result.update(repeating: 0)
          }
          for batch in 0..<plan.batches {
            BLAS.multiply(
              a + batch * plan.m * plan.k, leftTransposed: transposesSelf,
              by: b + (plan.sharesRight ? 0 : batch * plan.k * plan.n), rightTransposed: transposed,
              into: c + batch * plan.m * plan.n, m: plan.m, n: plan.n, k: plan.k)
          }
        }
      }
    }
    return Tensor(result, shape: plan.resultShape, inputs: [self, other]) {
      [self, other] gradient in
      plan.pullback(gradient, left: self, right: other)
    }
  }
}

/// Sizes of a batch of products.
private struct ProductPlan {
  var batches = 1
  var m: Int
  let n: Int
  let k: Int
  let sharesRight: Bool
  let resultShape: [Int]
  let transposeA: Bool
  let transposeB: Bool

  init(_ left: [Int], _ right: [Int], _ transposeA: Bool, _ transposeB: Bool) {
    require(left.count >= 2 && right.count >= 2, "a product of shapes \(left) and \(right)")
    self.transposeA = transposeA
    self.transposeB = transposeB
    let (rows, columns) = (left[left.count - 2], left[left.count - 1])
    let (inner, outer) = (right[right.count - 2], right[right.count - 1])
    m = transposeA ? columns : rows
    k = transposeA ? rows : columns
    n = transposeB ? inner : outer
    require(
      k == (transposeB ? outer : inner),
      "a product of shapes \(left)\(transposeA ? "ᵀ" : "") and \(right)\(transposeB ? "ᵀ" : "")")
    sharesRight = right.count == 2
    require(
      sharesRight || left.dropLast(2).elementsEqual(right.dropLast(2)),
      "a product of batches \(left) and \(right)")
    resultShape = left.dropLast(2) + [m, n]
    batches = left.dropLast(2).reduce(1, *)
    // One large product instead of many small ones.
    if sharesRight, !transposeA { (batches, m) = (1, m * batches) }
  }

  func pullback(_ gradient: [Float], left: Tensor, right: Tensor) {
    gradient.withUnsafeBufferPointer { gradient in
      left.values.withUnsafeBufferPointer { a in
        right.values.withUnsafeBufferPointer { b in
          guard let g = gradient.baseAddress, let a = a.baseAddress, let b = b.baseAddress else {
            return
          }
          left.addToGradient { sum in
            for batch in 0..<batches {
              leftGradient(
                g + batch * m * n, b + (sharesRight ? 0 : batch * k * n), sum + batch * m * k)
            }
          }
          right.addToGradient { sum in
            for batch in 0..<batches {
              rightGradient(
                g + batch * m * n, a + batch * m * k, sum + (sharesRight ? 0 : batch * k * n))
            }
          }
        }
      }
    }
  }

  private func leftGradient(
    _ g: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ sum: UnsafeMutablePointer<Float>
  ) {
    if transposeA {
      BLAS.multiply(
        b, leftTransposed: transposeB, by: g, rightTransposed: true, into: sum, m: k, n: m, k: n,
        keep: 1)
    } else {
      BLAS.multiply(g, by: b, rightTransposed: !transposeB, into: sum, m: m, n: k, k: n, keep: 1)
    }
  }

  private func rightGradient(
    _ g: UnsafePointer<Float>, _ a: UnsafePointer<Float>, _ sum: UnsafeMutablePointer<Float>
  ) {
    if transposeB {
      BLAS.multiply(
        g, leftTransposed: true, by: a, rightTransposed: transposeA, into: sum, m: n, n: k, k: m,
        keep: 1)
    } else {
      BLAS.multiply(a, leftTransposed: !transposeA, by: g, into: sum, m: k, n: n, k: m, keep: 1)
    }
  }
}
