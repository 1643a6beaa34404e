import Foretoken
import Testing

@testable import CommandLineTool

@Suite("drafted text")
struct DraftedTextTests {
  private func step(_ emitted: [Int32], accepted: Int) -> StepTrace {
    var trace = StepTrace(
      position: 0, emitted: emitted, outcome: .mismatch,
      costs: StepCosts(forwardRows: 1, forwardMicroseconds: 1, verifyMicroseconds: 1))
    trace.draftTokens = Array(emitted.prefix(accepted))
    trace.draftParents = (0..<Int32(accepted)).map { $0 - 1 }
    trace.draftProbabilities = Array(repeating: 1, count: accepted)
    trace.draftOrigins = Array(repeating: 0, count: accepted)
    trace.drafters = ["copy"]
    trace.accepted = (0..<Int32(accepted)).map { $0 }
    return trace
  }

  @Test("a character counts as drafted by who drafted its first byte")
  func splitCharacters() async throws {
    let model = try await LanguageModel.load(try await DefaultModel.url())
    let text = "naïve 東京 🙂!"
    let tokens = model.tokenizer.encode(text, addSpecial: false, parseSpecial: false)
    for accepted in 0..<tokens.count {
      var drafted = DraftedText()
      drafted.append(step(tokens, accepted: accepted))
      let runs = drafted.append(
        TextPiece(text: text, tokens: tokens, logProbabilities: nil), tokenizer: model.tokenizer)
      #expect(runs.map(\.text).joined() == text)
      let bytes = model.tokenizer.decodeBytes(tokens.prefix(accepted), isStartOfText: false).count
      var position = 0
      for run in runs {
        for character in run.text {
          #expect((run.drafter != nil) == (position < bytes))
          position += character.utf8.count
        }
      }
    }
  }

  @Test("wide characters take two columns, and lines break between words")
  func wrapping() {
    let runs = [
      DraftedRun(text: "one two ", drafter: nil), DraftedRun(text: "東京 three", drafter: nil),
      DraftedRun(text: "\n\nabcdefghijk", drafter: nil),
    ]
    let lines = StyledText(runs, for: .output).lines(width: 8).map {
      String($0.map(\.character))
    }
    #expect(lines == ["one two", "東京", "three", "", "abcdefgh", "ijk"])
    #expect(
      StyledText.text(
        StyledText([DraftedRun(text: "東", drafter: nil)], for: .output).lines(width: 8)[0],
        width: 4, for: .output) == "東  ")
  }
}
