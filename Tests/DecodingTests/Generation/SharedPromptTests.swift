import Foretoken
import TestSupport
import Testing

@testable import Decoding

/// Several samples of one prompt.
@Suite struct SharedPromptTests {
  private let letters = 9
  private let count = 8
  private func model() throws -> ToyModel { try ToyModel(letters: letters, sharpness: 14) }

  private func samples(_ maxTokens: Int, _ method: SpeculationMethod = .none) -> [GenerationOptions]
  {
    (0..<count).map {
      GenerationOptions(
        maxTokens: maxTokens, sampling: .init(temperature: 1.2, seed: UInt64(70 + $0)),
        ignoresEndOfText: true, speculation: method)
    }
  }

  private func expected(
    _ model: ToyModel, _ prompt: [Int32], _ samples: [GenerationOptions]
  ) async throws -> [Answer] {
    try await model.makeGenerator(contextLimit: 1024).answersAlone(
      samples.map { ToyRequest(prompt, $0) })
  }

  @Test("samples run their prompt once and share its pages")
  func pages() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 2)
    let prompt = random.letters(640, letters)
    let generator = try model.makeGenerator(contextLimit: 1024)
    let streams = generator.generate(prompt, samples: samples(30))
    // Looks between any two passes.
    let watcher = Task {
      var most = 0
      while !Task.isCancelled { most = max(most, await generator.usedPages) }
      return most
    }
    let found = try await generator.collect(streams)
    watcher.cancel()
    let pages = await watcher.value
    #expect(found.map { Answer($0) } == (try await expected(model, prompt, samples(30))))
    #expect(Set(found.map(\.tokens)).count == count)
    // 640 tokens fill ten pages of 64; each sample writes to its copy of the last one, and to one more.
    #expect(pages >= 9 + 2 && pages <= 9 + count * 2 + 1, "\(pages) pages")
    #expect(await generator.usedPages == 0)
    // Three passes run the prompt, one gives the other samples their last token of it.
    let statistics = await generator.statistics
    #expect(statistics.rows == 640 + (count - 1) + count * 29)
    #expect(statistics.passes == 3 + 30)
    #expect(found.map { $0.summary?.reusedTokens } == [0] + Array(repeating: 639, count: count - 1))
  }

  @Test("samples that wait for a place share the prompt too")
  func window() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 3)
    let prompt = random.letters(300, letters)
    let generator = try model.makeGenerator(contextLimit: 1024)
    await generator.setConcurrency(3)
    let streams = generator.generate(prompt, samples: samples(12))
    let found = try await generator.collect(streams)
    #expect(found.map { Answer($0) } == (try await expected(model, prompt, samples(12))))
    #expect(await generator.statistics.rows == 300 + (count - 1) + count * 11)
    #expect(await generator.usedPages == 0)
  }

  @Test("a sample that is given up before its prompt is run hands the prompt on")
  func leaderGone() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 4)
    let prompt = random.letters(500, letters)
    let generator = try model.makeGenerator(contextLimit: 1024)
    var options = samples(10)
    for index in options.indices { options[index].prefillChunk = 20 }
    var streams = generator.generate(prompt, samples: options)
    for try await event in streams[0] {
      if case .prompt(let progress) = event, progress.processed >= 40 { break }
    }
    streams.removeFirst()
    let found = try await generator.collect(streams)
    let expected = try await expected(model, prompt, options)
    #expect(found.map { Answer($0) } == Array(expected.dropFirst()))
    await generator.settle()
    #expect(await generator.usedPages == 0)
  }

  @Test("a prompt of one token, and samples that end with their first token")
  func short() async throws {
    let model = try model()
    for (prompt, tokens) in [([Int32(3)], 12), ([1, 2, 3], 1), ([4], 1), ([1, 2], 0)] {
      let generator = try model.makeGenerator(contextLimit: 1024)
      let found = try await generator.collect(generator.generate(prompt, samples: samples(tokens)))
      #expect(found.map { Answer($0) } == (try await expected(model, prompt, samples(tokens))))
      #expect(await generator.usedPages == 0)
    }
  }

  @Test(
    "methods that learn from all samples at once change no text of any",
    arguments: ["stand", "copy", "recycling", "jacobi"])
  func methods(_ method: String) async throws {
    let model = try model()
    let prompt = (0..<90).map { Int32($0 % 7) }
    let generator = try model.makeGenerator(contextLimit: 1024)
    var options = samples(40, SpeculationMethod(rawValue: method))
    for index in options.indices {
      options[index].planner = index % 2 == 0 ? .off : .on
      options[index].maximumDraft = 6
    }
    let found = try await generator.collect(generator.generate(prompt, samples: options))
    #expect(found.map { Answer($0) } == (try await expected(model, prompt, samples(40))))
    #expect(found.contains { ($0.summary?.draftedTokens ?? 0) > 0 })
    #expect(await generator.usedPages == 0)
  }

  @Test("samples share the samples' memory, and each has a conversation's memory of its own")
  func memories() async throws {
    let witness = Witness()
    let kind = DrafterKind(name: "witness", defaultNodes: 1) { setup in
      witness.see(setup)
      return ScriptedDrafter([], decoys: 0)
    }
    var options = samples(4)
    for index in options.indices { options[index].customDrafter = kind }
    let generator = try model().makeGenerator()
    _ = try await generator.collect(generator.generate([1, 2, 3], samples: options))
    let seen = witness.seen
    #expect(seen.count == count)
    #expect(Set(seen.map(\.samples)).count == 1)
    #expect(Set(seen.map(\.conversation)).count == count)
    var plain = samples(4)[0]
    plain.customDrafter = kind
    _ = try await Collected(generator.generate([1, 2, 3], options: plain))
    #expect(witness.seen.last.map { $0.samples == $0.conversation } == true)
  }

  /// Keeps the memories that drafters were made with.
  ///
  /// `@unchecked Sendable`: drafters are made on the engine's thread, and what they were made with is
  /// read when all of them are done. The memories stay alive, so that no two are the same object.
  private final class Witness: @unchecked Sendable {
    private var kept: [DrafterMemory] = []
    private(set) var seen: [(samples: ObjectIdentifier, conversation: ObjectIdentifier)] = []

    func see(_ setup: DrafterSetup) {
      kept += [setup.samplesMemory, setup.conversationMemory]
      seen.append(
        (ObjectIdentifier(setup.samplesMemory), ObjectIdentifier(setup.conversationMemory)))
    }
  }
}
