/// Which keys a query sees.
public enum AttentionMask: Sendable {
  /// All of them.
  case bidirectional
  /// Query i of T sees the first S - T + i + 1 of S keys: itself and everything before.
  case causal
  /// A token tree below a prefix: each node sees the prefix, its ancestors and itself. Parents come
  /// before children, -1 stands for the prefix. The nodes' keys follow those of the prefix.
  case tree(parents: [Int], prefix: Int)
  /// Row by row: [queries × keys].
  case matrix([Bool])

  /// [queries × keys], nil for all.
  func visible(queries: Int, keys: Int) -> [Bool]? {
    switch self {
    case .bidirectional: return nil
    case .causal:
      return (0..<queries).flatMap { query in (0..<keys).map { $0 <= keys - queries + query } }
    case .tree(let parents, let prefix):
      require(
        parents.count == queries && prefix + queries == keys
          && parents.enumerated().allSatisfy { $1 < $0 && $1 >= -1 },
        "a tree of \(parents.count) nodes below \(prefix) for \(queries) queries and \(keys) keys")
      var rows: [[Bool]] = []
      for (node, parent) in parents.enumerated() {
        var row = parent < 0 ? (0..<keys).map { $0 < prefix } : rows[parent]
        row[prefix + node] = true
        rows.append(row)
      }
      return Array(rows.joined())
    case .matrix(let rows):
      require(rows.count == queries * keys, "a mask of \(rows.count) for \(queries) × \(keys)")
      return rows
    }
  }
}

extension Tensor {
  /// softmax(scale · q kᵀ) v for every head.
  ///
  /// - Parameters:
  ///   - q: [batches, heads, queries, size].
  ///   - k: [batches, key heads, keys, size]; several heads may share one of keys and values. `v`
  ///     likewise, of any size.
  ///   - scale: of the products; nil for 1 / √size.
  /// - Returns: [batches, heads, queries, size of v]; zeros where a query sees nothing.
  public static func attention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: AttentionMask = .causal, scale: Float? = nil
  ) -> Tensor {
    let plan = AttentionPlan(q, k, v, mask, scale)
    let (result, probabilities) = plan.forward(q.values, k.values, v.values)
    return Tensor(
      result, shape: [plan.batches, plan.heads, plan.queries, plan.width], inputs: [q, k, v]
    ) { gradient in
      plan.pullback(gradient, probabilities, q, k, v)
    }
  }
}

/// Sizes of an attention.
private struct AttentionPlan {
  let batches: Int
  let heads: Int
  let keyHeads: Int
  let queries: Int
  let keys: Int
  let size: Int
  let width: Int
  let scale: Float
  let visible: [Bool]?

  init(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: AttentionMask, _ scale: Float?) {
    require(
      q.rank == 4 && k.rank == 4 && v.rank == 4 && q.shape[0] == k.shape[0]
        && k.shape[..<3] == v.shape[..<3] && q.shape[3] == k.shape[3] && k.shape[1] > 0
        && q.shape[1].isMultiple(of: k.shape[1]),
      "attention of shapes \(q.shape), \(k.shape), \(v.shape)")
    batches = q.shape[0]
    heads = q.shape[1]
    keyHeads = k.shape[1]
    queries = q.shape[2]
    keys = k.shape[2]
    size = q.shape[3]
    width = v.shape[3]
    self.scale = scale ?? 1 / Float(size).squareRoot()
    visible = mask.visible(queries: queries, keys: keys)
  }

  /// Number of the head of keys that head `index` (of all batches) reads.
  private func keyHead(_ index: Int) -> Int {
    index / heads * keyHeads + index % heads / (heads / keyHeads)
  }

  /// The result, and the probabilities [batches × heads, queries, keys].
  func forward(_ q: [Float], _ k: [Float], _ v: [Float]) -> (
    result: [Float], probabilities: [Float]
  ) {
    var probabilities = [Float](repeating: 0, count: batches * heads * queries * keys)
    var result = [Float](repeating: 0, count: batches * heads * queries * width)
    withPointers(q, k, v) { q, k, v in
      probabilities.withUnsafeMutableBufferPointer { p in
        result.withUnsafeMutableBufferPointer { r in
          guard let p = p.baseAddress, let r = r.baseAddress else { return }
          for head in 0..<batches * heads {
            let scores = p + head * queries * keys
            let source = keyHead(head)
            BLAS.multiply(
              q + head * queries * size, by: k + source * keys * size, rightTransposed: true,
              into: scores,
              m: queries, n: keys, k: size, scale: scale)
            normalize(scores)
            BLAS.multiply(
              scores, by: v + source * keys * width, into: r + head * queries * width, m: queries,
              n: width, k: keys)
          }
        }
      }
    }
    return (result, probabilities)
  }

  private func normalize(_ scores: UnsafeMutablePointer<Float>) {
    for query in 0..<queries {
      let row = UnsafeMutableBufferPointer(start: scores + query * keys, count: keys)
      if let visible {
        for key in 0..<keys where !visible[query * keys + key] { row[key] = -.infinity }
      }
      Softmax.apply(row)
    }
  }

  func pullback(_ g: [Float], _ probabilities: [Float], _ q: Tensor, _ k: Tensor, _ v: Tensor) {
    var change = [Float](repeating: 0, count: queries * keys)
    for head in 0..<batches * heads {
      let source = keyHead(head)
      let block = head * queries * keys
      withPointers(g, probabilities, v.values) { g, p, v in
        change.withUnsafeMutableBufferPointer { change in
          guard let change = change.baseAddress else { return }
          BLAS.multiply(
            g + head * queries * width, by: v + source * keys * width, rightTransposed: true,
            into: change,
            m: queries, n: keys, k: width)
          for query in 0..<queries {
            let (row, own) = (change + query * keys, p + block + query * keys)
            var inner = 0.0
            for key in 0..<keys { inner += Double(row[key] * own[key]) }
            for key in 0..<keys { row[key] = own[key] * (row[key] - Float(inner)) }
          }
        }
      }
      withPointers(q.values, k.values, g) { qs, ks, g in
        change.withUnsafeBufferPointer { change in
          probabilities.withUnsafeBufferPointer { p in
            guard let change = change.baseAddress, let p = p.baseAddress else { return }
            q.addToGradient {
              BLAS.multiply(
                change, by: ks + source * keys * size, into: $0 + head * queries * size, m: queries,
                n: size, k: keys, scale: scale, keep: 1)
            }
            k.addToGradient {
              BLAS.multiply(
                change, leftTransposed: true, by: qs + head * queries * size,
                into: $0 + source * keys * size, m: keys, n: size, k: queries, scale: scale, keep: 1
              )
            }
            v.addToGradient {
              BLAS.multiply(
                p + block, leftTransposed: true, by: g + head * queries * width,
                into: $0 + source * keys * width, m: keys, n: width, k: queries, keep: 1)
            }
          }
        }
      }
    }
  }
}

/// Addresses of three arrays. `body` is not called if one is empty: then there is nothing to do.
private func withPointers(
  _ a: [Float], _ b: [Float], _ c: [Float],
  _ body: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
) {
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      c.withUnsafeBufferPointer { c in
        guard !a.isEmpty, !b.isEmpty, !c.isEmpty, let a = a.baseAddress, let b = b.baseAddress,
          let c = c.baseAddress
        else { return }
        body(a, b, c)
      }
    }
  }
}
