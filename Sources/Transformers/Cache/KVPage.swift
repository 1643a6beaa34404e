/// A share in one page of keys and values, which stays as it is while the share is held.
///
/// Not Sendable: it belongs to its engine, as the caches do.
public final class KVPage {
  let pool: PagePool
  let index: Int

  init(pool: PagePool, index: Int) {
    self.pool = pool
    self.index = index
    pool.retain(index)
  }

  deinit { pool.release(index) }

  /// Bytes of the page.
  public var bytes: Int { pool.pageBytes }
}

extension KVCache {
  /// Positions that a page holds.
  public static let pageTokens = PagePool.slots

  /// Shares in the pages that committed entries fill from the beginning on; none where entries were
  /// injected without positions, since no tokens say what those pages hold.
  public var wholePages: [KVPage] {
    guard nextPosition == length else { return [] }
    return pages.prefix(length / Self.pageTokens).map { KVPage(pool: pool, index: $0) }
  }
}
