import CKernels
import Checkpoints
import TestSupport
import Testing

@testable import Transformers

/// One setting of the proof that a tree node's logits are those of plain decoding, bit for bit.
struct InvarianceProof {
  var model: Transformer
  var kv: KVType
  var threads: Int
  var plainThreads: Int
  var prefix: Int
  var nodes: Int
  var seed: UInt64

  /// Runs a random tree over a random prefix in one pass, and each leaf's path one token at a time
  /// in another engine; returns the nodes whose logits differ.
  func differingNodes() throws -> [Int] {
    var random = SeededGenerator(seed: seed)
    let vocabulary = model.configuration.vocabularyCount
    let prompt = random.tokens(prefix, vocabulary: vocabulary)
    let tokens = random.tokens(nodes, vocabulary: vocabulary)
    let parents = random.parents(nodes)

    let engine = try ForwardEngine(model: model, threads: threads, kv: kv)
    let cache = engine.makeCache()
    _ = try engine.prefill(prompt, into: cache)
    var batch = ForwardBatch()
    batch.append(tree: tokens, parents: parents, to: cache, logits: .all)
    let output = try engine.forward(batch)
    try cache.checkInvariants()
    let tree = (0..<nodes).map { bits(output.logits($0)) }

    let plain = try ForwardEngine(model: model, threads: plainThreads, kv: kv)
    let base = plain.makeCache()
    _ = try plain.prefill(prompt, into: base, chunk: 7)
    var different: Set<Int> = []
    for leaf in 0..<nodes where !parents.contains(Int32(leaf)) {
      let sequence = base.fork()
      for node in path(to: leaf, parents) {
        let step = try plain.prefill([tokens[node]], into: sequence)
        if bits(step.logits(0)) != tree[node] { different.insert(node) }
      }
      sequence.release()
    }
    return different.sorted()
  }
}

@Test(
  "a tree node's logits are those of plain decoding, bit for bit",
  arguments: SyntheticModel.variety.indices, KVType.allCases)
func treesMatchPlainDecoding(variant: Int, kv: KVType) throws {
  let model = try SyntheticModel.variety[variant].load()
  // Prefixes on, before and after borders of pages (64) and spans (256).
  for (index, prefix) in [1, 5, 63, 64, 65, 127, 250, 256, 257, 530].enumerated() {
    let proof = InvarianceProof(
      model: model, kv: kv, threads: 1 + index % 3, plainThreads: 1 + (index + 1) % 2,
      prefix: prefix, nodes: [1, 2, 5, 16, 33, 64][index % 6], seed: UInt64(variant * 100 + index))
    #expect(try proof.differingNodes() == [], "prefix \(prefix), \(proof.nodes) nodes")
  }
}

@Test(
  "the same holds for the real models",
  arguments: ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
func treesMatchPlainDecodingOnRealModels(alias: String) async throws {
  let file = try GGUFFile(path: try await TestModels.path(alias).path)
  let model = try Transformer(file: file)
  for (index, kv) in KVType.allCases.enumerated() {
    let proof = InvarianceProof(
      model: model, kv: kv, threads: 2 - index % 2, plainThreads: 1 + index % 2,
      prefix: [61, 255, 130][index], nodes: [17, 8, 12][index], seed: UInt64(index))
    #expect(try proof.differingNodes() == [], "\(alias), \(kv)")
  }
}

@Test("prefill gives the same bits in chunks of any size", arguments: KVType.allCases)
func chunkingDoesNotMatter(kv: KVType) throws {
  for synthetic in SyntheticModel.variety {
    let model = try synthetic.load()
    var random = SeededGenerator(seed: 3)
    let prompt = random.tokens(600, vocabulary: synthetic.vocabulary)
    var outcomes: Set<[UInt32]> = []
    for (chunk, threads) in [(1, 1), (7, 2), (64, 3), (512, 2), (512, 1)] {
      let engine = try ForwardEngine(model: model, threads: threads, kv: kv)
      let output = try engine.prefill(prompt, into: engine.makeCache(), chunk: chunk)
      outcomes.insert(bits(output.logits(0)))
    }
    #expect(outcomes.count == 1, "\(synthetic.architecture) \(synthetic.type)")
  }
}

@Test("sequences in one pass do not touch each other")
func forestMatchesSingles() throws {
  let model = try SyntheticModel(architecture: .gemma3, layers: 6).load()
  let engine = try ForwardEngine(model: model, threads: 2)
  var random = SeededGenerator(seed: 11)
  var batch = ForwardBatch()
  var expected: [[UInt32]] = []
  var caches: [KVCache] = []
  for length in [3, 64, 1, 290] {
    let prompt = random.tokens(length, vocabulary: 131)
    let tokens = random.tokens(9, vocabulary: 131)
    let parents = random.parents(9)
    let alone = engine.makeCache()
    _ = try engine.prefill(prompt, into: alone)
    var single = ForwardBatch()
    single.append(tree: tokens, parents: parents, to: alone)
    let output = try engine.forward(single)
    expected += (0..<9).map { bits(output.logits($0)) }
    alone.rollback()
    let together = alone.fork()
    caches.append(together)
    batch.append(tree: tokens, parents: parents, to: together)
  }
  let output = try engine.forward(batch)
  for row in expected.indices { #expect(bits(output.logits(row)) == expected[row], "row \(row)") }
}

@Test(
  "work that others take from a late worker gives the same bits", arguments: [0, 1, 2], [2, 3, 5])
func stealingDoesNotMatter(late: Int, threads: Int) throws {
  guard late < threads else { return }
  for synthetic in [SyntheticModel.variety[1], SyntheticModel.variety[5]] {
    let model = try synthetic.load()
    var random = SeededGenerator(seed: UInt64(late))
    let prompt = random.tokens(300, vocabulary: synthetic.vocabulary)
    let tokens = random.tokens(20, vocabulary: synthetic.vocabulary)
    let parents = random.parents(20)
    func run(threads: Int, late: Int?) throws -> [[UInt32]] {
      let engine = try ForwardEngine(model: model, threads: threads, kv: .q8)
      if let late { engine.workers.delay(worker: late, microseconds: 300) }
      let cache = engine.makeCache()
      var found = [bits(try engine.prefill(prompt, into: cache, chunk: 150).logits(0))]
      var batch = ForwardBatch()
      batch.append(tree: tokens, parents: parents, to: cache)
      let output = try engine.forward(batch)
      found += (0..<20).map { bits(output.logits($0)) }
      if late != nil { #expect(engine.workers.stolenItems > 0, "something was taken") }
      return found
    }
    #expect(try run(threads: threads, late: late) == run(threads: 1, late: nil))
  }
}

@Test("a tree grown level by level is the tree run at once")
func levelByLevel() throws {
  let model = try SyntheticModel(architecture: .qwen2).load()
  let engine = try ForwardEngine(model: model, threads: 2)
  let cache = engine.makeCache()
  _ = try engine.prefill([5, 6, 7], into: cache)
  let tokens: [Int32] = [1, 2, 3, 4, 5, 6]
  let parents: [Int32] = [-1, -1, 0, 1, 2, 2]
  var batch = ForwardBatch()
  batch.append(tree: tokens, parents: parents, to: cache)
  let output = try engine.forward(batch)
  let expected = (0..<6).map { bits(output.logits($0)) }
  cache.rollback()
  var found: [[UInt32]] = []
  for level in [0..<2, 2..<4, 4..<6] {
    batch.removeAll()
    batch.append(tree: tokens[level], parents: parents[level], to: cache)
    let output = try engine.forward(batch)
    found += (0..<level.count).map { bits(output.logits($0)) }
  }
  for node in 0..<6 { #expect(found[node] == expected[node], "node \(node)") }
}

@Test(
  "portable C keeps the same promise, and agrees with the vector code", arguments: KVType.allCases)
func portableFallback(kv: KVType) throws {
  for (index, synthetic) in SyntheticModel.variety.enumerated() {
    let model = try synthetic.load()
    func logits() throws -> [Float] {
      let engine = try ForwardEngine(model: model, threads: 1, kv: kv)
      return Array(
        try engine.prefill((1...90).map { Int32($0) }, into: engine.makeCache()).logits(0))
    }
    let vector = try logits()
    try #require(ft_isa_force(FT_ISA_PORTABLE))
    defer { ft_isa_unforce() }
    let portable = try logits()
    let spread = vector.map { $0 * $0 }.reduce(0, +)
    let error = zip(vector, portable).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
    #expect((error / spread).squareRoot() < 0.02, "\(synthetic.architecture) \(synthetic.type)")
    let proof = InvarianceProof(
      model: model, kv: kv, threads: 1, plainThreads: 1, prefix: 70, nodes: 12,
      seed: UInt64(index))
    #expect(try proof.differingNodes() == [], "\(synthetic.architecture) \(synthetic.type)")
  }
}
