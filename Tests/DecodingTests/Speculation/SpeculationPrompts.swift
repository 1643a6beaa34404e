import Foretoken
import TestSupport

/// Prompts of many kinds: those of the goldens (single texts and one of each category of Spec-Bench
/// and more, in the model's chat template), and some that repeat themselves or ask for it.
struct SpeculationPrompt: Sendable {
  let name: String
  let tokens: [Int32]

  static func all(for alias: String, _ model: LanguageModel) throws -> [SpeculationPrompt] {
    let goldens = try Goldens.load(GoldenPrompts.self, "greedy_\(alias)").cases.map {
      SpeculationPrompt(name: $0.id, tokens: $0.prompt_tokens)
    }
    let written = try repetitive.map { name, text in
      let tokens =
        model.tokenizer.chatTemplate == nil
        ? model.tokenizer.encode(text, addSpecial: true, parseSpecial: false)
        : try model.encode([ChatMessage(role: "user", content: text)])
      return SpeculationPrompt(name: name, tokens: tokens)
    }
    return goldens + written
  }

  private struct GoldenPrompts: Decodable {
    struct Case: Decodable {
      let id: String
      let prompt_tokens: [Int32]
    }
    let cases: [Case]
  }

  private static let code = """
    def mean(values):
        total = 0
        for value in values:
            total += value
        return total / len(values)
    """

  private static let repetitive = [
    ("copy-code", "Repeat this function exactly, twice:\n\n\(code)"),
    ("rename", "Rename `total` to `result` in this function and print it again:\n\n\(code)"),
    ("list-twice", "Write the list: apples, pears, plums, cherries. Then write it once more."),
    ("counting", "Count from 1 to 60, with commas, and then count again from 1 to 60."),
    (
      "correction",
      "Correct the spelling, output only the sentence: The quikc brown fox jumps ovr the lazy dog."
    ),
    ("chorus", "Write a song of three verses with the same chorus after each verse."),
    ("table", "Make a table in Markdown of the months of the year and their number of days."),
    ("json-list", "Give five people as JSON, each with the keys name, age and city."),
    ("empty-lines", "\n\n\n\n"),
    ("unicode", "Wiederhole: «Grüße aus Köln – 日本語 – 🙂🙂🙂», dreimal."),
  ]
}
