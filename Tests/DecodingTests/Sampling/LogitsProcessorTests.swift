import Foundation
import Testing

@testable import Decoding

@Suite struct LogitsProcessorTests {
  static let settings: [SamplingOptions] = [
    .init(temperature: 1),
    .init(temperature: 0.3),
    .init(temperature: 2.5),
    .init(temperature: 0.8, topK: 1),
    .init(temperature: 0.8, topK: 7),
    .init(temperature: 0.8, topK: 1000),
    .init(temperature: 1, topP: 0.0),
    .init(temperature: 1, topP: 0.35),
    .init(temperature: 1, topP: 0.9),
    .init(temperature: 1, topP: 0.9999),
    .init(temperature: 1, minP: 0.02),
    .init(temperature: 1, minP: 1),
    .init(temperature: 1, typicalP: 0.2),
    .init(temperature: 1, typicalP: 0.95),
    .init(temperature: 0, typicalP: 0.2),
    .init(temperature: 0),
    .init(temperature: 1, repetitionPenalty: 1.3),
    .init(temperature: 1, repetitionPenalty: 0.8, penaltyWindow: 3),
    .init(temperature: 1, presencePenalty: 0.7, frequencyPenalty: 0.4, penaltyWindow: nil),
    .init(temperature: 1, presencePenalty: 0.7, penaltyWindow: 0),
    .init(temperature: 1, topK: 5, logitBias: [0: 30, 2: -.infinity, 4: -1.5]),
    .init(
      temperature: 0.7, topK: 40, topP: 0.95, minP: 0.01, typicalP: 0.99, repetitionPenalty: 1.1,
      presencePenalty: 0.1, frequencyPenalty: 0.2, penaltyWindow: 16, logitBias: [1: 2]),
  ]

  @Test(
    "every setting keeps the tokens and probabilities of the plain definition",
    arguments: settings, [5, 64, 1000, 49_152])
  func agreesWithDefinition(_ options: SamplingOptions, _ vocabulary: Int) throws {
    var random = TestRandom(UInt64(vocabulary))
    let processor = try LogitsProcessor(options: options, vocabularyCount: vocabulary, seed: 1)
    for round in 0..<(vocabulary > 10_000 ? 2 : 12) {
      var logits = random.logits(vocabulary, scale: [0.1, 3, 40][round % 3])
      // Whole numbers make ties; a few tokens are ruled out by the model itself.
      if round % 4 == 1 { logits = logits.map { $0.rounded() } }
      if round % 4 == 2 { logits[vocabulary / 2] = -.infinity }
      let history = (0..<20).map { _ in Int32.random(in: 0..<5, using: &random) }
      let expected = NaiveSampling(options: options).distribution(logits: logits, history: history)
      let found = try distribution(processor, logits, history)
      #expect(Set(found.keys) == Set(expected.keys), "round \(round)")
      for (token, probability) in expected {
        #expect(abs((found[token] ?? 0) - probability) < 1e-9)
      }
    }
  }

  @Test("a tree node is processed as plain decoding would process it there")
  func pathIsHistory() throws {
    let options = SamplingOptions(
      temperature: 1, repetitionPenalty: 1.5, presencePenalty: 0.5, frequencyPenalty: 0.25,
      penaltyWindow: 6)
    let processor = try LogitsProcessor(options: options, vocabularyCount: 32, seed: 3)
    var random = TestRandom(3)
    let tokens = (0..<12).map { _ in Int32.random(in: 0..<8, using: &random) }
    let logits = random.logits(32)
    let plain = try distribution(processor, logits, tokens)
    let plainToken = try choose(processor, logits, tokens)
    for split in 0...tokens.count {
      let committed = TokenHistory(tokens[..<split])
      try Array(tokens[split...]).withUnsafeBufferPointer { path in
        try logits.withUnsafeBufferPointer { logits in
          let found = try processor.withDistribution(
            logits: logits, history: committed, path: path
          ) { Dictionary(uniqueKeysWithValues: zip($0, $1)) }
          #expect(found == plain)
          #expect(
            try processor.chooseToken(logits: logits, history: committed, path: path)
              == plainToken)
        }
      }
    }
  }

  @Test("greedy decoding takes the lowest id of equal logits")
  func greedyTies() throws {
    let processor = try LogitsProcessor(options: .greedy, vocabularyCount: 6, seed: 0)
    #expect(try choose(processor, [1, 5, 2, 5, 5, 0], []) == 1)
    #expect(try choose(processor, [-.infinity, -3, -.infinity, -3, -4, -9], []) == 1)
  }

  @Test("top-k takes the lowest ids of equal logits at its border")
  func topKTies() throws {
    let processor = try LogitsProcessor(
      options: .init(temperature: 1, topK: 3), vocabularyCount: 6, seed: 0)
    #expect(try Set(distribution(processor, [2, 7, 2, 2, 2, 1], []).keys) == [0, 1, 2])
  }

  @Test("plus infinity takes the whole probability")
  func certainTokens() throws {
    let processor = try LogitsProcessor(
      options: .init(temperature: 0.5, topP: 0.99), vocabularyCount: 4, seed: 0)
    #expect(
      try distribution(processor, [3, .infinity, 90, .infinity], []) == [1: 0.5, 3: 0.5])
  }

  @Test("a logit that is not a number is an error that names token and position")
  func notANumber() throws {
    for options in [SamplingOptions.greedy, .init(temperature: 1)] {
      let processor = try LogitsProcessor(options: options, vocabularyCount: 4, seed: 0)
      #expect(throws: SamplingError.notANumber(token: 2, position: 3)) {
        try choose(processor, [0, 1, .nan, .nan], [1, 1, 1])
      }
    }
  }

  @Test("nothing left to choose is an error")
  func noCandidates() throws {
    for temperature in [0.0, 1.0] {
      let processor = try LogitsProcessor(
        options: .init(temperature: temperature, logitBias: [0: -.infinity, 1: -.infinity]),
        vocabularyCount: 2, seed: 0)
      #expect(throws: SamplingError.noCandidates(position: 0)) {
        try choose(processor, [1, 2], [])
      }
    }
    let processor = try LogitsProcessor(options: .greedy, vocabularyCount: 4, seed: 0)
    #expect(throws: SamplingError.wrongLogitCount(found: 3, expected: 4)) {
      try choose(processor, [1, 2, 3], [])
    }
  }

  @Test(
    "settings out of range are refused",
    arguments: [
      SamplingOptions(temperature: -1), .init(temperature: .nan), .init(temperature: .infinity),
      .init(topK: -1), .init(topP: 1.01), .init(topP: -0.1), .init(topP: .nan), .init(minP: 2),
      .init(typicalP: .nan), .init(repetitionPenalty: 0), .init(repetitionPenalty: -.infinity),
      .init(presencePenalty: .nan), .init(frequencyPenalty: .infinity), .init(penaltyWindow: -2),
      .init(logitBias: [10: 1]), .init(logitBias: [-1: 1]), .init(logitBias: [1: .nan]),
      .init(logitBias: [1: .infinity]),
    ])
  func validation(_ options: SamplingOptions) {
    #expect(throws: SamplingError.self) { try options.validate(vocabularyCount: 10) }
  }

  @Test("the error says what was found and what is expected")
  func validationText() {
    #expect(
      SamplingError.invalidOption(name: "top-p", value: "1.5", expected: "a number from 0 to 1")
        .description == "top-p is 1.5, expected a number from 0 to 1")
  }
}

/// The distribution as a dictionary.
func distribution(
  _ processor: LogitsProcessor, _ logits: [Float], _ history: [Int32]
) throws -> [Int32: Double] {
  try logits.withUnsafeBufferPointer {
    try processor.withDistribution(logits: $0, history: TokenHistory(history)) {
      #expect($0.elementsEqual($0.sorted()))
      return Dictionary(uniqueKeysWithValues: zip($0, $1))
    }
  }
}

/// The token that the processor takes after `history`.
func choose(
  _ processor: LogitsProcessor, _ logits: [Float], _ history: [Int32]
) throws -> Int32 {
  try logits.withUnsafeBufferPointer {
    try processor.chooseToken(logits: $0, history: TokenHistory(history))
  }
}
