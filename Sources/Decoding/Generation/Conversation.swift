import Transformers

/// The tokens of one sequence whose keys and values are in a cache.
///
/// A conversation's next prompt repeats what was said before; the common prefix stays in the cache
/// and only the rest is run.
final class Conversation {
  private(set) var cache: KVCache
  /// What drafters keep between the turns.
  let drafterMemory: DrafterMemory
  /// What drafters share with the other samples of the prompt; the same as `drafterMemory` where
  /// there are none.
  let samplesMemory: DrafterMemory
  private(set) var tokens: [Int32] = []
  /// The events of the generation that uses the cache, if one does.
  var answer: EventChannel?
  /// Generations that wait for the cache.
  var waiting: [CheckedContinuation<Void, Never>] = []

  /// - Parameter samplesMemory: shared with the samples that run at the same time.
  init(cache: KVCache, samplesMemory: DrafterMemory? = nil) {
    self.cache = cache
    drafterMemory = DrafterMemory()
    self.samplesMemory = samplesMemory ?? drafterMemory
  }

  /// The same committed tokens in a second sequence. Pages are shared until one of the two writes.
  func fork() -> Conversation {
    let fork = Conversation(cache: cache.fork())
    fork.tokens = tokens
    return fork
  }

  /// Takes the first `count` tokens of another sequence, as far as it has them, for its own.
  func adopt(_ source: Conversation, count: Int) throws {
    let fork = source.cache.fork()
    let count = min(count, source.tokens.count)
    try fork.truncate(to: count)
    cache.release()
    cache = fork
    tokens = Array(source.tokens.prefix(count))
  }

  /// Begins with pages that hold the keys and values of the first tokens of `prompt`.
  func begin(with pages: [KVPage], of prompt: [Int32]) throws {
    try cache.begin(with: pages)
    tokens = Array(prompt.prefix(pages.count * KVCache.pageTokens))
  }

  /// Drops what `prompt` does not share and returns the length of what stays: less than the whole
  /// prompt, since its last token must be run for its logits.
  func keepCommonPrefix(with prompt: [Int32]) throws -> Int {
    var common = 0
    let limit = min(tokens.count, prompt.count - 1)
    while common < limit, tokens[common] == prompt[common] { common += 1 }
    cache.rollback()
    try cache.truncate(to: common)
    tokens.removeSubrange(common...)
    return common
  }

  /// Commits the pending chain of `run`, which was just put through a forward pass.
  func commit(_ run: some Sequence<Int32>) throws {
    try cache.commitAll()
    tokens.append(contentsOf: run)
  }

  /// Commits a path of pending nodes, whose tokens these are, and forgets the others.
  func commit(path: [Int], tokens run: [Int32]) throws {
    try cache.commit(path: path)
    tokens.append(contentsOf: run)
  }

  /// Commits the root of a drafted tree and its accepted nodes, and forgets the others.
  ///
  /// - Parameters:
  ///   - accepted: nodes of the tree, root first.
  ///   - history: the tokens so far, the accepted ones included.
  func commit(_ accepted: ArraySlice<Int32>, of history: TokenHistory) throws {
    try cache.commit(path: [0] + accepted.lazy.map { Int($0) + 1 })
    let begin = tokens.count
    tokens.append(contentsOf: history.tokens[begin...(begin + accepted.count)])
  }

  /// Commits a path of the pending tree, and forgets the other nodes.
  ///
  /// - Parameters:
  ///   - path: nodes, root first.
  ///   - run: their tokens.
  func commit(path: some Collection<Int>, tokens run: some Sequence<Int32>) throws {
    try cache.commit(path: path)
    tokens.append(contentsOf: run)
  }
}
