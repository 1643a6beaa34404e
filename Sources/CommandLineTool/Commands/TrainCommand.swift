import ArgumentParser

/// `foretoken train`: what methods learn beforehand.
struct TrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Learn what a method needs beforehand, from text.",
    discussion: """
      The result is a file that says where its text is from, under which licence, and which command \
      made it.

      EXAMPLES:
        foretoken train ngrams letters/*.txt --source "my letters" --licence own -o my.ngrams
        foretoken train adadec-threshold --model qwen2.5-coder-0.5b --humaneval
        foretoken train hydra --data prompts.jsonl --source "our prompts" --licence own \
          --out hydra.safetensors
      """,
    subcommands: [
      TrainNGramsCommand.self, TrainThresholdCommand.self, TrainMedusaCommand.self,
      TrainHydraCommand.self,
    ])
}

/// The command line as it was given, for files that say how they were made.
enum CommandRecord {
  static var text: String {
    ([("foretoken")] + CommandLine.arguments.dropFirst()).map(quoted).joined(separator: " ")
  }

  private static func quoted(_ word: String) -> String {
    let plain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_./=,:@".contains($0) }
    return plain && !word.isEmpty ? word : "'\(word.replacing("'", with: "'\\''"))'"
  }
}
