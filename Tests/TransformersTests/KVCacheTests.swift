import TestSupport
import Testing

@testable import Transformers

private func makeEngine(_ kv: KVType = .f16, context: Int? = nil) throws -> ForwardEngine {
  try ForwardEngine(
    model: try SyntheticModel(type: .q8_0).load(), threads: 2, kv: kv, contextLimit: context)
}

@Test("committing a branch leaves what plain decoding leaves", arguments: KVType.allCases)
func commitMatchesPlain(kv: KVType) throws {
  let engine = try makeEngine(kv)
  var random = SeededGenerator(seed: 5)
  // Many rounds, so that branches are moved within and across pages.
  let drafted = engine.makeCache()
  let plain = engine.makeCache()
  _ = try engine.prefill([1, 2, 3], into: drafted)
  _ = try engine.prefill([1, 2, 3], into: plain)
  for round in 0..<60 {
    let count = 1 + Int(random.next() % 20)
    let tokens = random.tokens(count, vocabulary: 131)
    let parents = random.parents(count)
    var batch = ForwardBatch()
    batch.append(tree: tokens, parents: parents, to: drafted, logits: .none)
    _ = try engine.forward(batch)
    let branch = path(to: Int(random.next() % UInt64(count)), parents)
    try drafted.commit(path: branch)
    try drafted.checkInvariants()
    _ = try engine.prefill(branch.map { tokens[$0] }, into: plain)
    #expect(drafted.length == plain.length)
    let next = try engine.prefill([9], into: drafted.fork())
    let left = bits(next.logits(0))
    let other = try engine.prefill([9], into: plain.fork())
    #expect(bits(other.logits(0)) == left, "round \(round)")
  }
  for layer in 0..<3 {
    for index in 0..<drafted.length {
      let (keys, values) = try drafted.entry(index, layer: layer)
      let (otherKeys, otherValues) = try plain.entry(index, layer: layer)
      #expect(keys == otherKeys && values == otherValues)
    }
  }
}

@Test("a rejected branch leaves no trace in the cache")
func rollbackLeavesNoTrace() throws {
  let engine = try makeEngine()
  let cache = engine.makeCache()
  _ = try engine.prefill(Array(1...70), into: cache)
  let pages = engine.usedPages
  let before = try engine.prefill([4], into: cache.fork())
  let expected = bits(before.logits(0))
  var batch = ForwardBatch()
  batch.append(chain: (1...100).map { Int32($0) }, to: cache, logits: .none)
  _ = try engine.forward(batch)
  #expect(engine.usedPages > pages)
  cache.rollback()
  #expect(engine.usedPages == pages)
  let after = try engine.prefill([4], into: cache)
  #expect(bits(after.logits(0)) == expected)
}

@Test("forks share pages until one of them writes, and do not see each other's tokens")
func forksCopyOnWrite() throws {
  let engine = try makeEngine()
  let cache = engine.makeCache()
  _ = try engine.prefill((0..<100).map { Int32($0) }, into: cache)
  #expect(engine.usedPages == 2)
  let fork = cache.fork()
  #expect(engine.usedPages == 2)
  _ = try engine.prefill([7, 8], into: fork)
  #expect(engine.usedPages == 3)  // the last page only
  let original = try engine.prefill([7, 8, 9], into: cache)
  let expected = bits(original.logits(0))
  let forked = try engine.prefill([9], into: fork)
  #expect(bits(forked.logits(0)) == expected)
  try cache.checkInvariants()
  try fork.checkInvariants()
  fork.release()
  cache.release()
  #expect(engine.usedPages == 0)
}

@Test("truncating forgets the rest")
func truncation() throws {
  let engine = try makeEngine()
  let cache = engine.makeCache()
  let short = try engine.prefill([1, 2, 3, 4], into: cache)
  let expected = bits(short.logits(0))
  _ = try engine.prefill(Array(5...90), into: cache)
  try cache.truncate(to: 3)
  #expect(engine.usedPages == 1)
  let again = try engine.prefill([4], into: cache)
  #expect(bits(again.logits(0)) == expected)
  #expect(throws: ForwardError.badLength(9, committed: 4)) { try cache.truncate(to: 9) }
}

@Test("entries read from one cache and injected into another are the same entries")
func injection() throws {
  let engine = try makeEngine(.f32)
  let source = engine.makeCache()
  _ = try engine.prefill([10, 11, 12, 13, 14], into: source)
  let expected = bits(try engine.prefill([15], into: source.fork()).logits(0))
  var keys: [[Float]] = []
  var values: [[Float]] = []
  for layer in 0..<3 {
    let entries = try (0..<5).map { try source.entry($0, layer: layer) }
    keys.append(entries.flatMap(\.keys))
    values.append(entries.flatMap(\.values))
  }
  let target = engine.makeCache()
  try target.inject(keys: keys, values: values)
  #expect(target.length == 5 && target.nextPosition == 5)
  #expect(bits(try engine.prefill([15], into: target).logits(0)) == expected)
  let silent = engine.makeCache()
  try silent.inject(keys: keys, values: values, consumesPositions: false)
  #expect(silent.length == 5 && silent.nextPosition == 0)
}

@Test("what cannot be committed is refused and changes nothing")
func badCommits() throws {
  let engine = try makeEngine()
  let cache = engine.makeCache()
  _ = try engine.prefill([1], into: cache)
  var batch = ForwardBatch()
  batch.append(tree: [1, 2, 3], parents: [-1, 0, -1], to: cache, logits: .none)
  _ = try engine.forward(batch)
  for path in [[1], [0, 2], [0, 1, 2], [3], [-1]] {
    #expect(throws: ForwardError.badPath(path)) { try cache.commit(path: path) }
  }
  #expect(cache.pendingCount == 3)
  try cache.commit(path: [0, 1])
  #expect(cache.length == 3 && cache.pendingCount == 0)
}

@Test("a sequence cannot outgrow the context, and says so before anything changes")
func contextLimit() throws {
  let engine = try makeEngine(context: 10)
  let cache = engine.makeCache()
  #expect(throws: ForwardError.contextFull(needed: 11, limit: 10)) {
    try engine.prefill(Array(0...10), into: cache)
  }
  #expect(cache.length == 0 && engine.usedPages == 0)
  _ = try engine.prefill(Array(0..<9), into: cache)
  // A wide tree fits where a deep one does not.
  var batch = ForwardBatch()
  batch.append(tree: [1, 2, 3, 4], parents: [-1, -1, -1, -1], to: cache)
  _ = try engine.forward(batch)
  batch.removeAll()
  batch.append(chain: [5], to: cache, parent: 2)
  #expect(throws: ForwardError.contextFull(needed: 11, limit: 10)) {
    try engine.forward(batch)
  }
}
