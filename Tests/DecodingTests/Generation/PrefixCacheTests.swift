import Foretoken
import TestSupport
import Testing

@testable import Decoding
@testable import Transformers

/// Keys and values that are kept for prompts to come.
@Suite struct PrefixCacheTests {
  /// With the end token eight in all, so that every decoy of a scripted draft is a token.
  private let letters = 7
  private func model() throws -> ToyModel { try ToyModel(letters: letters, sharpness: 14) }

  private func options(_ seed: Int, _ method: SpeculationMethod = .none) -> GenerationOptions {
    GenerationOptions(
      maxTokens: 40, sampling: .init(temperature: 1.1, seed: UInt64(seed)), ignoresEndOfText: true,
      logProbabilities: 2, speculation: method)
  }

  /// Bytes of a page of the model.
  private func pageBytes(_ model: ToyModel) async throws -> Int {
    let generator = try model.makeGenerator(contextLimit: 1024)
    await generator.setPrefixCache(bytes: .max)
    _ = try await Collected(
      generator.generate(Array(repeating: 1, count: 65), options: options(1)))
    let kept = await generator.prefixCache
    return kept.bytes / kept.pages
  }

  @Test(
    "a prompt that begins like an earlier one gives the bits of one that is run whole",
    arguments: ["none", "copy", "recycling", "auto"] as [SpeculationMethod])
  func bits(_ method: SpeculationMethod) async throws {
    let model = try model()
    var random = SeededGenerator(seed: 5)
    let shared = random.letters(300, letters)
    let prompts = [0, 1, 63, 64, 65, 128, 200, 299, 300].map {
      Array(shared.prefix($0)) + random.letters(70, letters)
    }
    let warm = try model.makeGenerator(contextLimit: 1024)
    await warm.setPrefixCache(bytes: .max)
    _ = try await Collected(warm.generate(shared, options: options(3)))
    for prompt in prompts {
      let cold = try model.makeGenerator(contextLimit: 1024)
      let expected = Answer(try await Collected(cold.generate(prompt, options: options(9, method))))
      for _ in 0..<2 {
        let found = try await Collected(warm.generate(prompt, options: options(9, method)))
        #expect(Answer(found) == expected)
      }
    }
    let kept = await warm.prefixCache
    #expect(kept.hits > prompts.count && kept.reusedTokens > 2000)
    #expect(await warm.usedPages == kept.pages)
  }

  @Test("the second turn of a chat runs its own tokens only")
  func turns() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 6)
    let first = random.letters(640, letters)
    let generator = try model.makeGenerator(contextLimit: 1024)
    await generator.setPrefixCache(bytes: .max)
    let one = try await Collected(generator.generate(first, options: options(1)))
    let second = first + one.tokens + random.letters(20, letters)
    let two = try await Collected(generator.generate(second, options: options(2)))
    // The answer's last token was never run, so the eleventh page is not whole: 10 × 64.
    #expect(two.summary?.reusedTokens == 640)
    let cold = try model.makeGenerator(contextLimit: 1024)
    #expect(Answer(two) == Answer(try await Collected(cold.generate(second, options: options(2)))))
  }

  @Test("the pages fit into their bytes, and the ones used last stay")
  func limit() async throws {
    let model = try model()
    let bytes = try await pageBytes(model)
    var random = SeededGenerator(seed: 7)
    let prompts = (0..<6).map { _ in random.letters(200, letters) }
    let generator = try model.makeGenerator(contextLimit: 1024)
    await generator.setPrefixCache(bytes: 7 * bytes + bytes / 2)
    let short = GenerationOptions(maxTokens: 1, ignoresEndOfText: true, speculation: .none)
    for prompt in prompts {
      _ = try await Collected(generator.generate(prompt, options: short))
      let kept = await generator.prefixCache
      #expect(kept.pages <= 7 && kept.bytes == kept.pages * bytes)
      #expect(await generator.usedPages == kept.pages)
    }
    // Three pages for each of the last two prompts, and one of the third last.
    for (prompt, reused) in [(prompts[5], 192), (prompts[4], 192), (prompts[0], 0)] {
      let found = try await Collected(generator.generate(prompt, options: short))
      #expect(found.summary?.reusedTokens == reused)
    }
    await generator.setPrefixCache(bytes: 0)
    #expect(await generator.prefixCache.pages == 0)
    #expect(await generator.usedPages == 0)
  }

  @Test("a sequence that begins with another's pages copies what it writes to")
  func pages() throws {
    let engine = try model().makeEngine(contextLimit: 512)
    var random = SeededGenerator(seed: 9)
    let text = random.letters(150, letters)
    let source = engine.makeCache()
    _ = try engine.prefill(text, into: source)
    let shares = source.wholePages
    #expect(shares.count == 2)
    let other = engine.makeCache()
    try other.begin(with: shares)
    #expect(other.length == 128 && engine.usedPages == 3)
    #expect(throws: ForwardError.self) { try other.begin(with: shares) }
    let entry = try source.entry(100, layer: 0)
    try other.truncate(to: 100)
    _ = try engine.prefill(random.letters(40, letters), into: other)
    let kept = try source.entry(100, layer: 0)
    #expect(kept.keys == entry.keys && kept.values == entry.values)
    try source.checkInvariants()
    try other.checkInvariants()
    source.release()
    // The shares hold their pages; the other sequence has one of them and two of its own.
    #expect(engine.usedPages == 4)
    other.release()
    #expect(engine.usedPages == 2)
    withExtendedLifetime(shares) {}
  }

  @Test("requests of all kinds give the same with and without kept pages, side by side")
  func mixed() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 8)
    let stem = random.letters(192, letters)
    let requests = (0..<24).map { index -> ToyRequest in
      var request = ToyRequest.random(&random, letters: letters)
      if index % 2 == 0 { request.prompt = stem.prefix(64 * (1 + index % 3)) + request.prompt }
      return request
    }
    let expected = try await model.makeGenerator(contextLimit: 1024).answersAlone(requests)
    let generator = try model.makeGenerator(contextLimit: 1024)
    let bytes = try await pageBytes(model)
    // So few that pages are dropped all the time.
    await generator.setPrefixCache(bytes: 5 * bytes)
    for _ in 0..<2 {
      let streams = requests.map { generator.generate($0.prompt, options: $0.options) }
      let found = try await generator.collect(streams)
      for index in requests.indices {
        #expect(Answer(found[index]) == expected[index], "\(index)")
      }
    }
    let kept = await generator.prefixCache
    #expect(kept.hits > 0 && kept.evictions > 0)
    #expect(await generator.usedPages == kept.pages)
  }
}
