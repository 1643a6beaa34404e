import Decoding
import Foundation
import Tokenization

/// A prompt that the model answers to make training data.
public struct TrainingPrompt: Sendable, Equatable {
  /// Name within its file.
  public let id: String
  /// What the user says, turn by turn.
  public let turns: [String]

  /// A prompt.
  public init(id: String, turns: [String]) {
    self.id = id
    self.turns = turns
  }

  /// Reads JSON lines with `turns`, `prompt`, `question` or `text`, or a plain text, of which each
  /// paragraph is one prompt.
  ///
  /// - Throws: `LearningError` that names the line.
  public static func read(_ path: String) throws -> [TrainingPrompt] {
    guard let data = FileManager.default.contents(atPath: path),
      let text = String(validating: data, as: UTF8.self)
    else { throw LearningError(path, "cannot be read as UTF-8 text") }
    let prompts =
      path.hasSuffix(".jsonl") ? try lines(text, path) : paragraphs(text)
    guard !prompts.isEmpty else { throw LearningError(path, "has no prompts") }
    return prompts
  }

  private static func lines(_ text: String, _ path: String) throws -> [TrainingPrompt] {
    var prompts: [TrainingPrompt] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      let place = "\(path), line \(index + 1),"
      let value: JSONValue
      do { value = try JSONValue(parsing: String(line)) } catch {
        throw LearningError(place, "is not JSON: \(error)")
      }
      var turns = value["turns"]?.arrayValue?.compactMap(\.stringValue) ?? []
      if turns.isEmpty {
        turns = ["prompt", "question", "text"].compactMap { value[$0]?.stringValue }.prefix(1).map(
          \.self)
      }
      guard !turns.isEmpty, turns.allSatisfy({ !$0.isEmpty }) else {
        throw LearningError(
          place, "has no text in 'turns' (a list), 'prompt', 'question' or 'text'; one is needed")
      }
      let id =
        value["question_id"]?.intValue.map { "\($0)" } ?? value["id"]?.stringValue
        ?? "line \(index + 1)"
      prompts.append(TrainingPrompt(id: id, turns: turns))
    }
    return prompts
  }

  private static func paragraphs(_ text: String) -> [TrainingPrompt] {
    text.components(separatedBy: "\n\n").enumerated().compactMap { index, part in
      let part = part.trimmingCharacters(in: .whitespacesAndNewlines)
      return part.isEmpty ? nil : TrainingPrompt(id: "paragraph \(index + 1)", turns: [part])
    }
  }
}

/// Which part of the data a text belongs to: a function of the text alone, so that no text is ever in
/// both, whatever the order and the number of the others.
public enum DataSplit: Sendable {
  case training, validation

  /// The part of `text`.
  /// - Parameter share: of validation, 0 to 1.
  public init(of text: String, validation share: Double) {
    // FNV-1a (Fowler, Noll and Vo), with a final mix, because its high bits hardly depend on the end.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    hash = (hash ^ (hash >> 32)) &* 0x9E37_79B9_7F4A_7C15
    self = Double(hash >> 11) * 0x1p-53 < share ? .validation : .training
  }
}

/// What stops a training.
public struct LearningError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// What was found, where, and what to do.
  public let description: String

  /// An error about `place`.
  public init(_ place: String, _ message: String) { description = "\(place) \(message)" }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
