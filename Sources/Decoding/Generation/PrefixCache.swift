import Transformers

/// What a prefix cache holds and has done.
public struct PrefixCacheStatistics: Sendable, Equatable {
  /// Pages that are kept.
  public var pages = 0
  /// Bytes of these pages.
  public var bytes = 0
  /// Prompts that were looked up.
  public var lookups = 0
  /// Prompts of which at least a page was there.
  public var hits = 0
  /// Tokens of prompts that were not run, because they were there.
  public var reusedTokens = 0
  /// Pages that were dropped for newer ones.
  public var evictions = 0
}

/// Keys and values of earlier texts, for prompts that begin in the same way: a radix tree whose edges
/// are pages.
///
/// A page holds the entries of 64 tokens, which depend on these and on all before them; a node stands
/// for the text from the root down to it. Keys and values of a token have the same bits whoever ran
/// it beside whomever, so a prompt that begins with pages from here gives the bits of one that is run
/// from its first token. Pages that nobody has used for longest go first, leaves before what they
/// hang on.
///
/// Not Sendable: it belongs to the engine's thread.
final class PrefixCache {
  private final class Node {
    let tokens: [Int32]
    let page: KVPage?
    unowned let parent: Node?
    var children: [[Int32]: Node] = [:]
    var lastUse = 0

    init(tokens: [Int32] = [], page: KVPage? = nil, parent: Node? = nil) {
      self.tokens = tokens
      self.page = page
      self.parent = parent
    }
  }

  /// Most bytes of kept pages; 0 keeps none.
  var byteLimit = 0 { didSet { evict() } }
  /// What is held and what was done.
  private(set) var statistics = PrefixCacheStatistics()

  private let root = Node()
  private var clock = 0

  /// The pages of the longest known beginning of `prompt`, but for its last token, which is run for
  /// its logits; nil if not even a page is known.
  func pages(for prompt: [Int32]) -> [KVPage]? {
    guard byteLimit > 0 else { return nil }
    statistics.lookups += 1
    clock += 1
    var node = root
    var pages: [KVPage] = []
    for range in Self.pageRanges(prompt.count - 1) {
      guard let child = node.children[Array(prompt[range])], let page = child.page else { break }
      child.lastUse = clock
      pages.append(page)
      node = child
    }
    guard !pages.isEmpty else { return nil }
    statistics.hits += 1
    statistics.reusedTokens += pages.count * KVCache.pageTokens
    return pages
  }

  /// Keeps the whole pages of a text.
  func keep(_ conversation: Conversation) {
    guard byteLimit > 0, !conversation.cache.isReleased else { return }
    clock += 1
    var node = root
    let tokens = conversation.tokens
    let pages = conversation.cache.wholePages
    for (range, page) in zip(Self.pageRanges(tokens.count), pages) {
      let key = Array(tokens[range])
      let child: Node
      if let known = node.children[key] {
        child = known
      } else {
        child = Node(tokens: key, page: page, parent: node)
        node.children[key] = child
        statistics.pages += 1
        statistics.bytes += page.bytes
      }
      child.lastUse = clock
      node = child
    }
    evict()
  }

  /// The ranges of the whole pages of so many tokens.
  private static func pageRanges(_ count: Int) -> some Sequence<Range<Int>> {
    let size = KVCache.pageTokens
    return (0..<max(count, 0) / size).lazy.map { $0 * size..<($0 + 1) * size }
  }

  /// Drops the leaves that nobody has used for longest until the pages fit.
  private func evict() {
    guard statistics.bytes > byteLimit else { return }
    var leaves = leaves().sorted { $0.lastUse > $1.lastUse }
    while statistics.bytes > byteLimit, let leaf = leaves.popLast() {
      guard let parent = leaf.parent else { return }
      parent.children[leaf.tokens] = nil
      statistics.pages -= 1
      statistics.bytes -= leaf.page?.bytes ?? 0
      statistics.evictions += 1
      guard parent.children.isEmpty, parent !== root else { continue }
      // What the leaf hung on is a leaf now; it was used at least as late.
      let place = leaves.lastIndex { $0.lastUse >= parent.lastUse }
      leaves.insert(parent, at: place.map { $0 + 1 } ?? 0)
    }
  }

  private func leaves() -> [Node] {
    var leaves: [Node] = []
    var rest = Array(root.children.values)
    while let node = rest.popLast() {
      if node.children.isEmpty { leaves.append(node) } else { rest += node.children.values }
    }
    return leaves
  }
}
