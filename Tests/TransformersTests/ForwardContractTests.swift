import Checkpoints
import Foundation
import TestSupport
import Testing

@testable import Transformers

private func makeEngine(_ model: SyntheticModel = SyntheticModel()) throws -> ForwardEngine {
  try ForwardEngine(model: try model.load(), threads: 2)
}

@Test("a pass split at any layer and resumed from its tap gives the same bits")
func resumesFromTap() throws {
  for synthetic in SyntheticModel.variety {
    let engine = try makeEngine(synthetic)
    let cache = engine.makeCache()
    _ = try engine.prefill([3, 1, 4, 1, 5], into: cache)
    let tokens: [Int32] = [9, 2, 6]
    let parents: [Int32] = [-1, 0, 0]
    var batch = ForwardBatch()
    batch.append(tree: tokens, parents: parents, to: cache)
    let whole = try engine.forward(batch)
    let expected = (0..<3).map { bits(whole.logits($0)) }
    cache.rollback()

    for split in 1..<synthetic.layers {
      batch.removeAll()
      batch.append(tree: tokens, parents: parents, to: cache, logits: .none)
      let lower = ForwardOptions(layers: 0..<split, taps: [.hiddenState(afterLayer: split - 1)])
      let states = Array(try engine.forward(batch, options: lower).tap(0))
      #expect(throws: ForwardError.self) { try cache.commit(path: [0]) }
      batch.removeAll()
      batch.resume(nodes: 0..<3, of: cache, hiddenStates: states, logits: .all)
      let upper = try engine.forward(
        batch, options: ForwardOptions(layers: split..<synthetic.layers))
      #expect((0..<3).map { bits(upper.logits($0)) } == expected, "split at \(split)")
      try cache.commit(path: [0, 2])
      try cache.truncate(to: 5)
    }
  }
}

@Test("embeddings given as rows are the tokens they belong to")
func embeddingInputs() throws {
  let engine = try makeEngine(SyntheticModel(architecture: .gemma3, layers: 6))
  let tokens: [Int32] = [4, 8, 15]
  let cache = engine.makeCache()
  let expected = bits(try engine.prefill(tokens, into: cache).logits(0))
  let rows = try tokens.flatMap { try engine.model.embedding(of: $0) }
  let other = engine.makeCache()
  var batch = ForwardBatch()
  batch.append(embeddings: rows, parents: [-1, 0, 1], to: other)
  #expect(bits(try engine.forward(batch).logits(0)) == expected)
}

@Test("taps read the residual stream: parts add up to the whole")
func tapsAddUp() throws {
  let engine = try makeEngine()
  let cache = engine.makeCache()
  var batch = ForwardBatch()
  batch.append(chain: [1, 2], to: cache)
  let options = ForwardOptions(taps: [
    .embedding, .attentionOutput(layer: 0), .feedForwardOutput(layer: 0),
    .hiddenState(afterLayer: 0), .finalNorm,
  ])
  let output = try engine.forward(batch, options: options)
  for index in output.tap(0).indices {
    let sum = output.tap(0)[index] + output.tap(1)[index] + output.tap(2)[index]
    #expect(abs(sum - output.tap(3)[index]) < 1e-4)
  }
  #expect(output.tap(4).count == 2 * 64)
  #expect(output.tap(5).isEmpty)
}

@Test("skipping a half for all rows by mask is skipping it in the plan")
func skips() throws {
  for synthetic in [SyntheticModel(), SyntheticModel(architecture: .gemma3, layers: 6)] {
    let engine = try makeEngine(synthetic)
    func run(_ options: ForwardOptions, attention: [Int] = [], feedForward: [Int] = []) throws
      -> [UInt32]
    {
      var batch = ForwardBatch()
      batch.append(chain: [1, 2, 3, 4], to: engine.makeCache())
      if !attention.isEmpty || !feedForward.isEmpty {
        batch.rowSkips.attention = [UInt8](repeating: 0, count: synthetic.layers * 4)
        batch.rowSkips.feedForward = batch.rowSkips.attention
        for layer in attention {
          for row in 0..<4 { batch.rowSkips.attention[layer * 4 + row] = 1 }
        }
        for layer in feedForward {
          for row in 0..<4 { batch.rowSkips.feedForward[layer * 4 + row] = 1 }
        }
      }
      return bits(try engine.forward(batch, options: options).logits(0))
    }
    let plain = try run(.plain)
    let planned = try run(
      ForwardOptions(skips: .init(attention: [1], feedForward: [0, 2])))
    let masked = try run(.plain, attention: [1], feedForward: [0, 2])
    #expect(planned == masked)
    #expect(planned != plain)
  }
}

@Test("attention sees the window and nothing before it in sliding layers")
func slidingWindow() throws {
  // Six layers, five of them sliding; with the global layer's attention skipped, a token further
  // back than five windows cannot matter.
  var synthetic = SyntheticModel(architecture: .gemma3, layers: 6)
  synthetic.window = 4
  let engine = try makeEngine(synthetic)
  let options = ForwardOptions(skips: .init(attention: [5]))
  func logits(_ first: Int32, _ second: Int32) throws -> [UInt32] {
    let cache = engine.makeCache()
    var tokens = (0..<40).map { Int32($0 + 20) }
    tokens[0] = first
    tokens[39 - 3] = second
    var batch = ForwardBatch()
    batch.append(chain: tokens, to: cache)
    return bits(try engine.forward(batch, options: options).logits(0))
  }
  #expect(try logits(1, 50) == logits(2, 50))
  #expect(try logits(1, 50) != logits(1, 51))
}

@Test("every bad input is refused with its own error and leaves the cache as it was")
func refusals() throws {
  let engine = try makeEngine()
  let cache = engine.makeCache()
  _ = try engine.prefill([1, 2, 3], into: cache)
  func refuse(_ error: ForwardError, _ fill: (inout ForwardBatch) -> Void) {
    var batch = ForwardBatch()
    fill(&batch)
    #expect(throws: error) { try engine.forward(batch) }
    #expect(cache.length == 3 && cache.pendingCount == 0)
  }
  refuse(.emptyBatch) { _ in }
  refuse(.unknownToken(131, vocabulary: 131)) { $0.append(chain: [131], to: cache) }
  refuse(.badParent(node: 0, parent: 3)) { $0.append(chain: [1], to: cache, parent: 3) }
  refuse(.badParent(node: 0, parent: 0)) {
    $0.append(tree: [1, 2], parents: [0, -1], to: cache)
  }
  refuse(.badSelection(Int(Int32.max), rows: 1)) {
    $0.append(chain: [1], to: cache, logits: .nodes([4]))
  }
  refuse(.tooManyRows(513, limit: 512)) {
    $0.append(chain: [Int32](repeating: 1, count: 513), to: cache)
  }
  refuse(.badEmbeddings(floats: 3, expected: 64)) {
    $0.append(embeddings: [1, 2, 3], parents: [-1], to: cache)
  }
  refuse(.foreignCache) {
    $0.append(chain: [1], to: cache)
    $0.append(chain: [2], to: cache)
  }
  refuse(.badRowMask(bytes: 2, expected: 3)) {
    $0.append(chain: [1], to: cache)
    $0.rowSkips.attention = [0, 1]
  }
  let stranger = try makeEngine().makeCache()
  refuse(.foreignCache) { $0.append(chain: [1], to: stranger) }
  #expect(throws: ForwardError.self) {
    try engine.planDescription(ForwardOptions(layers: 2..<9))
  }
}

@Test("float activations and packed integers agree to the quantisation's error")
func referenceAgrees() throws {
  for synthetic in SyntheticModel.variety {
    let packed = try ForwardEngine(model: try synthetic.load(), threads: 2)
    let reference = try ForwardEngine(model: try synthetic.load(reference: true), threads: 1)
    var random = SeededGenerator(seed: 1)
    let prompt = random.tokens(30, vocabulary: 131)
    let left = Array(try packed.prefill(prompt, into: packed.makeCache()).logits(0))
    let right = Array(try reference.prefill(prompt, into: reference.makeCache()).logits(0))
    let spread = right.map { $0 * $0 }.reduce(0, +)
    let error = zip(left, right).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
    #expect((error / spread).squareRoot() < 0.08, "\(synthetic.architecture) \(synthetic.type)")
  }
}

@Test("logits of candidates have the bits that they have in the whole vocabulary")
func candidates() throws {
  for synthetic in SyntheticModel.variety {
    let engine = try makeEngine(synthetic)
    let cache = engine.makeCache()
    _ = try engine.prefill([3, 1, 4], into: cache)
    var batch = ForwardBatch()
    batch.append(tree: [9, 2, 6], parents: [-1, 0, 0], to: cache)
    let whole = try engine.forward(batch)
    let expected = (0..<3).map { bits(whole.logits($0)) }
    for candidates: [Int32] in [[0], [130], [5, 6, 7, 8, 9, 40, 129], Array(0..<131), []] {
      cache.rollback()
      batch.removeAll()
      batch.candidates = candidates
      batch.append(tree: [9, 2, 6], parents: [-1, 0, 0], to: cache)
      let some = try engine.forward(batch)
      for row in 0..<3 {
        #expect(bits(some.logits(row)) == candidates.map { expected[row][Int($0)] })
      }
    }
    batch.candidates = nil
    cache.rollback()
    #expect(bits(try engine.forward(batch).logits(2)) == expected[2])
    cache.rollback()
    batch.candidates = [7, 7]
    #expect(throws: ForwardError.badCandidates(7)) { try engine.forward(batch) }
    batch.candidates = [-1]
    #expect(throws: ForwardError.badCandidates(-1)) { try engine.forward(batch) }
    batch.candidates = [131]
    #expect(throws: ForwardError.unknownToken(131, vocabulary: 131)) { try engine.forward(batch) }
    #expect(cache.pendingCount == 0)
  }
}
