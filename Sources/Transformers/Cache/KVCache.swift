import CKernels

/// One sequence's keys and values: a committed prefix and a pending token tree.
///
/// A forward pass adds *pending* nodes. `commit(path:)` keeps one path from the prefix and forgets
/// the rest; `rollback()` forgets all of them. Both cost what is kept or dropped, not the length of
/// the prefix. Pages are shared between forks and copied on the first write.
///
/// Not Sendable: a cache belongs to its engine and is used from the engine's thread.
public final class KVCache {
  let pool: PagePool
  let slotLimit: Int
  private(set) var pages: [Int] = []
  /// Addresses of the pages, for the kernels.
  private(set) var table: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>
  /// Whether the pages were given back.
  public private(set) var isReleased = false
  /// Committed entries.
  public private(set) var length = 0
  /// Rotary position of the next token; `length` unless entries were injected without positions.
  public var nextPosition: Int { length + positionOffset }
  private var positionOffset = 0
  /// Nodes that were run and are neither committed nor rolled back.
  private(set) var pending: [PendingNode] = []

  /// A node of the pending tree.
  struct PendingNode {
    var parent: Int32  // -1: the committed prefix
    var depth: Int32
    var aligned: Int32  // leading nodes of its path whose slot is their depth
    var layersDone: Int32
  }

  init(pool: PagePool, slotLimit: Int) {
    self.pool = pool
    self.slotLimit = slotLimit
    let capacity = slotLimit / PagePool.slots + 1
    table = .allocate(capacity: capacity)
    table.initialize(repeating: nil, count: capacity)
  }

  deinit {
    release()
    table.deallocate()
  }

  /// Pending nodes.
  public var pendingCount: Int { pending.count }

  /// Bytes of the pages this sequence holds, shared ones included.
  public var pageBytes: Int { pages.count * pool.pageBytes }

  /// Gives the pages back. The cache cannot be used afterwards. Also done when the cache is freed.
  public func release() {
    guard !isReleased else { return }
    dropPages(keepingSlots: 0)
    pending.removeAll()
    length = 0
    isReleased = true
  }

  /// A second sequence with the same committed prefix; pages are shared until one of the two writes.
  ///
  /// Pending nodes stay with this cache. O(pages).
  public func fork() -> KVCache {
    let copy = KVCache(pool: pool, slotLimit: slotLimit)
    copy.length = length
    copy.positionOffset = positionOffset
    for page in pages.prefix(Self.pageCount(length)) {
      pool.retain(page)
      copy.pushPage(page)
    }
    return copy
  }

  /// Begins an empty sequence with pages of another one of the same engine: their entries are
  /// committed here without being run. Writing to one copies it first.
  ///
  /// - Throws: `ForwardError` if there are entries already, if the pages are another engine's, or if
  ///   there are more than the context holds.
  public func begin(with shares: [KVPage]) throws(ForwardError) {
    let count = shares.count * PagePool.slots
    guard length == 0, shares.allSatisfy({ $0.pool === pool }) else {
      throw .badLength(count, committed: length)
    }
    guard pending.isEmpty else { throw .pendingNodes(pending.count) }
    guard count <= slotLimit else { throw .contextFull(needed: count, limit: slotLimit) }
    for share in shares {
      pool.retain(share.index)
      pushPage(share.index)
    }
    length = count
  }

  // MARK: Commit and rollback

  /// Keeps the pending nodes of `path` (root to leaf) and forgets the others.
  ///
  /// - Throws: `ForwardError` if `path` is not a chain that starts at the committed prefix, or a
  ///   node has not been through all layers.
  public func commit(path: some Collection<Int>) throws(ForwardError) {
    var parent: Int32 = -1
    for node in path {
      guard pending.indices.contains(node), pending[node].parent == parent else {
        throw .badPath(Array(path))
      }
      guard pending[node].layersDone == pool.layerCount else {
        throw .unfinishedNode(
          node, layers: Int(pending[node].layersDone), expected: pool.layerCount)
      }
      parent = Int32(node)
    }
    var target = length
    for node in path {
      moveSlot(from: length + node, to: target)
      target += 1
    }
    length = target
    rollback()
  }

  /// Keeps all pending nodes, which must be one chain.
  public func commitAll() throws(ForwardError) { try commit(path: pending.indices) }

  /// Forgets all pending nodes.
  public func rollback() {
    pending.removeAll(keepingCapacity: true)
    dropPages(keepingSlots: length)
  }

  /// Forgets committed entries beyond `length`, and all pending nodes.
  public func truncate(to length: Int) throws(ForwardError) {
    guard (0...self.length).contains(length) else {
      throw .badLength(length, committed: self.length)
    }
    self.length = length
    if length == 0 { positionOffset = 0 }
    rollback()
  }

  private func moveSlot(from: Int, to: Int) {
    guard from != to else { return }
    var shape = pool.shape
    ft_kv_move_slot(&shape, Int32(pool.layerCount), table, Int32(from), Int32(to))
  }

  // MARK: Injected entries

  /// Appends entries that no token made (compressed context, cache augmentation).
  ///
  /// - Parameters:
  ///   - keys: per layer, [entries, keyValueHeads, headDimension], already rotated.
  ///   - values: the same shape.
  ///   - consumesPositions: whether later tokens' rotary positions count these entries.
  public func inject(keys: [[Float]], values: [[Float]], consumesPositions: Bool = true)
    throws(ForwardError)
  {
    guard pending.isEmpty else { throw .pendingNodes(pending.count) }
    let width = Int(pool.shape.kv_heads * pool.shape.head_dimension)
    let count = (keys.first?.count ?? 0) / width
    let expected = count * width
    for rows in keys + values where rows.count != expected {
      throw .badKeysValues(floats: rows.count, expected: expected)
    }
    guard keys.count == pool.layerCount, values.count == pool.layerCount else {
      throw .badLayers(0..<max(keys.count, 1), layerCount: pool.layerCount)
    }
    try reserve(slots: length..<length + count)
    var shape = pool.shape
    for layer in keys.indices {
      for entry in 0..<count {
        let range = entry * width..<(entry + 1) * width
        ft_kv_write(
          &shape, table, Int32(layer), Int32(length + entry), Array(keys[layer][range]),
          Array(values[layer][range]))
      }
    }
    length += count
    if !consumesPositions { positionOffset -= count }
  }

  /// Keys and values of one committed entry as stored: [keyValueHeads, headDimension] each.
  public func entry(_ index: Int, layer: Int) throws(ForwardError) -> (
    keys: [Float], values: [Float]
  ) {
    guard (0..<length).contains(index) else { throw .badLength(index, committed: length) }
    guard (0..<pool.layerCount).contains(layer) else {
      throw .badLayers(layer..<layer + 1, layerCount: pool.layerCount)
    }
    let width = Int(pool.shape.kv_heads * pool.shape.head_dimension)
    var keys = [Float](repeating: 0, count: width)
    var values = keys
    var shape = pool.shape
    ft_kv_read(&shape, table, Int32(layer), Int32(index), &keys, &values)
    return (keys, values)
  }

  // MARK: Pages

  private static func pageCount(_ slots: Int) -> Int {
    (slots + PagePool.slots - 1) / PagePool.slots
  }

  private func pushPage(_ page: Int) {
    table[pages.count] = pool.address(page)
    pages.append(page)
  }

  private func dropPages(keepingSlots slots: Int) {
    while pages.count > Self.pageCount(slots) {
      pool.release(pages.removeLast())
      table[pages.count] = nil
    }
  }

  /// Makes the slots writable: allocates pages and copies shared ones.
  func reserve(slots: Range<Int>) throws(ForwardError) {
    guard slots.upperBound <= slotLimit else {
      throw .contextFull(needed: slots.upperBound, limit: slotLimit)
    }
    while pages.count < Self.pageCount(slots.upperBound) { pushPage(try pool.allocate()) }
    guard !slots.isEmpty else { return }
    for index in slots.lowerBound / PagePool.slots...(slots.upperBound - 1) / PagePool.slots
    where pool.isShared(pages[index]) {
      let copy = try pool.copy(pages[index])
      pool.release(pages[index])
      pages[index] = copy
      table[index] = pool.address(copy)
    }
  }

  // MARK: Pending nodes, for the engine

  func appendPending(parent: Int32, layersDone: Int) {
    let index = Int32(pending.count)
    var node = PendingNode(parent: parent, depth: 0, aligned: 0, layersDone: Int32(layersDone))
    if parent >= 0 {
      let above = pending[Int(parent)]
      node.depth = above.depth + 1
      node.aligned = above.aligned
    }
    if node.aligned == node.depth && index == node.depth { node.aligned += 1 }
    pending.append(node)
  }

  func markLayers(of node: Int, done: Int) { pending[node].layersDone = Int32(done) }

  /// Appends the slots of the node's path that are not aligned, in path order.
  func appendTail(of node: Int, to tails: inout [Int32]) {
    let begin = tails.count
    var at = node
    while at >= 0, pending[at].depth >= pending[at].aligned {
      tails.append(Int32(length + at))
      at = Int(pending[at].parent)
    }
    tails[begin...].reverse()
  }

  /// Forgets the pending nodes from `count` on (a pass that failed).
  func dropPending(from count: Int) { pending.removeSubrange(count...) }

  /// Checks what must always hold; for tests.
  ///
  /// - Throws: `BrokenInvariant` that says what does not.
  public func checkInvariants() throws {
    func require(_ condition: Bool, _ what: String) throws {
      if !condition { throw BrokenInvariant(what: what) }
    }
    try require(!isReleased || pages.isEmpty, "a released cache has no pages")
    try require(
      pages.count >= Self.pageCount(length + pending.count), "every slot has a page")
    for (index, page) in pages.enumerated() {
      try require(pool.referenceCount(page) > 0, "page \(index) is referenced")
      try require(table[index] == pool.address(page), "the table matches page \(index)")
    }
    for (index, node) in pending.enumerated() {
      try require(node.parent < index && node.parent >= -1, "parents come before children")
      let depth = node.parent < 0 ? 0 : pending[Int(node.parent)].depth + 1
      try require(node.depth == depth, "node \(index) is one deeper than its parent")
      try require(node.aligned <= node.depth + 1, "aligned nodes are on the path")
    }
  }
}

/// Something that must always hold does not.
public struct BrokenInvariant: Error, CustomStringConvertible {
  /// What should hold.
  public let what: String
  /// - Parameter what: what should hold, as a sentence.
  public init(what: String) { self.what = what }
  /// The same, as a sentence.
  public var description: String { "broken invariant: \(what)" }
}
