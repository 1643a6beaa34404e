import Foretoken
import Testing

@testable import Decoding

extension RealModelTests {
  @Test("ADED writes what plain decoding writes, without a corpus and with one of noise")
  func adedIsLossless() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    var random = TestRandom(1)
    let noise = TrigramTable(
      counting: [(0..<20_000).map { _ in Int32.random(in: 0..<2000, using: &random) }])
    for answer in try await DraftingPrompts.answers(model, maxTokens: 96).prefix(4) {
      for (nodes, table) in [(4, TrigramTable()), (16, noise)] {
        var options = GenerationOptions(maxTokens: 96, maximumDraft: nodes, planner: .off)
        let settings = ADEDSettings()
        let shared = SharedTable(table)
        options.customDrafter = DrafterKind(name: "aded", defaultNodes: nodes) { _ in
          ADEDDrafter(settings: settings, table: shared.table)
        }
        let found = try await Collected(model.generate(tokens: answer.prompt, options: options))
        #expect(found.tokens == answer.tokens)
        #expect(found.steps.allSatisfy { $0.draftTokens.count <= nodes })
      }
    }
  }

  @Test("adaptation is worth a tenth of a token a pass, and a larger corpus helps")
  func adedLearns() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let answers = try await DraftingPrompts.answers(model, maxTokens: 96)
    let corpus = answers[20...].map(\.tokens)
    func rate(_ documents: [[Int32]], adapts: Bool) throws -> Double {
      var settings = ADEDSettings()
      settings.adapts = adapts
      let table = TrigramTable(counting: documents)
      var count = DraftCount()
      for answer in answers[..<20] {
        try count.replay(answer, ADEDDrafter(settings: settings, table: table), nodes: 24)
      }
      return count.rate
    }
    let adaptive = try rate(corpus, adapts: true)
    let bySize = try [
      corpus.prefix(1).map { Array($0.prefix(96)) }, Array(corpus.prefix(5)), corpus,
    ].map { try rate($0, adapts: false) }
    #expect(adaptive - bySize[2] >= 0.1, "\(adaptive) \(bySize)")
    #expect(zip(bySize, bySize.dropFirst()).allSatisfy { $1 >= $0 - 0.01 }, "\(bySize)")
    #expect(bySize[2] > 1)
  }

  @Test("a real run takes as many passes as a replay of its answer")
  func adedReplay() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    var real = DraftCount()
    var replayed = DraftCount()
    for answer in try await DraftingPrompts.answers(model, maxTokens: 96)[4..<8] {
      var options = GenerationOptions(
        maxTokens: 96, sampling: SamplingOptions(seed: 0), maximumDraft: 8, planner: .off)
      options.customDrafter = DrafterKind(name: "aded", defaultNodes: 8) { _ in
        ADEDDrafter(settings: ADEDSettings(), table: TrigramTable())
      }
      real.add(try await Collected(model.generate(tokens: answer.prompt, options: options)).steps)
      try replayed.replay(
        answer, ADEDDrafter(settings: ADEDSettings(), table: TrigramTable()), nodes: 8)
    }
    #expect(real.rate > 1)
    #expect(abs(real.rate - replayed.rate) < 0.1, "\(real), \(replayed)")
  }
}

/// Tables belong to the engine's thread; a test gives one to one generation at a time.
private final class SharedTable: @unchecked Sendable {
  let table: TrigramTable
  init(_ table: TrigramTable) { self.table = table }
}
