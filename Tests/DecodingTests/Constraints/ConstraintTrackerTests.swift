import Foundation
import Foretoken
import Testing

@testable import Decoding

@Suite("constraints in decoding")
struct ConstraintTrackerTests {
  private let yesNo = Constraint.grammar(#"root ::= ("yes" | "no") "!"{1,2}"#)

  private func possible(
    _ tracker: ConstraintTracker, _ history: TokenHistory, _ path: [Int32]
  ) throws -> [Int32] {
    var logits = [Float](repeating: 0, count: ToyConstraint.vocabularyCount)
    try path.withUnsafeBufferPointer { try tracker.mask(&logits, history, $0) }
    return logits.indices.filter { logits[$0] == 0 }.map { Int32($0) }
  }

  @Test("the mask of a node is that of plain decoding there, in any order of nodes")
  func nodes() throws {
    let toy = try ToyConstraint(yesNo)
    let tracker = toy.tracker(promptCount: 2)
    let history = TokenHistory([1, 2] + toy.tokens("y"))
    for path in ["", "es", "e", "es!", "es!!", "e", "es!"] {
      let plain = toy.tracker(promptCount: 2)
      let committed = TokenHistory(history.tokens + toy.tokens(path))
      #expect(
        try possible(tracker, history, toy.tokens(path)) == possible(plain, committed, []))
    }
    #expect(
      try possible(tracker, history, toy.tokens("es!")) == toy.tokens("!") + [ToyConstraint.end])
    #expect(
      try possible(tracker, TokenHistory([1, 2] + toy.tokens("no!!")), []) == [ToyConstraint.end])
  }

  @Test("drafts lose what the constraint forbids, and what is below it")
  func pruning() throws {
    let toy = try ToyConstraint(yesNo)
    let tracker = toy.tracker()
    var tree = TokenTree()
    tree.append(chain: toy.tokens("yes!") + [ToyConstraint.end, 65])
    tree.append(chain: toy.tokens("nx!"))
    tree.append(chain: toy.tokens("maybe"))
    try tracker.prune(&tree, TokenHistory([0]))
    try tree.checkInvariants()
    #expect(tree.tokens == toy.tokens("yes!") + [ToyConstraint.end] + toy.tokens("n"))
  }

  @Test("a forbidden draw stays for the verifier to refuse, without what is below it")
  func drawnNodes() throws {
    let toy = try ToyConstraint(yesNo)
    var tree = TokenTree()
    let wrong = tree.append(65, below: TokenTree.root)
    tree.append(66, below: wrong)
    tree.append(121, below: TokenTree.root)
    let draft = DraftDistribution(tokens: [65, 66, 121], weights: [1, 1, 1])
    tree.setDistribution(draft, below: TokenTree.root)
    try toy.tracker().prune(&tree, TokenHistory([0]))
    try tree.checkInvariants()
    #expect(tree.tokens == [65, 121])
    #expect(tree.distribution(below: TokenTree.root) == draft)
  }

  @Test("tokens that must follow are added below the root and below every leaf")
  func forced() throws {
    // Only single bytes spell this: every token is the only possible one.
    let toy = try ToyConstraint(.grammar(#"root ::= "xy" ("z" | "w") "qq" "#))
    let tracker = toy.tracker()
    var tree = TokenTree()
    let limit = DraftBudget(nodes: 16, depth: 16)
    try tracker.extend(&tree, TokenHistory([0]), limit: limit)
    #expect(tree.tokens == toy.tokens("xy"))
    tree.append(chain: toy.tokens("xyz"))
    try tracker.extend(&tree, TokenHistory([0]), limit: limit)
    #expect(tree.tokens == toy.tokens("xyzqq") + [ToyConstraint.end])
    var small = TokenTree()
    try tracker.appendCertain(&small, TokenHistory([0]), limit: DraftBudget(nodes: 1, depth: 9))
    #expect(small.tokens == toy.tokens("x"))
  }

  @Test("text that must follow is drafted in the tokens that the tokenizer makes of it")
  func likely() throws {
    let toy = try ToyConstraint(.grammar(#"root ::= "ab00x" [0-9]"#))
    var tree = TokenTree()
    try toy.tracker().extend(&tree, TokenHistory([0]), limit: DraftBudget(nodes: 9, depth: 9))
    #expect(tree.tokens == [256, 257])
  }

  /// A draft distribution over possible and forbidden tokens, drawn, pruned and verified.
  @Test("verification by rejection keeps the distribution under a constraint")
  func rejection() throws {
    let toy = try ToyConstraint(.grammar(#"root ::= [abc] [a-z]"#))
    let writer = ToyWriter(alphabet: "abcdef", seed: 3) { _ in -9 }
    let logits = writer.logits(after: [])
    let draft = DraftDistribution(
      tokens: [97, 98, 99, 100, 101], weights: [0.1, 0.2, 0.05, 0.4, 0.25])
    let tracker = toy.tracker()
    var counts: [Int32: Int] = [:]
    var expected: [Int32: Double] = [:]
    var random = TestRandom(17)
    for seed in 0..<20_000 {
      let processor = try LogitsProcessor(
        options: .init(temperature: 1), vocabularyCount: ToyConstraint.vocabularyCount,
        seed: UInt64(seed), constraint: tracker)
      var tree = TokenTree()
      // Two draws without replacement.
      let draws = draft.tokens.indices.map { index in
        (
          key: -log(Double.random(in: 0..<1, using: &random)) / draft.probabilities[index],
          token: draft.tokens[index]
        )
      }.sorted { $0.key < $1.key }.prefix(2)
      for draw in draws { tree.append(draw.token, below: TokenTree.root) }
      tree.setDistribution(draft, below: TokenTree.root)
      try tracker.prune(&tree, TokenHistory([0]))
      #expect(tree.count == 2)
      let rows = Array(repeating: logits, count: 3).flatMap(\.self)
      try rows.withUnsafeBufferPointer { rows in
        let input = VerificationInput(
          tree: tree,
          logits: TreeLogits(
            rows.baseAddress, rowCount: 3, vocabularyCount: ToyConstraint.vocabularyCount),
          history: TokenHistory([0]), limit: 1)
        let found = try RejectionVerifier(seed: UInt64(seed)).verify(input, processor: processor)
        counts[found.emitted[0], default: 0] += 1
      }
      if seed == 0 {
        try logits.withUnsafeBufferPointer { logits in
          try processor.withDistribution(logits: logits, history: TokenHistory([0])) {
            ids, shares in
            for (id, share) in zip(ids, shares) { expected[id] = share }
          }
        }
      }
    }
    #expect(Set(expected.keys) == Set([97, 98, 99, 256]))
    #expect(ChiSquare(observed: counts, probabilities: expected).pValue > 0.001)
  }

  @Test("settings that do not go with a constraint are refused by name")
  func options() {
    func error(_ change: (inout GenerationOptions) -> Void) -> String {
      var options = GenerationOptions(sampling: .init(temperature: 1))
      options.constraint = yesNo
      change(&options)
      do {
        try options.validate(vocabularyCount: 300)
        return ""
      } catch {
        return "\(error)"
      }
    }
    #expect(error { _ in } == "")
    #expect(error { $0.alignment = .asap } == "")
    #expect(error { $0.ignoresEndOfText = true }.contains("end of text ignored"))
    #expect(error { ($0.alignment, $0.constraint) = (.asap, nil) }.contains("without a constraint"))
    #expect(error { ($0.alignment, $0.sampling.topP) = (.asap, 0.9) }.contains("top-p"))
    #expect(
      error { ($0.alignment, $0.sampling.temperature) = (.asap, 0) }.contains("temperature 0"))
    #expect(
      error { ($0.alignment, $0.sampling.presencePenalty) = (.asap, 1) }.contains("penalties"))
  }
}
