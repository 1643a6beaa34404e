import ArgumentParser
import Foretoken
import Foundation

/// `foretoken tokenize`: text to tokens and back.
struct TokenizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Show the tokens of a text, or the text of tokens.",
    discussion: """
      On a terminal the text is shown with its tokens in alternating colours, then one row per \
      token; in a pipe the rows only.

      EXAMPLES:
        foretoken tokenize "Hello, world!"
        foretoken tokenize --model gemma3-270m --file letter.txt --json
        foretoken tokenize --decode 19556 28 905 17
      """)

  @Argument(help: "Text, or with --decode ids; - for standard input.")
  var text: [String] = []

  @Option(
    help: ArgumentHelp(
      "Read the text from a file; - for standard input. (default: none)", valueName: "path"),
    completion: .file())
  var file: String?

  @Flag(help: "Take text such as <|im_end|> as the control token, and add the model's BOS and EOS.")
  var special = false

  @Flag(help: "Turn ids into text.")
  var decode = false

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var selection: ModelSelection

  func run() async throws {
    let argument = text.isEmpty ? nil : text.joined(separator: " ")
    let input = try TextInput.read(
      argument: argument, file: file, what: decode ? "list of ids" : "text")
    let model = try await Interrupts.cancelling { [selection] in try await selection.pull() }
    let tokenizer = try Tokenizer(GGUFFile(path: model.url.path(percentEncoded: false)))
    if decode {
      try showText(of: Self.ids(input, below: tokenizer.vocabularyCount), tokenizer)
    } else {
      let tokens = tokenizer.encode(input, addSpecial: special, parseSpecial: special)
      try json ? showJSON(input, tokens, tokenizer) : showTable(tokens, tokenizer)
    }
  }

  private func showText(of ids: [Int32], _ tokenizer: Tokenizer) throws {
    let text = tokenizer.decode(ids, rendersSpecial: special)
    guard json else { return try TextStream.output.writeLine(text) }
    try showJSON(text, ids, tokenizer)
  }

  private func showJSON(_ text: String, _ tokens: [Int32], _ tokenizer: Tokenizer) throws {
    let object: JSONValue = [
      "model": .string(selection.model),
      "text": .string(text),
      "count": .integer(tokens.count),
      "tokens": .array(tokens.map { .integer(Int($0)) }),
      "pieces": .array(tokens.map { .string(Self.piece($0, tokenizer)) }),
    ]
    try TextStream.output.writeLine(object.serialized())
  }

  private func showTable(_ tokens: [Int32], _ tokenizer: Tokenizer) throws {
    let output = TextStream.output
    if output.usesColor { try output.writeLine(Self.colored(tokens, tokenizer) + "\n") }
    var table = Table(.init("#", .right), .init("ID", .right, style: .cyan), .init("PIECE"))
    for (index, token) in tokens.enumerated() {
      table.append("\(index)", "\(token)", Self.quoted(tokenizer.bytes(of: token)))
    }
    for line in table.lines(for: output) { try output.writeLine(line) }
    note("\(tokens.count) tokens")
  }

  /// The text with each token on a background of its own. Tokens that end inside a character are
  /// shown together with what completes it.
  private static func colored(_ tokens: [Int32], _ tokenizer: Tokenizer) -> String {
    let backgrounds = [44, 42, 45, 46, 43]
    var detokenizer = IncrementalDetokenizer(tokenizer, rendersSpecial: true)
    var pieces = tokens.map { detokenizer.append($0) }
    pieces.append(detokenizer.finish())
    return pieces.enumerated().map { index, piece in
      guard !piece.isEmpty else { return "" }
      let code = "\u{1B}[30;\(backgrounds[index % backgrounds.count])m"
      return piece.split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.isEmpty ? "" : code + $0.visible + "\u{1B}[0m" }.joined(separator: "\n")
    }.joined()
  }

  private static func piece(_ token: Int32, _ tokenizer: Tokenizer) -> String {
    String(decoding: tokenizer.bytes(of: token), as: UTF8.self)
  }

  /// The bytes in quotes; those that are only a part of a character as `\\xE4`.
  private static func quoted(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text.debugDescription }
    let escaped = bytes.map { byte in
      (0x20..<0x7F).contains(byte)
        ? String(UnicodeScalar(byte)) : String(format: "\\x%02X", byte)
    }
    return "\"\(escaped.joined())\""
  }

  private static func ids(_ text: String, below limit: Int) throws -> [Int32] {
    try text.split { $0.isWhitespace || $0 == "," || $0 == "[" || $0 == "]" }.map { word in
      guard let id = Int32(word), id >= 0, Int(id) < limit else {
        throw UsageError("'\(word)' is not a token id of this model, expected 0 to \(limit - 1)")
      }
      return id
    }
  }
}
