import Foretoken
import TestSupport
import Testing

@testable import Decoding

@Suite struct CopySpecTests {
  private func drafter(_ settings: CopySettings, isGated: Bool = false) -> CopyDrafter {
    CopyDrafter(
      settings: settings,
      index: NGramIndex(
        length: settings.keyLength, occurrence: settings.pick == .first ? .first : .last),
      isGated: isGated, isControl: { $0 == 99 })
  }

  private func copy(
    _ tokens: [Int32], _ settings: CopySettings, nodes: Int = 10, depth: Int = 10
  ) throws -> [Int32] {
    try DrafterReplay.proposal(drafter(settings), after: tokens, nodes: nodes, depth: depth).tokens
  }

  @Test("what followed the latest tokens before is drafted, from the occurrence that was asked for")
  func picks() throws {
    // 1 2 3 occurs after 8 and twice after other tokens; the end has 8 before it.
    let tokens: [Int32] = [7, 1, 2, 3, 10, 8, 1, 2, 3, 11, 9, 1, 2, 3, 12, 8, 1, 2, 3]
    #expect(try copy(tokens, .init(length: 2, pick: .first)) == [10, 8])
    #expect(try copy(tokens, .init(length: 2, pick: .last)) == [12, 8])
    #expect(try copy(tokens, .init(length: 2, pick: .longestContext)) == [11, 9])
    #expect(try copy(tokens, .paper) == [10, 8, 1, 2, 3, 11, 9, 1, 2, 3])
    #expect(try copy(tokens, .promptLookup) == [10, 8, 1, 2, 3, 11, 9, 1, 2, 3])
    #expect(try copy([3, 2, 3, 5, 3, 2], .promptLookup) == [3, 5, 3, 2])
    // Four tokens are known only once.
    #expect(try copy(tokens, .init(keyLength: 4, length: 2, pick: .first)) == [11, 9])
    #expect(try copy(tokens, .init(keyLength: 5)) == [])
  }

  @Test("a copy keeps to its length, to the step's budget and to the end of the context")
  func lengths() throws {
    let tokens: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3]
    #expect(try copy(tokens, .init()) == [4, 5, 6, 7, 8, 9, 10, 11, 12, 1])
    #expect(try copy(tokens, .init(length: 4)) == [4, 5, 6, 7])
    #expect(try copy(tokens, .init(), nodes: 1) == [4])
    #expect(try copy(tokens, .init(), nodes: 64, depth: 2) == [4, 5])
    #expect(try copy(tokens, .init(isCyclic: false), nodes: 64, depth: 64).count == 12)
    #expect(try copy([1, 2], .init()) == [])
    #expect(try copy([1, 2, 3], .init()) == [])
    #expect(try copy([], .init()) == [])
  }

  @Test("a copy that reaches its own end goes on with itself")
  func cycles() throws {
    let tokens: [Int32] = [5, 1, 2, 1, 2, 1, 2]
    #expect(try copy(tokens, .init(pick: .last)) == [1, 2, 1, 2, 1, 2, 1, 2, 1, 2])
    #expect(try copy(tokens, .init(pick: .last, isCyclic: false)) == [1, 2])
    #expect(try copy([4, 4, 4, 4], .init(length: 5)) == [4, 4, 4, 4, 4])
  }

  @Test("a copy can be kept from going on into another turn")
  func turns() throws {
    let tokens: [Int32] = [1, 2, 3, 4, 99, 5, 6, 1, 2, 3]
    #expect(try copy(tokens, .init(length: 4)) == [4, 99, 5, 6])
    #expect(try copy(tokens, .init(length: 4, crossesTurns: false)) == [4, 99])
  }

  @Test("the longer the text agrees before a copy, the surer it is")
  func probabilities() throws {
    let short = try DrafterReplay.proposal(drafter(.init()), after: [1, 2, 3, 4, 9, 1, 2, 3])
    let long = try DrafterReplay.proposal(
      drafter(.init()), after: [9, 8, 1, 2, 3, 4, 9, 8, 1, 2, 3])
    #expect(short.probabilities[0] == 4.0 / 5)
    #expect(long.probabilities[0] == 6.0 / 7)
  }

  @Test("failures halve the length of a gated copy, successes add one; the paper's stays")
  func gate() throws {
    // Wrong again and again: the key is known, what followed it never comes again. Then one token,
    // on and on.
    var text: [Int32] = []
    for block in 0..<12 { text += [1, 2, 3, Int32(30 + block)] }
    text += [Int32](repeating: 8, count: 120)
    func lengths(_ isGated: Bool) throws -> [Int] {
      try DrafterReplay(
        drafter(.init(), isGated: isGated), prompt: [1, 2, 3, 29], output: text,
        vocabularyCount: 64
      ).steps.map(\.tree.count).filter { $0 > 0 }
    }
    let gated = try lengths(true)
    #expect(Array(gated.prefix(5)) == [10, 5, 2, 1, 1])
    let growing = gated.drop { $0 > 1 }.drop { $0 == 1 }.dropLast()
    #expect(Array(growing.prefix(6)) == [2, 3, 4, 5, 6, 7])
    let fixed = try lengths(false)
    #expect(Set(fixed.dropLast()) == [10])
  }

  @Test("a text that repeats itself takes at least three tokens a pass, the same as without drafts")
  func repetition() throws {
    let verse: [Int32] = (0..<40).map { ($0 * 7 + 3) % 60 }
    let output = Array((0..<6).flatMap { [60 + Int32($0)] + verse })
    for settings in [CopySettings(), .paper, .promptLookup] {
      let replay = try DrafterReplay(
        drafter(settings), prompt: verse, output: output, vocabularyCount: 70)
      #expect(replay.tokensPerForward >= 3)
    }
    let single = try DrafterReplay(
      drafter(.init()), prompt: verse, output: output, budget: 1, vocabularyCount: 70)
    #expect(single.tokensPerForward > 1.5 && single.tokensPerForward <= 2)
  }

  @Test("the next turn's prompt extends the index, and a changed history takes back what changed")
  func conversation() throws {
    let index = NGramIndex(length: 3)
    var history: [Int32] = (0..<500).map { $0 % 90 }
    for turn in 0..<8 {
      let before = index.appendedCount
      let known = index.count
      // A template writes some tokens that were not generated.
      history += [95, 96, Int32(turn), 97]
      let drafter = CopyDrafter(settings: .init(), index: index)
      let output: [Int32] = (0..<100).map { Int32($0 + turn) % 90 }
      _ = try DrafterReplay(drafter, prompt: history, output: output, vocabularyCount: 100)
      history += output
      #expect(index.tokens == history)
      #expect(index.appendedCount - before == history.count - known)
    }
    let edited = Array(history[..<520]) + [1, 2, 3]
    let before = index.appendedCount
    _ = try DrafterReplay.proposal(CopyDrafter(settings: .init(), index: index), after: edited)
    #expect(index.tokens == edited)
    #expect(index.appendedCount - before <= 523)
  }

  @Test("over a thousand turns the state stays below 16 bytes for each token of the longest one")
  func thousandTurns() throws {
    let index = NGramIndex(length: 3)
    var random = SeededGenerator(seed: 12)
    for _ in 0..<1000 {
      let length = Int.random(in: 100...2000, using: &random)
      let tokens = (0..<length).map { _ in Int32.random(in: 0..<500, using: &random) }
      _ = try DrafterReplay.proposal(CopyDrafter(settings: .init(), index: index), after: tokens)
      #expect(index.byteCount <= 16 * 2000)
    }
  }

  @Test("a step on 100,000 tokens touches a bounded number of slots and tokens")
  func longContext() throws {
    var random = SeededGenerator(seed: 13)
    let texts: [(Int) -> Int32] = [
      { _ in Int32.random(in: 0..<49_152, using: &random) }, { _ in 7 }, { Int32($0 % 1000) },
      { Int32($0 % 5 == 0 ? $0 % 977 : $0 % 5) },
    ]
    for text in texts {
      let tokens = (0..<100_000).map(text)
      let index = NGramIndex(length: 3)
      let drafter = CopyDrafter(settings: .init(), index: index, expectedTokens: 512)
      var history = TokenHistory(tokens, capacity: tokens.count + 512)
      drafter.begin(DrafterReplay.context(history, tokens.count - 1))
      var mostProbes = 0
      var mostCompared = 0
      for step in 0..<500 {
        let (probes, compared) = (index.probeCount, index.comparedCount)
        var tree = TokenTree()
        let context = DrafterReplay.context(history, tokens.count - 1)
        drafter.propose(DraftBudget(nodes: 10, depth: 10), context: context, into: &tree)
        history.append(text(100_000 + step))
        drafter.observe(
          DraftObservation(
            position: history.count - 1, tree: tree, accepted: [],
            emitted: [history.tokens[history.count - 1]],
            logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 0), taps: []),
          context: DrafterReplay.context(history, tokens.count - 1))
        mostProbes = max(mostProbes, index.probeCount - probes)
        mostCompared = max(mostCompared, index.comparedCount - compared)
      }
      // Two look-ups, one of them to append. With four fifths full, a search is 13 slots on
      // average where it finds nothing; its tail is exponential.
      #expect(mostProbes <= 400)
      #expect(mostCompared <= CopyDrafter.mostCandidates * (CopyDrafter.mostContext + 1))
    }
  }
}

// MARK: - Real model

extension RealModelTests {
  @Test("copies change no token, greedy and sampled, and repeated text takes 3 tokens a pass")
  func copySpec() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let list = "apples, pears, plums, cherries, figs, dates, grapes, melons, lemons, limes"
    for settings in [CopySettings(), .paper, .promptLookup] {
      let repeated = try await PlainComparison(
        model, raw: "List: \(list).\nList: \(list).\nList: \(list).\nList:", tokens: 90,
        .copy(settings))
      #expect(repeated.tokensPerForward >= 3, "\(repeated.tokensPerForward)")
      for temperature in [0, 0.8] {
        try await PlainComparison(
          model, chat: "Write the list twice: \(list).", tokens: 60, .copy(settings),
          temperature: temperature)
      }
    }
  }

  @Test("the second turn copies from the first: the index is extended, and no token changes")
  func copySpecTurns() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    var options = GenerationOptions(maxTokens: 60, speculation: "copy", planner: .off)
    var texts: [[String]] = []
    var accepted = 0
    for method in ["copy", "none"] as [SpeculationMethod] {
      options.speculation = method
      let session = ChatSession(model, options: options)
      var answers: [String] = []
      for question in ["Write two sentences about cats.", "Write the same two sentences again."] {
        let answer = try await Collected(session.events(replyingTo: question))
        answers.append(answer.text)
        if method == "copy" { accepted = answer.summary?.acceptedTokens ?? 0 }
      }
      texts.append(answers)
    }
    #expect(texts[0] == texts[1])
    #expect(accepted > 0)
  }

  @Test("on summaries and extractions of Spec-Bench copies reach 1.3 tokens a pass")
  func copySpecOnSpecBench() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let sample = try SpecBenchSample.load(["summarization", "extraction"])
    let found = try await PlainComparison.mean(model, sample, tokens: 64, .copy())
    #expect(found >= 1.3, "\(found)")
  }
}
