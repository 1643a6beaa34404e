import Testing

@testable import Decoding

@Suite struct GenerationOptionsTests {
  @Test("the defaults are greedy, and valid")
  func defaults() throws {
    let options = GenerationOptions()
    #expect(options.sampling.isGreedy)
    try options.validate(vocabularyCount: 100)
  }

  @Test(
    "settings out of range are refused",
    arguments: [
      GenerationOptions(maxTokens: -1), .init(prefillChunk: 0), .init(prefillChunk: 513),
      .init(stopStrings: [""]), .init(stopStrings: [String(repeating: "a", count: 1025)]),
      .init(stopStrings: Array(repeating: "a", count: 65)), .init(stopTokens: [100]),
      .init(stopTokens: [-1]), .init(logProbabilities: 101), .init(logProbabilities: -1),
    ])
  func validation(_ options: GenerationOptions) {
    #expect(throws: GenerationError.self) { try options.validate(vocabularyCount: 100) }
  }
}
