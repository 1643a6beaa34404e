import ArgumentParser

/// The program: what it is for, and its commands.
struct ForetokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "foretoken",
    abstract: "Run language models on this machine's processors.",
    discussion: """
      EXAMPLES:
        foretoken run "The capital of France is"
        foretoken chat --model qwen2.5-coder-0.5b
        git diff | foretoken run --system "Write a commit message." --max-tokens 60

      A model is an alias (foretoken models), the path of a .gguf file, or hf:owner/name[/file]. \
      Models are kept in $FORETOKEN_HOME, which is ~/.cache/foretoken unless it is set.

      Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Colour is used on a terminal \
      only, and never if NO_COLOR is set.

      Completions: foretoken --generate-completion-script bash|zsh|fish
      """,
    version: "0.1.0",
    groupedSubcommands: [
      CommandGroup(
        name: "Text",
        subcommands: [RunCommand.self, ChatCommand.self, RaceCommand.self, ServeCommand.self]),
      CommandGroup(
        name: "Model", subcommands: [PullCommand.self, ModelsCommand.self, InspectCommand.self]),
      CommandGroup(
        name: "Tool",
        subcommands: [
          TokenizeCommand.self, MethodsCommand.self, BenchCommand.self, TrainCommand.self,
        ]),
    ])
}
