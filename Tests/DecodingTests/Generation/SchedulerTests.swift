import Foretoken
import TestSupport
import Testing

@testable import Decoding
@testable import Transformers

/// Many generations of one engine at the same time.
@Suite struct SchedulerTests {
  private let letters = 9
  private func model() throws -> ToyModel { try ToyModel(letters: letters, sharpness: 14) }

  @Test(
    "requests of all kinds that come at random times give what each gives alone", arguments: 0..<8)
  func mixed(_ seed: Int) async throws {
    let model = try model()
    var random = SeededGenerator(seed: UInt64(100 + seed))
    let requests = (0..<20).map { _ in ToyRequest.random(&random, letters: letters) }
    let waits = requests.map { _ in random.number(0...60) }
    let alone = try model.makeGenerator()
    let expected = try await alone.answersAlone(requests)
    let generator = try model.makeGenerator()
    if seed % 2 == 1 { await generator.setConcurrency(5) }
    let found = try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
      for (index, request) in requests.enumerated() {
        group.addTask {
          for _ in 0..<waits[index] { await Task.yield() }
          let events = generator.generate(request.prompt, options: request.options)
          return (index, Answer(try await Collected(events)))
        }
      }
      var found: [Int: Answer] = [:]
      for try await (index, answer) in group { found[index] = answer }
      return requests.indices.map { found[$0] }
    }
    for index in requests.indices {
      #expect(found[index] == expected[index], "\(index): \(requests[index].options)")
    }
    #expect(await generator.usedPages == 0)
    #expect(await generator.statistics.passes < alone.statistics.passes)
  }

  @Test("sixteen generations of 32 tokens take 32 passes")
  func passes() async throws {
    let generator = try model().makeGenerator()
    var random = SeededGenerator(seed: 3)
    let prompts = (0..<16).map { _ in random.letters(10, letters) }
    let options = GenerationOptions(
      maxTokens: 32, sampling: .init(temperature: 0.9, seed: 4), ignoresEndOfText: true,
      speculation: .none)
    let found = try await generator.collect(generator.generate(batch: prompts, options: options))
    #expect(found.map(\.tokens.count) == Array(repeating: 32, count: 16))
    #expect(await generator.statistics.passes == 32)
    #expect(await generator.statistics.rows == 16 * (10 + 31))
    #expect(found.allSatisfy { $0.summary?.forwards == 32 && $0.summary?.forwardRows == 41 })
    #expect(Set(found.map(\.tokens)).count > 8)
  }

  @Test("more rows than a pass takes are run in turns, and nobody is left out")
  func overflow() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 8)
    let script = random.letters(200, letters)
    var options = GenerationOptions(
      maxTokens: 12, ignoresEndOfText: true, speculation: .none, planner: .off)
    options.customDrafter = ScriptedDrafter.kind(script, decoys: 3, nodes: 100)
    let prompts = (0..<12).map { _ in random.letters(5, letters) }
    let generator = try model.makeGenerator()
    let found = try await generator.collect(generator.generate(batch: prompts, options: options))
    options.customDrafter = nil
    let plain = try await model.makeGenerator().answersAlone(
      prompts.map { ToyRequest($0, options) })
    #expect(found.map { Answer($0) } == plain)
    let statistics = await generator.statistics
    #expect(statistics.rows > ForwardEngine.maximumRows)
    // Each is in about as many passes as the others.
    let forwards = found.compactMap { $0.summary?.forwards }
    #expect((forwards.max() ?? 0) <= 12)
  }

  @Test(
    "cancelling half of the generations frees their pages and changes no other text")
  func cancellation() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 5)
    let requests = (0..<16).map { index in
      ToyRequest(
        random.letters(80, letters),
        GenerationOptions(
          maxTokens: index % 2 == 0 ? 40 : 150,
          sampling: .init(temperature: 1, seed: UInt64(index)), ignoresEndOfText: true,
          speculation: .none))
    }
    let expected = try await model.makeGenerator().answersAlone(requests)
    let generator = try model.makeGenerator()
    let found = try await withThrowingTaskGroup(of: (Int, Answer?).self) { group in
      for (index, request) in requests.enumerated() {
        group.addTask {
          let events = generator.generate(request.prompt, options: request.options)
          if index % 2 == 0 { return (index, Answer(try await Collected(events))) }
          var tokens = 0
          for try await event in events {
            if case .text(let piece) = event { tokens += piece.tokens.count }
            if tokens > 2 * index { break }
          }
          return (index, nil)
        }
      }
      var found: [Int: Answer] = [:]
      for try await (index, answer) in group { found[index] = answer }
      return found
    }
    for index in stride(from: 0, to: 16, by: 2) { #expect(found[index] == expected[index]) }
    await generator.settle()
    #expect(await generator.usedPages == 0)
    // None of those that were cancelled went on to its end.
    let all = requests.reduce(0) { $0 + 79 + ($1.options.maxTokens ?? 0) }
    #expect(await generator.statistics.rows < all)
  }

  @Test("a reader that does not read pauses its own generation, and no other")
  func slowReader() async throws {
    let model = try model()
    let options = GenerationOptions(maxTokens: 400, ignoresEndOfText: true, speculation: .none)
    let slow = ToyRequest([1, 2, 3], options)
    let expected = try await model.makeGenerator(contextLimit: 512).answersAlone([slow])
    let generator = try model.makeGenerator(contextLimit: 512)
    let stream = generator.generate(slow.prompt, options: options)
    var others = options
    others.maxTokens = 200
    for letter in 4..<7 {
      let found = try await Collected(generator.generate([Int32(letter)], options: others))
      #expect(found.tokens.count == 200)
    }
    // A step and its text are two events, and 256 may wait.
    let rows = await generator.statistics.rows - 3 * 200
    #expect(rows <= 3 + EventChannel.capacity / 2 + 1)
    #expect(Answer(try await Collected(stream)) == expected[0])
    #expect(await generator.usedPages == 0)
  }

  @Test(
    "a long prompt takes a few rows of each pass while others decode")
  func chunkedPrefill() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 6)
    let prompts = [random.letters(10, letters), random.letters(1100, letters)]
    let options = GenerationOptions(maxTokens: 20, ignoresEndOfText: true, speculation: .none)
    let generator = try model.makeGenerator(contextLimit: 2048)
    let found = try await generator.collect(generator.generate(batch: prompts, options: options))
    // The first pass runs the short prompt and 246 tokens of the long one.
    var expected = [246]
    while expected.count < 20 { expected.append((expected.last ?? 0) + 32) }
    while (expected.last ?? 0) < 1100 { expected.append(min((expected.last ?? 0) + 256, 1100)) }
    #expect(found[1].progress.map(\.processed) == expected)
    #expect(found[0].summary?.forwards == 20)
    #expect(await generator.statistics.passes == expected.count + 19)
    let alone = try await model.makeGenerator(contextLimit: 2048).answersAlone(
      prompts.map { ToyRequest($0, options) })
    #expect(found.map { Answer($0) } == alone)
  }

  @Test("the rows of prompts: none more than needed, all given out, short ones first served")
  func promptRows() {
    #expect(Scheduler.promptRows([10, 1000], total: 256) == [10, 246])
    #expect(Scheduler.promptRows([1000, 10], total: 256) == [246, 10])
    #expect(Scheduler.promptRows([1000, 1000], total: 256) == [192, 64])
    #expect(Scheduler.promptRows([5, 5, 5], total: 4) == [2, 1, 1])
    #expect(Scheduler.promptRows([5, 5, 5], total: 2) == [1, 1, 0])
    #expect(Scheduler.promptRows([], total: 9) == [])
    var random = SeededGenerator(seed: 1)
    for _ in 0..<200 {
      let needs = (0..<random.number(1...8)).map { _ in random.number(1...300) }
      let total = random.number(1...256)
      let rows = Scheduler.promptRows(needs, total: total)
      #expect(zip(rows, needs).allSatisfy { $0 >= 0 && $0 <= $1 })
      #expect(rows.reduce(0, +) == min(total, needs.reduce(0, +)))
    }
  }

  // MARK: Failures

  private struct Broken: Error {}

  /// Fails in one of its calls, at the given step.
  private final class BrokenDrafter: Drafter {
    enum Place: CaseIterable { case begin, propose, observe, end, token }
    let name = "broken"
    private let place: Place
    private var step = 0
    init(_ place: Place) { self.place = place }

    func begin(_ context: DraftContext) throws { if place == .begin { throw Broken() } }
    func propose(
      _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
    ) throws {
      step += 1
      if place == .propose, step == 4 { throw Broken() }
      // No token of the model: the pass is refused.
      if place == .token, step == 4 { tree.append(1000, below: TokenTree.root) }
      tree.append(1, below: TokenTree.root)
    }
    func observe(_ step: DraftObservation, context: DraftContext) throws {
      if place == .observe, self.step == 4 { throw Broken() }
    }
    func end() throws { if place == .end { throw Broken() } }
  }

  @Test("a drafter that throws and a generation that fails leave the others' texts as they are")
  func failures() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 9)
    let prompts = (0..<12).map { _ in random.letters(20, letters) }
    let plain = GenerationOptions(
      maxTokens: 24, sampling: .init(temperature: 1, seed: 1), ignoresEndOfText: true,
      speculation: .none)
    let expected = try await model.makeGenerator().answersAlone(
      prompts.map { ToyRequest($0, plain) })
    let generator = try model.makeGenerator()
    let places = BrokenDrafter.Place.allCases
    let results = await withTaskGroup(of: (Int, Result<Answer, any Error>).self) { group in
      for (index, prompt) in prompts.enumerated() {
        var options = plain
        options.planner = .off
        if index == 10 {
          // No token is left to choose: the sampler fails.
          for token in 0...letters { options.sampling.logitBias[Int32(token)] = -.infinity }
        } else if index % 2 == 0 {
          let place = places[index / 2]
          options.customDrafter = DrafterKind(name: "broken", defaultNodes: 4) { _ in
            BrokenDrafter(place)
          }
        }
        let events = generator.generate(prompt, options: options)
        group.addTask {
          do { return (index, .success(Answer(try await Collected(events)))) } catch {
            return (index, .failure(error))
          }
        }
      }
      var results: [Int: Result<Answer, any Error>] = [:]
      for await (index, result) in group { results[index] = result }
      return results
    }
    for index in prompts.indices {
      switch results[index] {
      case .success(let answer):
        #expect(answer == expected[index], "\(index)")
        #expect(index != 10 && index != 8)
      case .failure(let error):
        // A token that the model does not have, and a distribution without tokens.
        #expect(index == 8 && error is ForwardError || index == 10 && error is SamplingError)
      case nil: Issue.record("no answer")
      }
    }
    #expect(places[4] == .token)
    #expect(await generator.usedPages == 0)
  }

  @Test("what cannot begin is an error of its own among others that run")
  func refused() async throws {
    let generator = try model().makeGenerator()
    let options = GenerationOptions(maxTokens: 8, speculation: .none)
    let streams = generator.generate(batch: [[1, 2], [], [3], [99]], options: options)
    await #expect(throws: GenerationError.emptyPrompt) { _ = try await Collected(streams[1]) }
    await #expect(throws: ForwardError.self) { _ = try await Collected(streams[3]) }
    #expect(try await Collected(streams[0]).summary != nil)
    #expect(try await Collected(streams[2]).summary != nil)
  }

  @Test("searches that run their own passes go on beside a forest")
  func searches() async throws {
    let model = try model()
    var random = SeededGenerator(seed: 12)
    let requests = (0..<9).map { index in
      var options = GenerationOptions(maxTokens: 14, speculation: .none)
      if index % 3 == 0 { options.decoding = "beam" }
      return ToyRequest(random.letters(6, letters), options)
    }
    let expected = try await model.makeGenerator().answersAlone(requests)
    let generator = try model.makeGenerator()
    let streams = requests.map { generator.generate($0.prompt, options: $0.options) }
    #expect(try await generator.collect(streams).map { Answer($0) } == expected)
    #expect(await generator.usedPages == 0)
  }

  @Test("a limit of two lets two run at a time")
  func concurrency() async throws {
    let generator = try model().makeGenerator()
    await generator.setConcurrency(2)
    let options = GenerationOptions(maxTokens: 10, ignoresEndOfText: true, speculation: .none)
    let prompts = (0..<6).map { [Int32($0)] }
    let found = try await generator.collect(generator.generate(batch: prompts, options: options))
    #expect(found.allSatisfy { $0.tokens.count == 10 })
    #expect(await generator.statistics.passes == 30)
  }
}
