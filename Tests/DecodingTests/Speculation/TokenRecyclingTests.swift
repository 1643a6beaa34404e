import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding

@Suite struct TokenRecyclingTests {
  private func state(
    _ vocabularyCount: Int, successors: Int = 8, template: RecyclingTemplate = .paper
  ) -> RecyclingState {
    RecyclingState(
      matrix: RecyclingMatrix(vocabularyCount: vocabularyCount, successorCount: successors),
      template: template)
  }

  @Test("the paper's tree has 80 nodes on six levels")
  func template() {
    let template = RecyclingTemplate.paper
    #expect(template.count == 80)
    let levels = (0..<6).map { level in template.depths.count { $0 == level } }
    #expect(levels == [8, 21, 25, 15, 8, 3])
    for node in 0..<80 {
      #expect(template.parents[node] < node)
      let siblings = (0..<node).filter { template.parents[$0] == template.parents[node] }
      #expect(template.ranks[node] == siblings.count)
    }
  }

  @Test("every beginning of the nodes' order is a tree")
  func prefixes() {
    let state = state(10)
    #expect(state.order.sorted() == Array(0..<80))
    for (place, node) in state.order.enumerated() {
      let parent = state.template.parents[node]
      #expect(parent < 0 || state.order[..<place].contains(parent))
    }
    #expect(state.template.ranks[state.order[0]] == 0 && state.template.depths[state.order[0]] == 0)
  }

  @Test("rows are empty until something is known, prompts fill them, the model has the last word")
  func matrix() {
    let matrix = RecyclingMatrix(vocabularyCount: 10, successorCount: 3)
    #expect(matrix.successors(of: 4) == [])
    matrix.seed(4, with: 1)
    matrix.seed(4, with: 2)
    #expect(matrix.successors(of: 4) == [2, 1])
    matrix.seed(4, with: 1)
    #expect(matrix.successors(of: 4) == [1, 2])
    matrix.seed(4, with: 3)
    matrix.seed(4, with: 5)
    #expect(matrix.successors(of: 4) == [5, 3, 1])
    matrix.learn(4, successors: [9, 8])
    #expect(matrix.successors(of: 4) == [9, 8])
    matrix.seed(4, with: 1)
    #expect(matrix.successors(of: 4) == [9, 8])
    // What is outside the vocabulary is not known.
    matrix.seed(10, with: 1)
    matrix.seed(1, with: 10)
    matrix.seed(-1, with: 1)
    matrix.learn(11, successors: [1])
    for token in [Int32(-1), 1, 10, 11] { #expect(matrix.successors(of: token) == []) }
    #expect(RecyclingMatrix(vocabularyCount: 4, successorCount: 8).successorCount == 4)
  }

  @Test("a tree holds the successors of its nodes' tokens, and nothing below an empty row")
  func proposals() throws {
    let state = state(20)
    state.matrix.learn(1, successors: [2, 3])
    state.matrix.learn(2, successors: [4])
    state.matrix.learn(4, successors: [1])
    let drafter = RecyclingDrafter(settings: .init(seedsFromPrompt: false), state: state)
    let tree = try DrafterReplay.proposal(drafter, after: [7, 1], nodes: 80, depth: 80)
    let paths = Set((0..<tree.count).map { tree.path(to: $0) })
    #expect(paths.contains([2]) && paths.contains([3]) && paths.contains([2, 4, 1, 2]))
    #expect(!paths.contains { $0.first == 3 && $0.count > 1 })
    #expect(tree.depth == 6)
    #expect(try DrafterReplay.proposal(drafter, after: [7, 1], nodes: 1).tokens == [2])
    #expect(
      try DrafterReplay.proposal(drafter, after: [7, 1], nodes: 9, depth: 1).tokens == [2, 3])
    #expect(try DrafterReplay.proposal(drafter, after: [1, 7]).isEmpty)
    for budget in 1...20 {
      let tree = try DrafterReplay.proposal(drafter, after: [7, 1], nodes: budget)
      #expect(tree.count <= budget)
    }
  }

  @Test(
    "every row of a tree teaches its token; where a token is there twice, the accepted row stays")
  func learning() throws {
    // The tree below 1: 2 and 3, and 2 again below 3. The text goes 3, 2.
    let template = RecyclingTemplate(children: [[]: 2, [1]: 1])
    for updatesAllRows in [true, false] {
      let state = state(8, successors: 2, template: template)
      state.matrix.learn(1, successors: [2, 3])
      state.matrix.learn(3, successors: [2])
      let drafter = RecyclingDrafter(
        settings: .init(
          template: template, updatesAllRows: updatesAllRows, seedsFromPrompt: false),
        state: state)
      var history = TokenHistory([0, 1])
      var tree = TokenTree()
      drafter.propose(
        DraftBudget(nodes: 9, depth: 9), context: DrafterReplay.context(history, 1), into: &tree)
      #expect((0..<tree.count).map { tree.path(to: $0) } == [[2], [3], [3, 2]])
      // Rows: root, 2, 3, 2 below 3.
      let rows: [[Float]] = [
        [0, 0, 1, 2, 0, 0, 0, 0], [0, 0, 0, 0, 9, 8, 0, 0], [0, 0, 5, 0, 0, 4, 0, 0],
        [0, 0, 0, 0, 0, 0, 3, 7],
      ]
      for token in [Int32(3), 2, 7] { history.append(token) }
      rows.flatMap(\.self).withUnsafeBufferPointer { rows in
        drafter.observe(
          DraftObservation(
            position: 2, tree: tree, accepted: [1, 2], emitted: [3, 2, 7],
            logits: TreeLogits(rows.baseAddress, rowCount: 4, vocabularyCount: 8), taps: []),
          context: DrafterReplay.context(history, 1))
      }
      #expect(state.matrix.successors(of: 1) == [3, 2])
      #expect(state.matrix.successors(of: 3) == [2, 5])
      #expect(state.matrix.successors(of: 2) == [7, 6])
      #expect(state.matrix.successors(of: 0) == [])
    }
  }

  /// An order-2 model: what follows depends on the latest two tokens, and mostly on the latest.
  private func toy(_ context: [Int32]) -> [Float] {
    let last = Int(context[context.count - 1])
    let before = context.count > 1 ? Int(context[context.count - 2]) : 0
    return (0..<50).map { token in
      let main: Float = token == (last * 7 + 3) % 50 ? 4 : 0
      let other: Float = token == (last * 11 + before * 13 + 5) % 50 ? 3 : 0
      let twist: Float = (last + before) % 5 == 0 && token == (before * 3 + last) % 50 ? 5 : 0
      return main + other + twist + Float(token % 7) * 0.01
    }
  }

  private func plain(_ prompt: [Int32], _ count: Int) -> [Int32] {
    var tokens = prompt
    for _ in 0..<count {
      let logits = toy(tokens)
      tokens.append(Int32(logits.indices.max { (logits[$0], $1) < (logits[$1], $0) } ?? 0))
    }
    return Array(tokens[prompt.count...])
  }

  private func run(
    _ state: RecyclingState, _ settings: RecyclingSettings = .init(), prompt: [Int32] = [1, 2, 3],
    budget: Int = 80, limit: Int = 150
  ) throws -> Double {
    let drafter = RecyclingDrafter(settings: settings, state: state)
    let found = try DrafterReplay(
      drafter, prompt: prompt, budget: budget, limit: limit, logits: toy)
    #expect(found.output == plain(prompt, limit))
    return found.tokensPerForward
  }

  @Test("more nodes, a warm table and all rows give more tokens a pass, and always the same ones")
  func relations() throws {
    let byBudget = try [80, 16, 8, 1].map { try run(state(50), budget: $0) }
    for (larger, smaller) in zip(byBudget, byBudget.dropFirst()) { #expect(larger >= smaller) }
    #expect(byBudget[2] > 1)
    let warm = state(50)
    let cold = try run(warm, prompt: [4, 5])
    let hot = try run(warm, prompt: [4, 5])
    #expect(hot >= cold)
    let acceptedOnly = try run(state(50), .init(updatesAllRows: false))
    #expect(byBudget[0] >= acceptedOnly)
  }

  @Test("over a thousand generations the state stays at 33 bytes for each token of the vocabulary")
  func thousandGenerations() throws {
    let state = state(50)
    let bytes = state.matrix.byteCount
    // Small arrays come with some room of the allocator's.
    #expect(bytes <= 33 * 50 + 64)
    for turn in 0..<1000 {
      _ = try run(state, .init(learnsTemplate: true), prompt: [Int32(turn % 50), 3], limit: 8)
    }
    #expect(state.matrix.byteCount == bytes)
    #expect(state.counts.count == 80 && state.order.count == 80)
  }

  @Test("a shuffled table costs passes and no token")
  func shuffled() throws {
    final class Shuffling: Drafter {
      let name = "shuffling"
      let inner: RecyclingDrafter
      var random = SeededGenerator(seed: 8)
      init(_ inner: RecyclingDrafter) { self.inner = inner }
      func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
        for token in 0..<Int32(50) {
          let others = (0..<Int32(50)).shuffled(using: &random)
          inner.state.matrix.learn(token, successors: Array(others.prefix(8)))
        }
        inner.propose(budget, context: context, into: &tree)
      }
      func observe(_ step: DraftObservation, context: DraftContext) {
        inner.observe(step, context: context)
      }
    }
    let drafter = Shuffling(RecyclingDrafter(settings: .init(), state: state(50)))
    let found = try DrafterReplay(drafter, prompt: [1, 2, 3], budget: 80, limit: 150, logits: toy)
    #expect(found.output == plain([1, 2, 3], 150))
    // Eight of fifty tokens are tried at the first level.
    #expect(found.tokensPerForward < 1.35)
  }

  @Test("acceptances are counted by node of the template, whatever the planner pruned")
  func counting() throws {
    let template = RecyclingTemplate(children: [[]: 2, [0]: 2, [1]: 1])
    let state = state(20, template: template)
    var proposed = TokenTree()
    let first = proposed.append(5, below: -1)
    let second = proposed.append(6, below: -1)
    proposed.append(7, below: first)
    let kept = proposed.append(8, below: first)
    proposed.append(9, below: second)
    #expect(kept == 3)
    // The planner kept 6 and 5 with its second child; ranks and places have changed.
    var run = TokenTree()
    run.append(6, below: -1)
    let five = run.append(5, below: -1)
    run.append(8, below: five)
    state.count(
      DraftObservation(
        position: 3, tree: run, accepted: [1, 2], emitted: [5, 8, 1],
        logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 0), taps: []),
      proposed: proposed, places: [0, 1, 2, 3, 4])
    #expect(state.counts.map(\.runs) == [1, 1, 0, 1, 0])
    #expect(state.counts.map(\.acceptances) == [1, 0, 0, 1, 0])
  }

  @Test("learnt acceptances put the better nodes first, parents still before their children")
  func learntOrder() throws {
    let state = state(50)
    _ = try run(state, .init(learnsTemplate: true), limit: 400)
    for (place, node) in state.order.enumerated() {
      let parent = state.template.parents[node]
      #expect(parent < 0 || state.order[..<place].contains(parent))
    }
    let counts = state.counts
    #expect(counts[0].runs > 20)
    #expect(counts.allSatisfy { $0.acceptances <= $0.runs })
  }

  // MARK: Files

  private func filled() -> RecyclingMatrix {
    let matrix = RecyclingMatrix(vocabularyCount: 30, successorCount: 4)
    for token in 0..<Int32(20) {
      matrix.learn(token, successors: (0..<(token % 5)).map { (token + $0 * 3) % 30 })
    }
    matrix.seed(25, with: 3)
    return matrix
  }

  @Test("a table is the same after it was saved and read")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let matrix = filled()
    try matrix.save(to: folder.path("table"))
    let read = try RecyclingMatrix(
      path: folder.path("table"), vocabularyCount: 30, successorCount: 4)
    for token in 0..<Int32(20) {
      #expect(read.successors(of: token) == matrix.successors(of: token))
    }
    // What a prompt suggested was never the model's word, and is not kept.
    #expect(read.successors(of: 25) == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["table"])
    try matrix.save(to: folder.path("table"))
    #expect(throws: CheckpointError.self) { try matrix.save(to: folder.path("none/table")) }
  }

  @Test("a file that is damaged, cut, too long, foreign or missing is refused with the reason")
  func hostileFiles() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("table")
    try filled().save(to: path)
    let good = [UInt8](try Data(contentsOf: URL(filePath: path)))
    func read(_ bytes: [UInt8], vocabularyCount: Int = 30, successors: Int = 4) throws {
      try folder.write(bytes, to: "table")
      _ = try RecyclingMatrix(
        path: path, vocabularyCount: vocabularyCount, successorCount: successors)
    }
    func kind(_ bytes: [UInt8], vocabularyCount: Int = 30, successors: Int = 4) throws
      -> CheckpointError.Kind?
    {
      #expect(throws: CheckpointError.self) {
        try read(bytes, vocabularyCount: vocabularyCount, successors: successors)
      }?.kind
    }
    try read(good)
    #expect(try kind([]) == .wrongFormat)
    #expect(try kind(Array("GGUF".utf8) + good.dropFirst(4)) == .wrongFormat)
    #expect(try kind(good, vocabularyCount: 31) == .mismatched)
    #expect(try kind(good, successors: 5) == .mismatched)
    #expect(try kind(good + [0]) == .truncated)
    #expect(try kind(good.dropLast()) == .truncated)
    for cut in stride(from: 0, to: good.count, by: 7) {
      #expect(throws: CheckpointError.self) { try read(Array(good[..<cut])) }
    }
    for place in good.indices {
      var bytes = good
      bytes[place] ^= 0x40
      #expect(throws: CheckpointError.self, "byte \(place)") { try read(bytes) }
    }
    // A right checksum does not make a wrong successor right.
    for (rank, successor) in [(0, Int32(30)), (1, -2), (0, -1), (1, 0)] {
      let matrix = RecyclingMatrix(vocabularyCount: 30, successorCount: 4)
      matrix.learn(0, successors: [0, 5])
      var row: [Int32] = [0, 5]
      row[rank] = successor
      matrix.learn(0, successors: row)
      try matrix.save(to: path)
      #expect(throws: CheckpointError.self, "\(row)") {
        try RecyclingMatrix(path: path, vocabularyCount: 30, successorCount: 4)
      }
    }
    #expect(throws: CheckpointError.self) {
      try RecyclingMatrix(path: folder.path("no"), vocabularyCount: 30, successorCount: 4)
    }
  }
}

// MARK: - Real model

extension RealModelTests {
  @Test("recycling changes no token, cold and warm, greedy and sampled, with trees of any size")
  func tokenRecycling() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    for (keeps, budget, temperature) in [
      (false, 80, 0), (true, 80, 0), (true, 16, 0), (true, 1, 0), (true, 80, 0.8),
    ] {
      for text in ["Explain why the sky is blue.", "Write a haiku about snow."] {
        try await PlainComparison(
          model, chat: text, tokens: 48, .recycling(.init(keepsMatrix: keeps)),
          temperature: temperature, budget: budget)
      }
    }
  }

  @Test(
    "over 48 prompts recycling takes 1.6 tokens a pass with the paper's tree, without the planner")
  func recyclingOnSpecBench() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let sample = try SpecBenchSample.load().filter { $0.category != "summarization" }
    #expect(sample.count == 48)
    let found = try await PlainComparison.mean(model, sample, tokens: 40, .recycling())
    #expect(found >= 1.6, "\(found)")
  }

  @Test("what one process learnt another one reads: the first answer is warm, and the same")
  func recyclingMemory() async throws {
    let url = try await TestModels.path("smollm2-135m")
    let folder = try TemporaryFolder()
    var options = GenerationOptions(maxTokens: 40, speculation: "recycling", planner: .off)
    options.draftMemory = folder.path("table")
    var runs: [Collected] = []
    for _ in 0..<2 {
      // Each model begins without a memory of its own.
      let model = try await LanguageModel.load(url)
      runs.append(try await Collected(model.generate("The sky is blue because", options: options)))
    }
    #expect(runs[0].tokens == runs[1].tokens)
    let accepted = runs.map { $0.summary?.acceptedTokens ?? 0 }
    #expect(accepted[1] > accepted[0], "\(accepted)")

    try folder.write([1, 2, 3], to: "table")
    let other = try await LanguageModel.load(url)
    await #expect(throws: CheckpointError.self) {
      try await Collected(other.generate("The sky", options: options))
    }
    options.speculation = "copy"
    await #expect(throws: GenerationError.self) {
      try await Collected(other.generate("The sky", options: options))
    }
  }
}
