import CKernels
import Compute

/// Runs forward passes of one model: worker threads, buffers, pages, compiled plans.
///
/// Logits of a node depend only on its own path: any chunking, tree, batch and thread count gives
/// the same bits (design: determinism). Not Sendable: use an engine and its caches from one thread.
public final class ForwardEngine {
  /// Most rows of one pass.
  public static let maximumRows = Int(FT_MAX_BATCH)

  /// The weights.
  public let model: Transformer
  /// Type of cached keys and values.
  public let kv: KVType
  /// Most tokens of one sequence.
  public let contextLimit: Int
  /// Worker threads. Engines that are used in turns from one thread may share them, and should: the
  /// workers of each wait for its next pass by spinning.
  public let workers: WorkerPool
  /// Number of worker threads.
  public var threads: Int { workers.workers }
  /// What was done so far.
  public internal(set) var statistics = ForwardStatistics()

  let pool: PagePool
  private var buffers: PassBuffers
  private var plans: [PlanKey: CompiledPlan] = [:]
  private var latest: (key: PlanKey, plan: CompiledPlan)?
  private var rows: [ft_row] = []
  private var tails: [Int32] = []
  private var sequences: [ft_sequence] = []
  private var profile: UnsafeMutablePointer<UInt64>?

  private struct PlanKey: Hashable {
    var options: ForwardOptions
    var logits: LogitsPlan
  }

  /// Makes the threads and the buffers of single-token passes; the rest grows on demand.
  ///
  /// - Parameters:
  ///   - contextLimit: most tokens of a sequence; nil for the model's own, at most 8192.
  ///   - profiles: measure time by kind of operation (`statistics.profile`).
  /// - Throws: `WorkerPoolError` or `ForwardError`.
  public convenience init(
    model: Transformer, threads: Int = WorkerPool.defaultWorkers, kv: KVType = .f16,
    contextLimit: Int? = nil, profiles: Bool = false
  ) throws {
    try self.init(
      model: model, workers: try WorkerPool(workers: threads), kv: kv, contextLimit: contextLimit,
      profiles: profiles)
  }

  /// Makes an engine that runs on the threads of another one, which is used from the same thread.
  /// - Parameters: as for the other initializer.
  public init(
    model: Transformer, workers: WorkerPool, kv: KVType = .f16, contextLimit: Int? = nil,
    profiles: Bool = false
  ) throws {
    self.model = model
    self.kv = kv
    self.workers = workers
    let limit = contextLimit ?? min(model.configuration.contextLength, 8192)
    guard limit > 0 else { throw ForwardError.contextFull(needed: 1, limit: limit) }
    self.contextLimit = limit
    pool = PagePool(model.configuration, kv: kv)
    var plan = ft_plan()
    plan.attention = pool.shape
    buffers = try PassBuffers(
      model.configuration, scratchBytes: ft_plan_scratch_bytes(&plan) * workers.workers)
    if profiles {
      let counters = UnsafeMutablePointer<UInt64>.allocate(capacity: Int(FT_PROFILE_COUNTERS))
      counters.initialize(repeating: 0, count: Int(FT_PROFILE_COUNTERS))
      profile = counters
    }
  }

  deinit {
    buffers.deallocate()
    profile?.deallocate()
  }

  /// A new, empty sequence.
  public func makeCache() -> KVCache {
    KVCache(pool: pool, slotLimit: contextLimit + Self.maximumRows)
  }

  /// Pages of key/value memory in use by all sequences.
  public var usedPages: Int { pool.usedPages }
  /// Bytes of one page.
  public var pageBytes: Int { pool.pageBytes }

  /// Runs one pass. The new nodes are pending in their caches until committed or rolled back.
  ///
  /// - Throws: `ForwardError`, before anything has changed.
  public func forward(_ batch: ForwardBatch, options: ForwardOptions = .plain) throws(ForwardError)
    -> ForwardOutput
  {
    let plan = try compiled(options, logits: LogitsPlan(batch))
    try validate(batch, plan: plan)
    try reserve(batch, plan: plan)
    describeRows(batch, layersDone: plan.endsAtLayer)
    run(plan, batch)
    statistics.passes += 1
    statistics.rows += batch.rowCount
    statistics.logitsRows += batch.selected.count
    let firstTap = Int(PassBuffer.firstTap)
    return ForwardOutput(
      logitsBase: buffers.buffers[Int(PassBuffer.logits.rawValue)],
      logitsCount: batch.candidates?.count ?? model.configuration.vocabularyCount,
      logitsStride: model.configuration.vocabularyCount,
      tapBases: buffers.buffers.baseAddress.map { $0 + firstTap },
      tapCount: options.taps.count, tapFloats: batch.rowCount * model.configuration.hiddenSize,
      owner: self, logitsRowCount: batch.selected.count)
  }

  /// Runs `tokens` in chunks, commits them, and gives the logits of the last one.
  ///
  /// - Parameter onChunk: called with the tokens done so far; throw to stop (the chunks before stay
  ///   committed).
  public func prefill(
    _ tokens: some RandomAccessCollection<Int32>, into cache: KVCache, chunk: Int = 256,
    onChunk: (Int) throws -> Void = { _ in }
  ) throws -> ForwardOutput {
    let needed = cache.length + tokens.count
    guard needed <= contextLimit else {
      throw ForwardError.contextFull(needed: needed, limit: contextLimit)
    }
    let size = min(max(chunk, 1), Self.maximumRows)
    var batch = ForwardBatch()
    var rest = tokens[...]
    while true {
      let part = rest.prefix(size)
      rest = rest.dropFirst(size)
      batch.removeAll()
      batch.append(chain: part, to: cache, logits: rest.isEmpty ? .last : .none)
      let output = try forward(batch)
      try cache.commitAll()
      try onChunk(tokens.count - rest.count)
      if rest.isEmpty { return output }
    }
  }

  /// The operations of a pass with these options, as text.
  public func planDescription(_ options: ForwardOptions = .plain) throws(ForwardError) -> String {
    try compiled(options, logits: .vocabulary).description
  }

  // MARK: Before the pass

  private func compiled(_ options: ForwardOptions, logits: LogitsPlan) throws(ForwardError)
    -> CompiledPlan
  {
    let key = PlanKey(options: options, logits: logits)
    if let latest, latest.key == key { return latest.plan }
    if let known = plans[key] {
      latest = (key, known)
      return known
    }
    guard options.taps.count <= PassBuffers.maximumTaps else {
      throw .tooManyRows(options.taps.count, limit: PassBuffers.maximumTaps)
    }
    let plan = try CompiledPlan(model, options: options, shape: pool.shape, logits: logits)
    plans[key] = plan
    latest = (key, plan)
    return plan
  }

  private func validate(_ batch: ForwardBatch, plan: CompiledPlan) throws(ForwardError) {
    guard batch.rowCount > 0 else { throw .emptyBatch }
    guard batch.rowCount <= Self.maximumRows else {
      throw .tooManyRows(batch.rowCount, limit: Self.maximumRows)
    }
    for row in batch.selected where !(0..<batch.rowCount).contains(Int(row)) {
      throw .badSelection(Int(row), rows: batch.rowCount)
    }
    try validateTokens(batch, firstLayer: plan.startsAtLayer)
    try validateCandidates(batch)
    for (index, segment) in batch.segments.enumerated() {
      let repeated = batch.segments[..<index].contains { $0.cache === segment.cache }
      guard segment.cache.pool === pool, !segment.cache.isReleased, !repeated else {
        throw .foreignCache
      }
      try validateNodes(batch, segment)
    }
    let mask = model.configuration.layerCount * batch.rowCount
    for bytes in [batch.rowSkips.attention.count, batch.rowSkips.feedForward.count]
    where bytes != 0 && bytes != mask {
      throw .badRowMask(bytes: bytes, expected: mask)
    }
  }

  private func validateTokens(_ batch: ForwardBatch, firstLayer: Int) throws(ForwardError) {
    let vocabulary = model.configuration.vocabularyCount
    var given = 0
    for token in batch.tokens {
      if token < 0 {
        given += 1
      } else if firstLayer > 0 {
        throw .tokensAboveFirstLayer(firstLayer)
      } else if Int(token) >= vocabulary {
        throw .unknownToken(token, vocabulary: vocabulary)
      }
    }
    let expected = given * model.configuration.hiddenSize
    guard batch.embeddings.count == expected else {
      throw .badEmbeddings(floats: batch.embeddings.count, expected: expected)
    }
  }

  private func validateCandidates(_ batch: ForwardBatch) throws(ForwardError) {
    if let token = batch.unorderedCandidate { throw .badCandidates(token) }
    let vocabulary = model.configuration.vocabularyCount
    if let last = batch.candidates?.last, last >= vocabulary {
      throw .unknownToken(last, vocabulary: vocabulary)
    }
  }

  private func validateNodes(_ batch: ForwardBatch, _ segment: ForwardBatch.Segment)
    throws(ForwardError)
  {
    let cache = segment.cache
    if !segment.resumes {
      // Nodes beyond the limit are refused by depth, which is at most their number.
      let longest = cache.length + deepest(batch, segment)
      guard longest <= contextLimit else {
        throw .contextFull(needed: longest, limit: contextLimit)
      }
    }
    for index in 0..<segment.count {
      let node = segment.resumes ? cache.pendingCount : cache.pendingCount + index
      let parent = Int(batch.parents[segment.begin + index])
      guard parent < node, parent >= (segment.resumes ? 0 : -1) else {
        throw .badParent(node: node, parent: parent)
      }
    }
  }

  /// Most nodes on a path of the segment, pending ancestors included.
  private func deepest(_ batch: ForwardBatch, _ segment: ForwardBatch.Segment) -> Int {
    let cache = segment.cache
    let upper = cache.pendingCount + segment.count
    guard cache.length + upper > contextLimit else { return upper }
    var depths = cache.pending.map { Int($0.depth) + 1 }
    for parent in batch.parents[segment.begin..<segment.begin + segment.count] {
      let known = depths.indices.contains(Int(parent))
      depths.append(known ? depths[Int(parent)] + 1 : 1)
    }
    return depths.max() ?? 0
  }

  private func reserve(_ batch: ForwardBatch, plan: CompiledPlan) throws(ForwardError) {
    try buffers.reserve(
      rows: batch.rowCount, selected: batch.selected.count, taps: plan.options.taps.count)
    var longest = 0
    for segment in batch.segments {
      let cache = segment.cache
      let begin = cache.length + cache.pendingCount
      let end = segment.resumes ? begin : begin + segment.count
      try cache.reserve(slots: min(begin, end)..<end)
      longest = max(longest, end)
    }
    if longest > Int(FT_SPAN) {
      // Whole pages of context, so that this grows rarely.
      let rounded = (longest + 4095) / 4096 * 4096
      try buffers.reservePartials(floats: ft_plan_partial_floats(plan.plan, Int32(rounded)))
    }
  }

  /// Writes the kernels' description of every row and appends the new pending nodes.
  private func describeRows(_ batch: ForwardBatch, layersDone: Int) {
    rows.removeAll(keepingCapacity: true)
    tails.removeAll(keepingCapacity: true)
    sequences.removeAll(keepingCapacity: true)
    for segment in batch.segments where segment.count > 0 {
      let cache = segment.cache
      for row in segment.begin..<segment.begin + segment.count {
        let link = batch.parents[row]
        let node = segment.resumes ? Int(link) : cache.pendingCount
        if segment.resumes {
          cache.markLayers(of: node, done: layersDone)
        } else {
          cache.appendPending(parent: link, layersDone: layersDone)
        }
        rows.append(describe(node, of: cache, token: batch.tokens[row]))
      }
      sequences.append(
        ft_sequence(
          row_begin: Int32(segment.begin), row_count: Int32(segment.count),
          pages: UnsafePointer(cache.table)))
    }
  }

  private func describe(_ node: Int, of cache: KVCache, token: Int32) -> ft_row {
    let pending = cache.pending[node]
    let begin = tails.count
    cache.appendTail(of: node, to: &tails)
    return ft_row(
      token: token, position: Int32(cache.nextPosition) + pending.depth,
      slot: Int32(cache.length + node), contiguous: Int32(cache.length) + pending.aligned,
      tail_begin: Int32(begin), tail_count: Int32(tails.count - begin))
  }

  // MARK: The pass

  private func run(_ plan: CompiledPlan, _ batch: ForwardBatch) {
    rows.withUnsafeBufferPointer { rows in
      tails.withUnsafeBufferPointer { tails in
        sequences.withUnsafeBufferPointer { sequences in
          batch.selected.withUnsafeBufferPointer { selected in
            batch.embeddings.withUnsafeBufferPointer { embeddings in
              batch.rowSkips.attention.withUnsafeBufferPointer { attention in
                batch.rowSkips.feedForward.withUnsafeBufferPointer { feedForward in
                  var pass = ft_pass()
                  pass.rows = rows.baseAddress
                  pass.row_count = Int32(rows.count)
                  pass.tails = tails.baseAddress
                  pass.sequences = sequences.baseAddress
                  pass.sequence_count = Int32(sequences.count)
                  pass.selected = selected.baseAddress
                  pass.selected_count = Int32(selected.count)
                  pass.embeddings = embeddings.baseAddress
                  pass.skip_attention = attention.isEmpty ? nil : attention.baseAddress
                  pass.skip_feed_forward = feedForward.isEmpty ? nil : feedForward.baseAddress
                  run(plan, batch, &pass)
                }
              }
            }
          }
        }
      }
    }
  }

  private func run(_ plan: CompiledPlan, _ batch: ForwardBatch, _ pass: inout ft_pass) {
    guard let candidates = batch.candidates else { return run(plan, &pass) }
    candidates.withUnsafeBufferPointer { candidates in
      batch.candidateGroups.withUnsafeBufferPointer { groups in
        pass.candidates = candidates.baseAddress
        pass.candidate_count = Int32(candidates.count)
        pass.candidate_groups = groups.baseAddress
        pass.candidate_group_count = Int32(groups.count)
        run(plan, &pass)
      }
    }
  }

  private func run(_ plan: CompiledPlan, _ pass: inout ft_pass) {
    pass.buffers = UnsafePointer(buffers.buffers.baseAddress)
    pass.strides = UnsafePointer(buffers.strides.baseAddress).map {
      UnsafeRawPointer($0).assumingMemoryBound(to: Int.self)
    }
    pass.activations = UnsafePointer(buffers.activations.baseAddress)
    pass.rope_tables = UnsafePointer(buffers.ropeTables.baseAddress)
    pass.partials = buffers.partials?.floats
    pass.partial_capacity =
      (buffers.partials?.count ?? 0) / MemoryLayout<Float>.stride
    pass.scratch = buffers.scratch.base.assumingMemoryBound(to: UInt8.self)
    pass.profile = profile
    ft_plan_run(workers.pool, plan.plan, &pass)
    if profile != nil { readProfile() }
  }

  private func readProfile() {
    guard let profile else { return }
    let names: [(ft_op_kind, String)] = [
      (FT_OP_EMBED, "embed"), (FT_OP_ROPE_TABLE, "rope table"), (FT_OP_NORM, "norm"),
      (FT_OP_QUANTIZE, "quantize"),
      (FT_OP_MATMUL, "matmul"), (FT_OP_ATTENTION, "attention"), (FT_OP_GATHER, "gather"),
      (FT_OP_ATTENTION_MERGE, "merge"), (FT_OP_NORM_ADD, "norm + add"),
      (FT_OP_SELECT, "select"), (FT_OP_COPY, "copy"),
    ]
    for (kind, name) in names { statistics.profile[name] = profile[Int(kind.rawValue)] }
    statistics.workNanoseconds = profile[Int(FT_PROFILE_WORK)]
  }
}
