import Foretoken
import TestSupport

@testable import Decoding

/// A request of a kind that tests make up by the dozen.
struct ToyRequest: Sendable {
  var prompt: [Int32]
  var options: GenerationOptions

  init(_ prompt: [Int32], _ options: GenerationOptions) {
    self.prompt = prompt
    self.options = options
  }

  /// Anything that the library takes: lengths, samplings, methods, chunks, ends.
  static func random(_ random: inout SeededGenerator, letters: Int) -> ToyRequest {
    var options = GenerationOptions(
      maxTokens: random.number(1...48), ignoresEndOfText: random.number(0...2) > 0,
      speculation: .none, planner: random.number(0...1) == 0 ? .off : .on,
      prefillChunk: random.number(1...200))
    if random.number(0...2) > 0 {
      options.sampling.temperature = Double(random.number(3...12)) / 10
      options.sampling.seed = random.next() >> 32
    }
    switch random.number(0...4) {
    case 0: options.sampling.topK = random.number(1...6)
    case 1: (options.sampling.topP, options.sampling.minP) = (0.9, 0.02)
    case 2: (options.sampling.repetitionPenalty, options.sampling.presencePenalty) = (1.2, 0.3)
    default: break
    }
    if random.number(0...3) == 0 { options.logProbabilities = random.number(0...3) }
    if random.number(0...3) == 0 { options.stopStrings = ["ab", "ccc"] }
    // Texts that repeat themselves, so that copying finds something.
    let cycle = random.letters(random.number(1...12), letters)
    let prompt =
      random.number(0...1) == 0
      ? random.letters(random.number(1...150), letters)
      : (0..<random.number(2...120)).map { cycle[$0 % cycle.count] }
    switch random.number(0...8) {
    case 8: options.speculation = .auto
    case 0: options.speculation = "copy"
    case 1: options.speculation = "recycling"
    case 2: options.speculation = "stand"
    case 3: options.speculation = "jacobi"
    case 4, 5:
      // Right now and then, by chance.
      options.customDrafter = ScriptedDrafter.kind(
        random.letters(60, letters), decoys: random.number(0...3), nodes: random.number(1...24))
      let isTested = options.planner == .off && random.number(0...1) == 0
      options.verification = isTested ? .rejection : nil
    default: break
    }
    return ToyRequest(prompt, options)
  }
}

extension SeededGenerator {
  mutating func number(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next() % UInt64(range.count))
  }

  mutating func letters(_ count: Int, _ letters: Int) -> [Int32] {
    (0..<count).map { _ in Int32(next() % UInt64(letters)) }
  }
}

/// What must not depend on who runs beside.
struct Answer: Equatable {
  var tokens: [Int32] = []
  var text = ""
  var logProbabilities: [TokenLogProbabilities] = []
  var reason: String?

  init(_ found: Collected) {
    tokens = found.tokens
    text = found.text
    logProbabilities = found.pieces.flatMap { $0.logProbabilities ?? [] }
    reason = found.summary.map { "\($0.finishReason)" }
  }
}

extension Generator {
  /// One request after another.
  func answersAlone(_ requests: [ToyRequest]) async throws -> [Answer] {
    var answers: [Answer] = []
    for request in requests {
      answers.append(
        Answer(try await Collected(generate(request.prompt, options: request.options))))
    }
    return answers
  }

  /// Reads all streams at the same time.
  nonisolated func collect(
    _ streams: [AsyncThrowingStream<GenerationEvent, any Error>]
  ) async throws -> [Collected] {
    try await withThrowingTaskGroup(of: (Int, Collected).self) { group in
      for (index, stream) in streams.enumerated() {
        group.addTask { (index, try await Collected(stream)) }
      }
      var found: [Int: Collected] = [:]
      for try await (index, collected) in group { found[index] = collected }
      return streams.indices.compactMap { found[$0] }
    }
  }

  /// Waits until no pages are in use: the end of a stream that nobody reads cannot be waited for.
  func settle() async {
    for _ in 0..<100_000 where usedPages > 0 { await Task.yield() }
  }
}
