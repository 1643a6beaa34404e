import Foretoken

/// A function to complete, and the program that tests it: a line of HumanEval.
struct CodeProblem: Sendable, Equatable {
  /// Name, such as `HumanEval/0`.
  let id: String
  /// Imports, signature and description: what the model continues.
  let prompt: String
  /// Defines `check(candidate)`, which raises if the candidate is wrong.
  let test: String
  /// Name of the function.
  let entryPoint: String

  /// What ends the function: the beginning of something at the margin.
  static let stops = [
    "\nclass ", "\ndef ", "\n#", "\n@", "\nprint(", "\nif ", "\nassert ", "\n```",
  ]

  /// The whole program with a model's completion.
  func program(_ completion: String) -> String {
    "\(prompt)\(completion)\n\n\(test)\ncheck(\(entryPoint))\n"
  }

  /// Reads JSON lines with `task_id`, `prompt`, `test` and `entry_point`.
  /// - Throws: `InputError` that names the line.
  static func parse(_ text: String, name: String) throws -> [CodeProblem] {
    var problems: [CodeProblem] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      let place = "\(name), line \(index + 1),"
      let value: JSONValue
      do {
        value = try JSONValue(parsing: String(line))
      } catch {
        throw InputError(place, "is not JSON: \(error)")
      }
      func text(_ key: String) throws -> String {
        guard let text = value[key]?.stringValue else {
          throw InputError(
            place, "has no text '\(key)'; a line needs task_id, prompt, test and entry_point")
        }
        return text
      }
      problems.append(
        CodeProblem(
          id: try text("task_id"), prompt: try text("prompt"), test: try text("test"),
          entryPoint: try text("entry_point")))
    }
    guard !problems.isEmpty else { throw InputError(name, "has no problems") }
    return problems
  }
}
