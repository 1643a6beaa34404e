import Checkpoints
import Decoding
import Foundation
import Tokenization

/// A text that the model wrote itself.
public struct DistilledText: Sendable, Equatable, Codable {
  /// The prompt's name.
  public let id: String
  /// Tokens of the prompt.
  public let prompt: [Int32]
  /// Tokens of the answer.
  public let answer: [Int32]

  /// Prompt and answer.
  public var tokens: [Int32] { prompt + answer }
}

/// Lets a model answer prompts, many at a time, and keeps the answers in a file as they come: a
/// stopped run goes on where it was.
public struct SelfDistillation: Sendable {
  /// Where the answers are kept, as JSON lines.
  public let path: String
  /// Answers made at the same time.
  public var concurrency = 16

  /// Answers kept at `path`.
  public init(path: String) { self.path = path }

  /// The answers so far. A line that was cut off by a kill counts as not there.
  public func known() -> [DistilledText] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    let decoder = JSONDecoder()
    return data.split(separator: 0x0A).compactMap {
      try? decoder.decode(DistilledText.self, from: Data($0))
    }
  }

  /// Answers the prompts that have no answer yet.
  ///
  /// - Parameters:
  ///   - prompts: names and tokens.
  ///   - progress: called with the answers done so far.
  /// - Returns: all answers, in the order of the prompts.
  /// - Throws: what generating throws, `LearningError` for a file that cannot be written.
  public func run(
    _ prompts: [(id: String, tokens: [Int32])], generator: Generator, options: GenerationOptions,
    progress: (Int) -> Void
  ) async throws -> [DistilledText] {
    var answers: [String: DistilledText] = [:]
    for text in known() { answers[text.id] = text }
    try rewrite(Array(answers.values).sorted { $0.id < $1.id })
    let missing = prompts.filter { answers[$0.id]?.prompt != $0.tokens }
    guard let file = FileHandle(forWritingAtPath: path) else {
      throw LearningError(path, "cannot be written")
    }
    defer { try? file.close() }
    try file.seekToEnd()
    await generator.setConcurrency(concurrency)
    for begin in stride(from: 0, to: missing.count, by: 2 * concurrency) {
      let part = Array(missing[begin..<min(begin + 2 * concurrency, missing.count)])
      let streams = generator.generate(
        batch: part.map(\.tokens), options: options, memory: "distillation")
      let texts = try await withThrowingTaskGroup(of: DistilledText.self) { group in
        for (prompt, stream) in zip(part, streams) {
          group.addTask {
            var tokens: [Int32] = []
            for try await event in stream {
              if case .text(let piece) = event { tokens += piece.tokens }
            }
            return DistilledText(id: prompt.id, prompt: prompt.tokens, answer: tokens)
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      for text in texts {
        answers[text.id] = text
        try file.write(contentsOf: encoder.encode(text) + [0x0A])
      }
      progress(answers.count)
    }
    return prompts.compactMap { answers[$0.id] }
  }

  private func rewrite(_ texts: [DistilledText]) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let file = try AtomicFile(path: path)
    for text in texts { try file.write(Array(encoder.encode(text)) + [0x0A]) }
    try file.commit()
  }
}
