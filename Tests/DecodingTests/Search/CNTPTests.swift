import Compute
import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding

/// Runs trees of a toy target whose next token depends on the latest two.
private final class ToyForest: ForestModel {
  private let target: ToyTarget
  private let prompt: [Int32]
  private var rows: [UnsafeMutableBufferPointer<Float>] = []
  private(set) var runs = 0

  init(_ target: ToyTarget, prompt: [Int32]) {
    self.target = target
    self.prompt = prompt
  }

  deinit { for row in rows { row.deallocate() } }

  func run(_ tree: TokenTree, from first: Int) -> [UnsafeBufferPointer<Float>] {
    runs += 1
    return (first..<tree.count).map { node in
      let parent = Int(tree.parents[node])
      let before = parent < 0 ? prompt[prompt.count - 1] : tree.tokens[parent]
      return row(target.logits(after: before, tree.tokens[node]))
    }
  }

  func row(_ values: [Float]) -> UnsafeBufferPointer<Float> {
    let row = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
    _ = row.initialize(from: values)
    rows.append(row)
    return UnsafeBufferPointer(row)
  }

  var first: UnsafeBufferPointer<Float> {
    row(target.logits(after: prompt[prompt.count - 2], prompt[prompt.count - 1]))
  }
}

@Suite struct CNTPTests {
  // MARK: How many trials

  @Test("the number of trials is the paper's, or the authors' program's")
  func trialCounts() {
    var options = CNTPOptions()
    // The paper: floor(r * 10), r = (H - 0.01) / 1.49; the program: floor(1 + 9 r).
    let table: [(entropy: Double, paper: Int, code: Int)] = [
      (0, 1, 1), (0.01, 1, 1), (0.1, 1, 1), (0.17, 1, 1), (0.176, 1, 2), (0.307, 1, 2),
      (0.309, 2, 2), (0.5, 3, 3), (0.75, 4, 5), (1.2, 7, 8), (1.34, 8, 9), (1.36, 9, 9),
      (1.499, 9, 9), (1.5, 10, 10), (4, 10, 10), (.infinity, 10, 10),
    ]
    for (entropy, paper, code) in table {
      options.rule = .paper
      #expect(options.trialCount(entropy: entropy) == paper, "\(entropy) nats")
      options.rule = .code
      #expect(options.trialCount(entropy: entropy) == code, "\(entropy) nats")
    }
    options = CNTPOptions(lowEntropy: .infinity)
    #expect(options.trialCount(entropy: .infinity) == 1)
    options = CNTPOptions(highEntropy: .infinity)
    #expect(options.trialCount(entropy: 100) == 1)
  }

  @Test("the entropy is that of the definition, and of a certain token 0")
  func entropy() throws {
    var random = SeededGenerator(seed: 5)
    var meter = TokenEntropy(vocabularyCount: 200)
    for spread in [0, 1, 10, 1000] as [Float] {
      let logits = (0..<173).map { _ in spread * (random.unit() - 0.5) }
      let largest = Double(logits.max() ?? 0)
      let weights = logits.map { exp(Double($0) - largest) }
      let sum = weights.reduce(0, +)
      let expected = -weights.map { $0 / sum }.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
      let nats = try logits.withUnsafeBufferPointer { try meter.nats($0, position: 0) }
      #expect(abs(nats - expected) < 1e-9)
      let bits = try logits.withUnsafeBufferPointer { try meter.bits($0, position: 0) }
      #expect(abs(bits - expected / log(2)) < 1e-9)
    }
    for (logits, expected) in [
      ([0, -.infinity, -.infinity], 0), ([0, .infinity, .infinity], log(2)),
      ([3, 3, 3, -.infinity], log(3)),
    ] as [([Float], Double)] {
      let nats = try logits.withUnsafeBufferPointer { try meter.nats($0, position: 0) }
      #expect(abs(nats - expected) < 1e-12)
    }
    let damaged: [Float] = [0, .nan]
    #expect(throws: SamplingError.notANumber(token: 1, position: 7)) {
      try damaged.withUnsafeBufferPointer { _ = try meter.nats($0, position: 7) }
    }
    let empty: [Float] = [-.infinity]
    #expect(throws: SamplingError.noCandidates(position: 7)) {
      try empty.withUnsafeBufferPointer { _ = try meter.nats($0, position: 7) }
    }
  }

  @Test("a clause ends where a token's text ends in punctuation, trailing spaces aside")
  func punctuation() {
    for text in [".", ",", "\n", ").", "?", ".\n", " ,", "end. ", "a:\t\r", "。"] {
      #expect(Punctuation.ends(Array(text.utf8)), "\(text.debugDescription)")
    }
    for text in ["", " ", "a", ".a", "?\"", "3.14", "\u{3002}x", "'"] {
      #expect(!Punctuation.ends(Array(text.utf8)), "\(text.debugDescription)")
    }
    // The last byte of another character is not a mark.
    #expect(!Punctuation.ends([0x82]))
  }

  // MARK: A round

  /// Every clause of at most `length` tokens with its probability and its mean surprise.
  private static func clauses(
    _ target: ToyTarget, _ prompt: [Int32], length: Int, ends: Set<Int32>
  ) -> [(tokens: [Int32], probability: Double, surprise: Double)] {
    var found: [(tokens: [Int32], probability: Double, surprise: Double)] = []
    func visit(_ tokens: [Int32], _ probability: Double) {
      if tokens.count == length || tokens.last.map(ends.contains) == true {
        found.append((tokens, probability, -log(probability) / Double(tokens.count)))
        return
      }
      let text = prompt + tokens
      let next = target.probabilities(after: text[text.count - 2], text[text.count - 1])
      for token in next.indices { visit(tokens + [Int32(token)], probability * next[token]) }
    }
    visit([], 1)
    return found
  }

  private static func round(
    _ target: ToyTarget, seed: UInt64, count: Int, prompt: [Int32] = [0, 1]
  ) throws -> TrialRound {
    TrialRound(
      options: CNTPOptions(trialLength: 3),
      processor: try LogitsProcessor(
        options: SamplingOptions(temperature: 1), vocabularyCount: target.vocabularyCount,
        seed: seed),
      history: TokenHistory(prompt), seed: seed, stops: [], count: count, room: 1000, left: 1000)
  }

  @Test(
    "clauses come with the probability of being the best of the trials, 20,000 rounds",
    arguments: [1, 2, 5])
  func distribution(count: Int) throws {
    let target = ToyTarget.random(5, scale: 0.7, seed: 11)
    let prompt: [Int32] = [0, 1]
    let ends: Set<Int32> = [3, 4]
    let clauses = Self.clauses(target, prompt, length: 3, ends: ends)
      .sorted { $0.surprise > $1.surprise }
    // With F the mass of clauses up to a rank, worst first: P(best of N is c) = F(c)^N - F(<c)^N.
    var expected: [[Int32]: Double] = [:]
    var below = 0.0
    for clause in clauses {
      let upTo = below + clause.probability
      expected[clause.tokens] = pow(upTo, Double(count)) - pow(below, Double(count))
      below = upTo
    }
    #expect(abs(below - 1) < 1e-9)
    var observed: [[Int32]: Int] = [:]
    var bySum: [[Int32]: Int] = [:]
    for seed in 1...20_000 as ClosedRange<UInt64> {
      let forest = ToyForest(target, prompt: prompt)
      var round = try Self.round(target, seed: seed, count: count)
      let winner = try round.play(
        first: forest.first, model: forest, endsClause: { ends.contains($0) })
      observed[winner.tokens, default: 0] += 1
      let sums = round.trials.max { $0.logProbability < $1.logProbability }
      bySum[sums?.tokens ?? [], default: 0] += 1
    }
    #expect(ChiSquare(observed: observed, probabilities: expected).pValue > 0.001)
    // Choosing by the sum instead of the mean is found out.
    if count > 1 {
      #expect(ChiSquare(observed: bySum, probabilities: expected).pValue < 1e-6)
    }
  }

  @Test("rows that trials have in common are run once, and the winner's path is its own")
  func sharing() throws {
    let target = ToyTarget.random(3, scale: 1, seed: 3)
    for seed in 1...200 as ClosedRange<UInt64> {
      let forest = ToyForest(target, prompt: [0, 1])
      var round = try Self.round(target, seed: seed, count: 8)
      let winner = try round.play(first: forest.first, model: forest, endsClause: { $0 == 2 })
      try round.tree.checkInvariants()
      // Three tokens at most: two levels are run, of at most two and four different rows.
      #expect(forest.runs <= 2 && round.tree.count <= 6)
      #expect(winner.nodes.map { round.tree.tokens[$0] } == winner.tokens.dropLast())
      #expect(round.trials.allSatisfy { $0.meanSurprise >= winner.meanSurprise })
      for trial in round.trials {
        #expect(trial.isEnded && (trial.tokens.count == 3 || trial.tokens.last == 2))
        #expect(!trial.tokens.dropLast().contains(2))
      }
    }
  }

  @Test("rounds of neighbouring positions draw with different noise, and so do trials")
  func noises() {
    var numbers: Set<Double> = []
    for start in 0..<40 {
      for trial in 0..<10 {
        let noise = TrialRound.noise(seed: 9, trial: trial, start: start)
        for position in start..<start + 5 {
          numbers.insert(noise.uniform(position: position, token: 0))
        }
      }
    }
    #expect(numbers.count > 1995)
  }

  // MARK: Generations

  private static let samplings = [
    SamplingOptions(temperature: 1, seed: 1),
    SamplingOptions(temperature: 0.7, topP: 0.9, seed: 2),
    SamplingOptions(temperature: 1.3, topK: 5, repetitionPenalty: 1.3, seed: 3),
  ]

  private static func options(
    _ cautious: CNTPOptions, _ sampling: SamplingOptions, maxTokens: Int = 60
  ) -> GenerationOptions {
    var options = GenerationOptions(
      maxTokens: maxTokens, sampling: sampling, decoding: "cautious")
    options.search.cautious = cautious
    return options
  }

  @Test("with the threshold at infinity it is plain sampling by seed, and so it is with one trial")
  func plain() async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, sharpness: 4, endBias: 0.3)
      let generator = try toy.makeGenerator()
      for sampling in Self.samplings + [.greedy] {
        let expected = try await Collected(
          generator.generate(
            [1, 2, 3], options: .init(maxTokens: 60, sampling: sampling, speculation: .none)))
        for cautious in [
          CNTPOptions(lowEntropy: .infinity), CNTPOptions(trials: 1),
        ] {
          let found = try await Collected(
            generator.generate([1, 2, 3], options: Self.options(cautious, sampling)))
          #expect(found.tokens == expected.tokens)
          #expect(found.summary?.finishReason == expected.summary?.finishReason)
          #expect(found.summary?.forwards == expected.summary?.forwards)
        }
      }
    }
  }

  @Test("at temperature 0 it is greedy decoding")
  func greedy() async throws {
    let toy = try ToyModel(letters: 20, seed: 8, endBias: 0.3)
    let generator = try toy.makeGenerator()
    let plain = try await Collected(
      generator.generate([4], options: .init(maxTokens: 50, speculation: .none)))
    let found = try await Collected(
      generator.generate([4], options: Self.options(.init(), .greedy, maxTokens: 50)))
    #expect(found.tokens == plain.tokens)
  }

  @Test("after a trial is adopted the model goes on as if it had read the text")
  func adoption() async throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let toy = try ToyModel(letters: 20, seed: seed, sharpness: 3, endBias: 0.2)
      let scorer = try SequenceScorer(toy.makeEngine())
      var options = Self.options(
        .init(trialLength: 7), SamplingOptions(temperature: 1, seed: seed), maxTokens: 80)
      options.logProbabilities = 0
      let found = try await Collected(toy.makeGenerator().generate([5, 6], options: options))
      let figures = try #require(found.summary?.figures)
      #expect((figures["rounds"] ?? 0) > 2)
      #expect((figures["trials"] ?? 0) > (figures["rounds"] ?? 0))
      let entries = found.pieces.flatMap { $0.logProbabilities ?? [] }
      let expected = try scorer.logProbabilities(of: found.tokens, after: [5, 6])
      #expect(entries.count == expected.count)
      for (entry, value) in zip(entries, expected) {
        #expect(abs(Double(entry.chosen.logProbability) - value) < 1e-5)
      }
    }
  }

  @Test("more trials make likelier texts, over 60 seeds")
  func monotone() async throws {
    let toy = try ToyModel(letters: 20, seed: 2, sharpness: 3, endBias: 0)
    let generator = try toy.makeGenerator()
    func mean(_ trials: Int, seed: UInt64) async throws -> Double {
      var options = Self.options(
        .init(trials: trials, trialLength: 4), SamplingOptions(temperature: 1, seed: seed),
        maxTokens: 40)
      options.logProbabilities = 0
      let found = try await Collected(generator.generate([1], options: options))
      let entries = found.pieces.flatMap { $0.logProbabilities ?? [] }
      return entries.reduce(0) { $0 + Double($1.chosen.logProbability) } / Double(entries.count)
    }
    var wins = 0
    for seed in 1...60 as ClosedRange<UInt64> {
      if try await mean(10, seed: seed) > mean(1, seed: seed) { wins += 1 }
    }
    // A coin gives 45 of 60 with probability 1e-4.
    #expect(wins >= 45)
  }

  @Test("the text depends on the seed alone, and ends at the context's end and at stop strings")
  func limits() async throws {
    let toy = try ToyModel(letters: 20, seed: 6, sharpness: 3, endBias: 0)
    let sampling = SamplingOptions(temperature: 1, seed: 12)
    let generator = try toy.makeGenerator(contextLimit: 64)
    var options = Self.options(.init(trials: 30), sampling, maxTokens: 500)
    options.ignoresEndOfText = true
    let found = try await Collected(generator.generate([1, 2], options: options))
    #expect(found.summary?.finishReason == .contextFull(limit: 64))
    #expect(found.tokens.count == 63)
    let shared = options
    async let one = Collected(generator.generate([1, 2], options: shared))
    async let two = Collected(generator.generate([3], options: shared))
    #expect(try await one.tokens == found.tokens)
    _ = try await two
    var stopped = options
    let stop = String(found.text.dropFirst(20).prefix(3))
    stopped.stopStrings = [stop]
    let cut = try await Collected(generator.generate([1, 2], options: stopped))
    #expect(cut.summary?.finishReason == .stopString(stop))
    #expect(found.text.hasPrefix(cut.text) && cut.text.count <= 20)
    #expect(await generator.usedPages == 0)
  }

  @Test("a conversation goes on after adopted trials")
  func conversation() async throws {
    let toy = try ToyModel(letters: 20, seed: 4, sharpness: 3, endBias: 0)
    let generator = try toy.makeGenerator()
    let id = Generator.ConversationID()
    let options = Self.options(
      .init(trialLength: 6), SamplingOptions(temperature: 1, seed: 3), maxTokens: 30)
    let first = try await Collected(
      generator.generate([1, 2], options: options, conversation: id))
    let prompt = [1, 2] + first.tokens + [7, 8]
    let second = try await Collected(
      generator.generate(prompt, options: options, conversation: id))
    let fresh = try await Collected(generator.generate(prompt, options: options))
    #expect(second.tokens == fresh.tokens)
    #expect((second.summary?.reusedTokens ?? 0) >= 31)
    await generator.forget(id)
  }

  @Test("settings out of range are refused by name")
  func settings() {
    for cautious in [
      CNTPOptions(lowEntropy: -1), CNTPOptions(highEntropy: 0.005), CNTPOptions(trials: 0),
      CNTPOptions(trials: 65), CNTPOptions(trialLength: 0), CNTPOptions(leastTrialLength: 65),
      CNTPOptions(lowEntropy: .nan), CNTPOptions(highEntropy: .nan),
    ] {
      #expect(throws: GenerationError.self) {
        try Self.options(cautious, .greedy).validate(vocabularyCount: 100)
      }
    }
  }
}
