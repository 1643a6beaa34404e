import Tokenization
import Transformers

/// Settings of `--decode exact-extract`.
public struct ExactExtractOptions: Sendable, Equatable {
  /// Where spans begin.
  public enum Starts: String, Sendable, Codable, CaseIterable {
    /// At words, marks and single characters of the passage; tokens are those that would be written
    /// after the prompt.
    case word
    /// At every token of the passage, with the tokens of the passage, as in the paper.
    case token
  }

  /// The text that the answer is a span of. The prompt should hold it as well; `prompt(passage:
  /// question:)` makes one.
  public var passage: String
  /// Most tokens of a span, 1 to 256.
  public var longestSpan: Int
  /// Where spans begin.
  public var starts: Starts
  /// Whether a token that begins with a line break ends an answer, beside the model's own end tokens.
  public var endsAtLineBreak: Bool
  /// Paths of one forward pass, 1 to 128. Changes the time, never the answer.
  public var pathsPerPass: Int
  /// Looks at all spans instead of those that can be the best: slow, for comparison.
  public var isExhaustive: Bool

  /// Spans of up to 32 tokens that begin at words.
  public init(
    passage: String = "", longestSpan: Int = 32, starts: Starts = .word,
    endsAtLineBreak: Bool = true, pathsPerPass: Int = 16, isExhaustive: Bool = false
  ) {
    self.passage = passage
    self.longestSpan = longestSpan
    self.starts = starts
    self.endsAtLineBreak = endsAtLineBreak
    self.pathsPerPass = pathsPerPass
    self.isExhaustive = isExhaustive
  }

  /// The paper's prompt for a passage and a question.
  public static func prompt(passage: String, question: String) -> String {
    "Text: \(passage)\nQuestion: \(question)\nAnswer:"
  }

  /// Longest passage: far more than any context holds.
  static let mostPassageBytes = 4 << 20

  func validate() throws {
    try SearchOptions.check("longest span", longestSpan, 1...256, "1 to 256 tokens")
    try SearchOptions.check("paths of a pass", pathsPerPass, 1...128, "1 to 128")
    let most = Self.mostPassageBytes
    try SearchOptions.check(
      "passage", passage.utf8.count, 0...most, "at most \(most) bytes of UTF-8")
  }
}

/// Finds the spans of a passage that the model holds most probable as the answer, exactly
/// (Castel, Ram, Efrat and Levy, arXiv 2108.05857).
///
/// A span's probability is that of its tokens after the prompt and of the end after them. The
/// beginnings of all spans form a trie; its paths are run as a tree behind the prompt, those of
/// least cost first, so that every path is run once and most are not run at all (`SpanSearch`).
final class ExactExtract: DecodingStrategy {
  private let options: ExactExtractOptions
  private let ends: [Int32]
  private var search: SpanSearch
  /// The pending row of a path that is in the cache.
  private var rows: [Int32: Int] = [:]

  /// - Throws: `GenerationError.invalidOption` for a passage without words or without an end token.
  init(_ run: DecodingRun) throws {
    options = run.options.search.extraction
    ends = Self.ends(run, atLineBreaks: options.endsAtLineBreak)
    guard !ends.isEmpty else {
      throw GenerationError.invalidOption(
        name: "end of an answer", value: "no token",
        expected: "an end token of the model or line breaks: do not ignore the end of text")
    }
    let size = run.tokenizer.encode(options.passage, addSpecial: false, parseSpecial: false).count
    guard size <= run.engine.contextLimit else {
      throw GenerationError.promptTooLong(tokens: size, limit: run.engine.contextLimit)
    }
    let room = run.engine.contextLimit - run.prompt.count
    guard room > 0 else {
      throw GenerationError.promptTooLong(
        tokens: run.prompt.count + 1, limit: run.engine.contextLimit)
    }
    let trie = SpanTrie(
      passage: options.passage, tokenizer: run.tokenizer,
      longest: min(options.longestSpan, run.tokensLeft, room), starts: options.starts)
    guard !trie.nodes.isEmpty || run.tokensLeft == 0 else {
      throw GenerationError.invalidOption(
        name: "passage", value: options.passage.isEmpty ? "empty" : "without a word",
        expected: "the text that the answer is a part of")
    }
    search = SpanSearch(
      trie, passage: options.passage, wanted: run.options.search.results,
      isExhaustive: options.isExhaustive)
  }

  private static func ends(_ run: DecodingRun, atLineBreaks: Bool) -> [Int32] {
    var ends = run.stops
    if atLineBreaks {
      for token in 0..<Int32(run.tokenizer.vocabularyCount)
      where run.tokenizer.bytes(of: token).first == UInt8(ascii: "\n") {
        ends.insert(token)
      }
    }
    return ends.sorted()
  }

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {
    try run.processor.withScores(logits, history: run.history) {
      search.look(at: -1, logProbability: 0, scores: $0, ends: ends)
    }
  }

  func step(_ run: DecodingRun) throws {
    let cache = run.conversation.cache
    var batch = ForwardBatch()
    var plan = RowPlan(known: rows, pending: cache.pendingCount)
    var looked: [PathHeap.Entry] = []
    let room = run.engine.contextLimit + ForwardEngine.maximumRows - cache.length
    while looked.count < options.pathsPerPass, let entry = search.next {
      let missing = plan.missing(entry.node, search.trie)
      guard plan.count + missing.count <= ForwardEngine.maximumRows else { break }
      if plan.pending + plan.count + missing.count > room {
        // The rows of abandoned paths are in the way; those still needed are run again.
        guard looked.isEmpty else { break }
        cache.rollback()
        plan = RowPlan(known: [:], pending: 0)
        continue
      }
      plan.append(missing, search.trie)
      search.removeNext()
      looked.append(entry)
    }
    guard !looked.isEmpty else {
      cache.rollback()
      try finish(run)
      return
    }
    batch.append(
      tree: plan.tokens, parents: plan.parents, to: cache,
      logits: .nodes(looked.map { (plan.known[$0.node] ?? 0) - plan.pending }))
    let output = try run.forward(batch)
    rows = plan.known
    for (row, entry) in looked.enumerated() {
      let path = search.trie.path(to: entry.node)
      try run.processor.withScores(output.logits(row), history: run.history, path: path) {
        search.look(
          at: entry.node, logProbability: entry.logProbability, scores: $0, ends: ends)
      }
    }
  }

  private func finish(_ run: DecodingRun) throws {
    guard let first = search.best.first else {
      throw SamplingError.noCandidates(position: run.history.count)
    }
    let entries = try logProbabilities(search.trie.path(to: first.node), run)
    run.finish(
      candidates: search.best.enumerated().map { rank, found in
        let node = search.trie.nodes[Int(found.node)]
        return FoundText(
          tokens: search.trie.path(to: found.node), score: found.logProbability,
          logProbability: found.logProbability, reason: .stopToken(found.end),
          logProbabilities: rank == 0 ? entries : [],
          passageRange: scalars(Int(node.begin)..<Int(node.end)))
      })
  }

  /// The range of bytes as one of Unicode scalars.
  private func scalars(_ bytes: Range<Int>) -> Range<Int> {
    let text = options.passage.utf8
    let begin = text.index(text.startIndex, offsetBy: bytes.lowerBound)
    let end = text.index(begin, offsetBy: bytes.count)
    let before = options.passage.unicodeScalars[..<begin].count
    return before..<before + options.passage.unicodeScalars[begin..<end].count
  }

  /// The answer's log-probabilities, if they were asked for: its tokens are run once more.
  private func logProbabilities(
    _ tokens: [Int32], _ run: DecodingRun
  ) throws -> [TokenLogProbabilities] {
    guard run.options.logProbabilities != nil else { return [] }
    let cache = run.conversation.cache.fork()
    try cache.truncate(to: cache.length - 1)
    var batch = ForwardBatch()
    batch.append(chain: [run.prompt[run.prompt.count - 1]] + tokens, to: cache, logits: .all)
    let output = try run.forward(batch)
    return try tokens.enumerated().compactMap { index, token in
      try run.logProbabilities(
        token, logits: output.logits(index), position: run.prompt.count + index)
    }
  }
}

/// The rows that a pass adds to the tree behind the prompt.
private struct RowPlan {
  /// Pending row of each path, those of the plan included.
  private(set) var known: [Int32: Int]
  /// Rows that are in the cache already.
  let pending: Int
  private(set) var tokens: [Int32] = []
  private(set) var parents: [Int32] = []

  var count: Int { tokens.count }

  init(known: [Int32: Int], pending: Int) {
    self.known = known
    self.pending = pending
  }

  /// The path's nodes that have no row yet, the first one first.
  func missing(_ node: Int32, _ trie: SpanTrie) -> [Int32] {
    var missing: [Int32] = []
    var at = node
    while at >= 0, known[at] == nil {
      missing.append(at)
      at = trie.nodes[Int(at)].parent
    }
    return missing.reversed()
  }

  mutating func append(_ nodes: [Int32], _ trie: SpanTrie) {
    for node in nodes {
      let parent = trie.nodes[Int(node)].parent
      tokens.append(trie.nodes[Int(node)].token)
      parents.append(parent < 0 ? -1 : Int32(known[parent] ?? -1))
      known[node] = pending + tokens.count - 1
    }
  }
}

extension DecodingKind {
  /// `--decode exact-extract`.
  static let exactExtract = DecodingKind(
    name: "exact-extract", abilities: .listsCandidates,
    validate: { try $0.extraction.validate() }, make: { try ExactExtract($0) })
}
