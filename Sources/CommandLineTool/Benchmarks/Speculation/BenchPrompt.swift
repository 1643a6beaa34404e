import Compute
import Foretoken
import Foundation

/// A prompt of a benchmark: one user turn or several.
struct BenchPrompt: Sendable, Equatable {
  /// Name within its file.
  let id: String
  /// What it is an example of.
  let category: String
  /// What the user says, turn by turn; one or more.
  let turns: [String]

  /// Reads prompts from JSON lines.
  ///
  /// Each line is an object with `turns` (a list of texts), `prompt` or `question`; `category` is
  /// the file's name if it is missing, the id (`question_id`, `task_id`, `id`) the line's number.
  /// - Throws: `InputError` that names the line.
  static func read(_ path: String) throws -> [BenchPrompt] {
    let text = try TextInput.read(argument: nil, file: path, what: "file of prompts")
    let name = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
    return try parse(text, name: path, category: name)
  }

  /// - Parameters:
  ///   - name: what errors call the file.
  ///   - category: of lines that name none.
  static func parse(_ text: String, name: String, category: String) throws -> [BenchPrompt] {
    var prompts: [BenchPrompt] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      let place = "\(name), line \(index + 1),"
      let value: JSONValue
      do {
        value = try JSONValue(parsing: String(line))
      } catch {
        throw InputError(place, "is not JSON: \(error)")
      }
      guard let turns = turns(of: value) else {
        throw InputError(
          place, "has no text in 'turns' (a list), 'prompt' or 'question'; one of them is needed")
      }
      prompts.append(
        BenchPrompt(
          id: id(of: value) ?? "line \(index + 1)",
          category: value["category"]?.stringValue ?? category, turns: turns))
    }
    guard !prompts.isEmpty else { throw InputError(name, "has no prompts") }
    return prompts
  }

  private static func turns(of value: JSONValue) -> [String]? {
    if let list = value["turns"]?.arrayValue {
      let turns = list.compactMap(\.stringValue).filter { !$0.isEmpty }
      return turns.isEmpty || turns.count != list.count ? nil : turns
    }
    let text = value["prompt"]?.stringValue ?? value["question"]?.stringValue
    return text.flatMap { $0.isEmpty ? nil : [$0] }
  }

  private static func id(of value: JSONValue) -> String? {
    for key in ["question_id", "task_id", "id"] {
      if let text = value[key]?.stringValue { return text }
      if let number = value[key]?.intValue { return "\(number)" }
    }
    return nil
  }

  /// At most `limit` prompts of each category, drawn by `seed`; categories take turns, so that a
  /// part of the list is as mixed as the whole.
  static func select(_ prompts: [BenchPrompt], limit: Int?, seed: UInt64) -> [BenchPrompt] {
    let stream = RandomStream(seed: seed)
    var order: [String] = []
    var groups: [String: [(key: Double, prompt: BenchPrompt)]] = [:]
    for (index, prompt) in prompts.enumerated() {
      if groups[prompt.category] == nil { order.append(prompt.category) }
      groups[prompt.category, default: []].append(
        (stream.uniform(position: index, token: 0), prompt))
    }
    let drawn = order.map { category -> [BenchPrompt] in
      let sorted = (groups[category] ?? []).sorted { $0.key < $1.key }.map(\.prompt)
      return Array(sorted.prefix(limit ?? sorted.count))
    }
    let longest = drawn.map(\.count).max() ?? 0
    return (0..<longest).flatMap { place in
      drawn.compactMap { place < $0.count ? $0[place] : nil }
    }
  }
}
