import Foundation
import Testing

@testable import Decoding

@Suite struct GenerationEventTests {
  static let summary = GenerationSummary(
    finishReason: .stopString("\n\n"), promptTokens: 12, reusedTokens: 4, generatedTokens: 31,
    forwards: 33, forwardRows: 40, draftedTokens: 6, acceptedTokens: 2, prefillMilliseconds: 40,
    decodeMilliseconds: 600, method: "none", guarantee: .bitwise, seed: .max)

  static var trace: StepTrace {
    var trace = StepTrace(
      position: 9, emitted: [5, 7], outcome: .mismatch,
      costs: StepCosts(
        forwardRows: 3, draftMicroseconds: 11, forwardMicroseconds: 6000, verifyMicroseconds: 90))
    trace.draftTokens = [5, 8]
    trace.draftParents = [-1, 0]
    trace.draftProbabilities = [0.75, 0.5]
    trace.draftOrigins = [0, 0]
    trace.drafters = ["copy"]
    trace.accepted = [0]
    return trace
  }

  static let events: [GenerationEvent] = [
    .prompt(PromptProgress(processed: 256, total: 700, reused: 3)),
    .step(trace),
    .text(TextPiece(text: "Grüße 🙂", tokens: [1, 2], logProbabilities: nil)),
    .warning(GenerationWarning(drafter: "copy", stage: .propose, reason: "no memory")),
    .finish(summary),
  ]

  @Test("an event reads back from its JSON as it was", arguments: events)
  func roundTrip(_ event: GenerationEvent) throws {
    let data = try JSONEncoder().encode(event)
    #expect(try JSONDecoder().decode(GenerationEvent.self, from: data) == event)
  }

  @Test("the type stands beside the event's own keys")
  func shape() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let progress = try encoder.encode(Self.events[0])
    #expect(
      String(decoding: progress, as: UTF8.self)
        == #"{"processed":256,"reused":3,"total":700,"type":"prompt"}"#)
    let step = String(decoding: try encoder.encode(Self.events[1]), as: UTF8.self)
    #expect(step.contains(#""draft_parents":[-1,0]"#))
    #expect(step.contains(#""outcome":"mismatch""#))
    #expect(step.contains(#""type":"step""#))
  }

  @Test(
    "every reason to finish reads back, and has a word for machines",
    arguments: [
      (FinishReason.stopToken(2), "stop"), (.stopString("x"), "stop"), (.length, "length"),
      (.contextFull(limit: 64), "length"), (.cancelled, "cancelled"), (.error("oh"), "error"),
    ])
  func finishReasons(_ reason: FinishReason, _ name: String) throws {
    let data = try JSONEncoder().encode(reason)
    #expect(try JSONDecoder().decode(FinishReason.self, from: data) == reason)
    #expect(reason.name == name)
  }

  @Test("a full context says what to do")
  func contextNote() {
    #expect(FinishReason.contextFull(limit: 64).note?.contains("64") == true)
    #expect(FinishReason.length.note == nil)
  }

  @Test("speeds leave out reused tokens and the token that the prompt's pass gives")
  func rates() {
    #expect(Self.summary.prefillTokensPerSecond == 200)
    #expect(Self.summary.decodeTokensPerSecond == 50)
  }
}
