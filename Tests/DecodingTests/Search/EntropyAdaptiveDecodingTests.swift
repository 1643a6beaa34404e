import Foretoken
import Foundation
import TestSupport
import Testing
import Transformers

@testable import Decoding

extension ToyModel {
  /// A generator whose draft model is another toy of the same letters.
  func makeGenerator(draft: ToyModel, contextLimit: Int = 256) throws -> Generator {
    try Generator(
      engine: makeEngine(contextLimit: contextLimit), tokenizer: tokenizer,
      executor: ThreadExecutor(name: "toy"),
      draftModel: DraftModel(
        name: "small", engine: draft.makeEngine(contextLimit: contextLimit),
        tokenizer: draft.tokenizer, target: tokenizer))
  }
}

@Suite struct EntropyAdaptiveDecodingTests {
  // MARK: The switch

  /// Lanes that write the token after each entropy of the series.
  private static func lanes(_ options: EADOptions, _ series: [Double]) -> String {
    var turns = EntropySwitch(options)
    return String(
      series.map { bits in
        _ = turns.observe(bits)
        return turns.active == .large ? "L" as Character : "s"
      })
  }

  @Test("switches follow the rolling mean, no two nearer than the least stretch")
  func switching() {
    let options = EADOptions(threshold: 1, window: 5, leastStretch: 10)
    func flat(_ value: Double, _ count: Int) -> [Double] { Array(repeating: value, count: count) }
    // A step up: the mean reaches 1 when half of the window is 2.
    #expect(Self.lanes(options, flat(0, 12) + flat(2, 4)) == "ssssssssssssssLL")
    // The same step before the stretch is over waits for its end.
    #expect(Self.lanes(options, flat(2, 12)) == "sssssssssLLL")
    // A single spike of 5.1 bits lifts the mean to 1.02 for exactly five tokens, so a switch back
    // has to wait for the stretch.
    #expect(
      Self.lanes(options, flat(0, 10) + [5.1] + flat(0, 12)) == "ssssssssssLLLLLLLLLLsss")
    // Below the threshold by a little: nothing happens. Equality goes to the large model.
    #expect(Self.lanes(options, flat(0.999, 30)) == String(repeating: "s", count: 30))
    #expect(Self.lanes(options, flat(1, 11)) == "sssssssssLL")
    // Alternating entropies have a mean between them.
    let alternating = (0..<14).map { $0 % 2 == 0 ? 0.0 : 3.0 }
    #expect(Self.lanes(options, alternating) == "sssssssssLLLLL")
    // With a window of one every token counts, once the stretch is over.
    let eager = EADOptions(threshold: 1, window: 1, leastStretch: 0)
    #expect(Self.lanes(eager, [0, 2, 0, 2, 2, 0]) == "sLsLLs")
    // The largest of the window instead of the mean.
    let jumpy = EADOptions(threshold: 1, window: 3, leastStretch: 0, trigger: .max)
    #expect(Self.lanes(jumpy, [0, 2, 0, 0, 0, 0]) == "sLLLss")
  }

  @Test("a spike of six bits lifts the mean to 1.2 for as many tokens as the window has")
  func spike() {
    var turns = EntropySwitch(EADOptions(threshold: .infinity))
    var means: [Double] = []
    for bits in [0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0] as [Double] {
      let isSwitch = turns.observe(bits)
      #expect(!isSwitch)
      means.append(turns.rolling)
    }
    #expect(means == [0, 0, 0, 0, 0, 1.2, 1.2, 1.2, 1.2, 1.2, 0, 0])
  }

  @Test("the extremes never switch, and start where they end")
  func extremes() {
    let series = (0..<50).map { Double($0 % 7) }
    let never = EADOptions(threshold: .infinity, leastStretch: 0)
    #expect(Self.lanes(never, series) == String(repeating: "s", count: 50))
    let always = EADOptions(threshold: 0, leastStretch: 0)
    #expect(EntropySwitch(always).active == .large)
    #expect(Self.lanes(always, series) == String(repeating: "L", count: 50))
  }

  // MARK: Generations

  private static func pair() throws -> (large: ToyModel, small: ToyModel) {
    (
      try ToyModel(letters: 20, seed: 21, sharpness: 5, endBias: 0),
      try ToyModel(letters: 20, seed: 22, sharpness: 4, endBias: 0)
    )
  }

  private static func options(
    _ adaptive: EADOptions, _ sampling: SamplingOptions = .greedy, maxTokens: Int = 100
  ) -> GenerationOptions {
    var options = GenerationOptions(
      maxTokens: maxTokens, sampling: sampling, decoding: "entropy-adaptive")
    options.search.adaptive = adaptive
    return options
  }

  @Test("thresholds at the extremes give the large and the small model alone, token by token")
  func endPoints() async throws {
    let (large, small) = try Self.pair()
    let generator = try large.makeGenerator(draft: small)
    let alone = (try large.makeGenerator(), try small.makeGenerator())
    for (index, sampling) in [
      SamplingOptions.greedy, SamplingOptions(temperature: 1, seed: 4),
      SamplingOptions(temperature: 0.8, topP: 0.9, repetitionPenalty: 1.2, seed: 5),
    ].enumerated() {
      let prompt: [Int32] = [Int32(index), 3, 5]
      let plain = GenerationOptions(maxTokens: 100, sampling: sampling, speculation: .none)
      let byLarge = try await Collected(
        generator.generate(prompt, options: Self.options(.init(threshold: 0), sampling)))
      let largeAlone = try await Collected(alone.0.generate(prompt, options: plain))
      #expect(byLarge.tokens == largeAlone.tokens)
      #expect(byLarge.summary?.figures?["large_share"] == 1)
      #expect(byLarge.summary?.figures?["small_forwards"] == 0)
      let bySmall = try await Collected(
        generator.generate(prompt, options: Self.options(.init(threshold: .infinity), sampling)))
      let smallAlone = try await Collected(alone.1.generate(prompt, options: plain))
      #expect(bySmall.tokens == smallAlone.tokens)
      #expect(bySmall.summary?.figures?["large_share"] == 0)
      // The large model has read nothing, not even the prompt.
      #expect(bySmall.summary?.forwards == 0)
    }
  }

  /// The same by its definition: every token from a fresh pass over the whole text.
  private static func reference(
    _ large: ToyModel, _ small: ToyModel, _ prompt: [Int32], _ options: EADOptions, count: Int
  ) throws -> (tokens: [Int32], lanes: [EADOptions.Lane]) {
    let engines = (try large.makeEngine(), try small.makeEngine())
    var turns = EntropySwitch(options)
    var entropy = TokenEntropy(vocabularyCount: large.vocabularyCount)
    var tokens: [Int32] = []
    var lanes: [EADOptions.Lane] = []
    while tokens.count < count {
      let engine = turns.active == .large ? engines.0 : engines.1
      let cache = engine.makeCache()
      let logits = try engine.prefill(prompt + tokens, into: cache).logits(0)
      let bits = try entropy.bits(logits, position: 0)
      let token = Int32(try #require(Sampler.likeliest(logits)))
      lanes.append(turns.active)
      tokens.append(token)
      _ = turns.observe(bits)
      cache.release()
    }
    return (tokens, lanes)
  }

  @Test("both caches are right after every switch, and every token is read at most once")
  func switches() async throws {
    let (large, small) = try Self.pair()
    let generator = try large.makeGenerator(draft: small)
    var seen = 0.0
    for (threshold, stretch) in [(1.5, 10), (2, 3), (2.5, 1), (2, 0)] {
      for start in EADOptions.Lane.allCases {
        let adaptive = EADOptions(
          threshold: threshold, window: 2, leastStretch: stretch, start: start)
        let prompt: [Int32] = [2, 7, 1, 8]
        let expected = try Self.reference(large, small, prompt, adaptive, count: 100)
        let found = try await Collected(
          generator.generate(prompt, options: Self.options(adaptive)))
        #expect(found.tokens == expected.tokens)
        let summary = try #require(found.summary)
        let figures = try #require(summary.figures)
        let largeTokens = expected.lanes.filter { $0 == .large }.count
        #expect(figures["large_tokens"] == Double(largeTokens))
        #expect(figures["large_share"] == Double(largeTokens) / 100)
        // The switch after the last token is not one.
        let switches = zip(expected.lanes, expected.lanes.dropFirst()).filter { $0 != $1 }.count
        #expect(figures["switches"] == Double(switches))
        seen += figures["switches"] ?? 0
        // What each model has run: one row at most for every token of the text but the last.
        #expect(summary.forwardRows <= 103)
        #expect((figures["small_rows"] ?? 0) <= 103)
        #expect(summary.forwards + Int(figures["small_forwards"] ?? 0) == 100)
        #expect(found.steps.count == 100)
      }
    }
    #expect(seen > 10)
  }

  @Test("the large model writes less as the threshold rises")
  func monotone() async throws {
    let (large, small) = try Self.pair()
    let generator = try large.makeGenerator(draft: small)
    var shares: [Double] = []
    for threshold in [0, 1, 2, 3, 10] as [Double] {
      var share = 0.0
      for token in 0..<10 as Range<Int32> {
        var options = Self.options(.init(threshold: threshold, leastStretch: 3))
        options.ignoresEndOfText = true
        let found = try await Collected(generator.generate([token, 1], options: options))
        share += (found.summary?.figures?["large_share"] ?? 0) / 10
      }
      shares.append(share)
    }
    #expect(shares == shares.sorted(by: >))
    #expect(shares.first == 1 && shares.last == 0)
  }

  @Test("long prompts are read in chunks, turns of a conversation reuse what each model has read")
  func conversation() async throws {
    let (large, small) = try Self.pair()
    let generator = try large.makeGenerator(draft: small)
    let id = Generator.ConversationID()
    var options = Self.options(
      .init(threshold: 2, window: 2, leastStretch: 2), maxTokens: 40)
    options.prefillChunk = 7
    var prompt: [Int32] = (0..<50).map { Int32($0 * 7 % 20) }
    for _ in 0..<3 {
      let found = try await Collected(
        generator.generate(prompt, options: options, conversation: id))
      let fresh = try await Collected(generator.generate(prompt, options: options))
      #expect(found.tokens == fresh.tokens)
      #expect(fresh.progress.map(\.processed).prefix(3) == [7, 14, 21])
      #expect(fresh.progress.last?.processed == prompt.count)
      prompt += found.tokens + [3, 4]
    }
    await generator.forget(id)
  }

  @Test("the text ends at the context's end, at no tokens, and at stop strings")
  func limits() async throws {
    let (large, small) = try Self.pair()
    let generator = try large.makeGenerator(draft: small, contextLimit: 48)
    var options = Self.options(.init(threshold: 2, leastStretch: 2), maxTokens: 500)
    let found = try await Collected(generator.generate([1, 2, 3], options: options))
    #expect(found.summary?.finishReason == .contextFull(limit: 48))
    #expect(found.tokens.count == 46)
    options.stopStrings = [String(found.text.dropFirst(10).prefix(2))]
    let cut = try await Collected(generator.generate([1, 2, 3], options: options))
    #expect(found.text.hasPrefix(cut.text) && cut.text.count <= 10)
    options.maxTokens = 0
    let none = try await Collected(generator.generate([1, 2, 3], options: options))
    #expect(none.tokens.isEmpty && none.summary?.finishReason == .length)
  }

  @Test("without a second model the error names the option that loads one")
  func missingModel() async throws {
    let (large, _) = try Self.pair()
    await #expect(throws: DraftModelError.notLoaded(method: "--decode entropy-adaptive")) {
      _ = try await Collected(
        large.makeGenerator().generate([1], options: Self.options(.init())))
    }
    for adaptive in [
      EADOptions(threshold: -1), EADOptions(threshold: .nan), EADOptions(window: 0),
      EADOptions(window: 33), EADOptions(leastStretch: -1),
    ] {
      #expect(throws: GenerationError.self) {
        try Self.options(adaptive).validate(vocabularyCount: 100)
      }
    }
  }
}
