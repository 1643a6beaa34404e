import Compute
import Foretoken

/// Times masks along texts of drawn tokens.
struct ConstraintBenchmark {
  /// Time that the vocabulary's trie took.
  let trieMilliseconds: Double
  private let trie: VocabularyTrie
  private let states: Int
  private let seed: UInt64
  private let clock = ContinuousClock()

  init(_ tokenizer: Tokenizer, states: Int, seed: UInt64) {
    let clock = ContinuousClock()
    let began = clock.now
    trie = VocabularyTrie(tokenizer)
    trieMilliseconds = began.duration(to: clock.now) / .milliseconds(1)
    self.states = states
    self.seed = seed
  }

  /// - Throws: `ConstraintError`.
  func measure(_ name: String, _ constraint: Constraint) throws -> ConstraintFigures {
    let began = clock.now
    let grammar = try constraint.compile()
    let compiled = began.duration(to: clock.now) / .milliseconds(1)
    let matcher = ConstraintMatcher(grammar: grammar, trie: trie)
    let noise = RandomStream(seed: seed, purpose: .draft)
    var masks: [Double] = []
    var possible: [Double] = []
    var state = try matcher.start()
    var length = 0
    for index in 0..<states {
      let began = clock.now
      try matcher.withMask(state) { _ in }
      masks.append(began.duration(to: clock.now) / .microseconds(1))
      let tokens = try tokens(matcher, state)
      possible.append(Double(tokens.count))
      // One token in four ends something where that is possible, or texts would be one string.
      let endsSoon = length > 200 || noise.uniform(position: index, token: 1) < 0.25
      let drawn = Int(noise.uniform(position: index, token: 0) * Double(tokens.count))
      let token = (endsSoon ? closing(tokens) : nil) ?? tokens[min(drawn, tokens.count - 1)]
      length += 1
      guard let next = try matcher.advance(state, token), !next.hasEnded, length < 2_000 else {
        matcher.renewIfLarge()
        state = try matcher.start()
        length = 0
        continue
      }
      state = next
    }
    return ConstraintFigures(
      name: name, bytes: constraint.sourceBytes, compileMilliseconds: compiled,
      masks: Samples(masks), possible: Samples(possible))
  }

  private func tokens(_ matcher: ConstraintMatcher, _ state: ConstraintState) throws -> [Int32] {
    let tokens = try matcher.withMask(state) { words in
      words.indices.flatMap { index in
        (0..<64).filter { words[index] >> UInt64($0) & 1 == 1 }.map { Int32(index * 64 + $0) }
      }
    }
    guard !tokens.isEmpty else { throw ConstraintError.noToken(text: "") }
    return tokens
  }

  /// A token that ends the text, or a single character that ends a part of it.
  private func closing(_ tokens: [Int32]) -> Int32? {
    tokens.first { trie.ends.contains($0) }
      ?? tokens.first { token in
        let bytes = trie.text(of: token)
        return bytes.count == 1 && "\"}]);\n".utf8.contains(bytes[bytes.startIndex])
      }
  }
}

/// What masks of one constraint cost.
struct ConstraintFigures {
  let name: String
  let bytes: Int
  let compileMilliseconds: Double
  /// Microseconds.
  let masks: Samples
  let possible: Samples

  var row: [String] {
    func time(_ part: Double) -> String { readableNumber(masks.quantile(part)) + " µs" }
    return [
      name, "\(bytes)", readableNumber(compileMilliseconds) + " ms", time(0.5), time(0.9),
      time(0.99), time(1), readableNumber(possible.median),
    ]
  }

  var json: JSONValue {
    [
      "name": .string(name), "bytes": .integer(bytes), "compile_ms": rounded(compileMilliseconds),
      "mask_us": [
        "p50": rounded(masks.quantile(0.5)), "p90": rounded(masks.quantile(0.9)),
        "p99": rounded(masks.quantile(0.99)), "max": rounded(masks.maximum),
      ],
      "possible_tokens": rounded(possible.median),
    ]
  }
}

extension Constraint {
  /// Bytes of its source.
  fileprivate var sourceBytes: Int {
    switch self {
    case .grammar(let text), .jsonSchema(let text), .regex(let text): text.utf8.count
    case .jsonObject: 0
    case .framed(let prefix, let body, let suffix):
      prefix.utf8.count + body.sourceBytes + suffix.utf8.count
    }
  }
}
