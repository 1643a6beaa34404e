import ArgumentParser
import Foretoken
import Foundation

/// `foretoken train ngrams`: counts the runs of tokens in text files.
struct TrainNGramsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ngrams",
    abstract: "Count the runs of up to six tokens in text files, for --decode superposed.",
    discussion: """
      Each file is a document of its own. The counts are of one model's tokens and serve models of \
      the same vocabulary.

      EXAMPLES:
        foretoken train ngrams letters/*.txt --source "my letters" --licence own -o my.ngrams
        foretoken run --raw "Dear Anna," --decode superposed --ngrams my.ngrams
      """)

  @Argument(help: "Text files in UTF-8.", completion: .file())
  var files: [String]

  @Option(name: .shortAndLong, help: ArgumentHelp("File to write.", valueName: "path"))
  var output: String

  @Option(help: ArgumentHelp("Where the text comes from; kept in the file.", valueName: "text"))
  var source: String

  @Option(
    help: ArgumentHelp(
      "Licence of the text, such as CC0-1.0; kept in the file.", valueName: "name"))
  var licence: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var selection: ModelSelection

  /// Most bytes of text: counting takes about 3 bytes of memory for each.
  private static let mostBytes = 1 << 28

  func validate() throws {
    guard !source.isEmpty, !licence.isEmpty, source.utf8.count + licence.utf8.count < 4096 else {
      throw ValidationError(
        "--source and --licence need a text each, of 4096 bytes together at most")
    }
  }

  func run() async throws {
    let url = URL(filePath: (output as NSString).expandingTildeInPath)
    _ = try OutputFile(output)
    let model = try await Interrupts.cancelling { [selection] in try await selection.pull() }
    let tokenizer = try Tokenizer(GGUFFile(path: model.url.path(percentEncoded: false)))
    var builder = NGramBuilder(tokenizer: tokenizer)
    var room = Self.mostBytes
    for path in files {
      let text = try Self.text(path, room: &room)
      try builder.add(text, name: path)
      try Task.checkCancellation()
    }
    try builder.write(
      to: url, source: source, license: licence, command: CommandRecord.text,
      model: selection.model)
    try report(builder, url)
  }

  private static func text(_ path: String, room: inout Int) throws -> String {
    let file = try MappedFile(path: (path as NSString).expandingTildeInPath)
    room -= file.count
    guard room >= 0 else {
      throw InputError(path, "is too much: the files may have \(mostBytes) bytes together")
    }
    let text = file.withBytes(in: 0..<file.count) { String(validating: $0, as: UTF8.self) }
    guard let text else {
      throw InputError(path, "is not text in UTF-8; convert it first, for example with iconv")
    }
    return text
  }

  private func report(_ builder: NGramBuilder, _ url: URL) throws {
    let size = try FileManager.default.attributesOfItem(atPath: url.path(percentEncoded: false))[
      .size]
    let bytes = (size as? NSNumber)?.intValue ?? 0
    if json {
      let object: JSONValue = [
        "output": .string(output), "bytes": .integer(bytes),
        "tokens": .integer(builder.tokenCount), "files": .integer(files.count),
        "model": .string(selection.model), "source": .string(source),
        "licence": .string(licence),
      ]
      try TextStream.output.writeLine(object.serialized())
    } else {
      note("\(output): \(builder.tokenCount) tokens of \(files.count) files, \(bytes) bytes")
    }
  }
}
