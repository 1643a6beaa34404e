import Foretoken
import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("bench")
struct BenchCommandTests {
  private func object(_ outcome: ForetokenProcess.Outcome) throws -> JSONValue {
    try #require(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.text.split(separator: "\n").count == 1)
    return try JSONValue(parsing: outcome.text)
  }

  private func number(_ value: JSONValue?, _ keys: String...) throws -> Double {
    try #require(keys.reduce(value) { $0?[$1] }?.doubleValue)
  }

  /// Elements and texts of a file that must be well-formed.
  private final class Reader: NSObject, XMLParserDelegate {
    private(set) var names: [String: Int] = [:]
    private(set) var text = ""

    init(_ path: String) throws {
      super.init()
      let parser = XMLParser(data: try Data(contentsOf: URL(filePath: path)))
      parser.delegate = self
      try #require(parser.parse(), "\(path) is no well-formed XML")
    }

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
      qualifiedName: String?, attributes: [String: String]
    ) { names[name, default: 0] += 1 }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
  }

  @Test("kernels: every format and batch size has a time and its rates, and the chart names all")
  func kernels() async throws {
    let folder = try TemporaryFolder()
    let svg = folder.path + "kernels.svg"
    let outcome = try await ForetokenProcess.run(
      "bench", "kernels", "--shapes", "16x256,24x576", "--formats", "Q4_K,Q8_0,F32", "--batches",
      "2,5", "--repeats", "3", "--threads", "2", "--json", "--svg", svg)
    let found = try object(outcome)
    #expect(found["machine"]?["threads"]?.intValue == 2)
    #expect(try number(found, "machine", "read_bytes_per_second") > 1e8)
    #expect(try number(found, "machine", "int8_multiply_adds_per_second") > 1e8)
    let products = try #require(found["products"]?.arrayValue)
    // 576 columns are no whole super-blocks: Q4_K is left out there.
    let names = products.map { "\($0["type"]?.stringValue ?? "") \($0["rows"]?.intValue ?? 0)" }
    #expect(Set(names) == ["Q4_K 16", "Q8_0 16", "F32 16", "Q8_0 24", "F32 24"])
    #expect(names.count == 5)
    for product in products {
      let batches = try #require(product["batches"]?.arrayValue)
      #expect(batches.map { $0["batch"]?.intValue } == [1, 2, 5])
      #expect(try number(batches[0], "ratio") == 1)
      let rows = try number(product, "rows")
      let columns = try number(product, "columns")
      let bytes = try number(product, "bytes")
      for batch in batches {
        let time = try number(batch, "microseconds", "median") * 1e-6
        let count = try number(batch, "batch")
        #expect(try number(batch, "microseconds", "min") * 1e-6 <= time)
        #expect(try number(batch, "microseconds", "max") * 1e-6 >= time)
        // Times are printed in thousandths of a microsecond.
        let tolerance = 1e-9 / time + 1e-6
        let reads = try number(batch, "bytes_per_second") * time / bytes
        #expect(abs(reads - 1) < tolerance)
        let products = try number(batch, "multiply_adds_per_second") * time
        #expect(abs(products / (rows * columns * count) - 1) < tolerance)
      }
    }
    let drawing = try Reader(svg)
    #expect(drawing.names["svg"] == 1)
    // Two charts of three lines each.
    #expect(try #require(drawing.names["path"]) > 6)
    for text in ["16 × 256", "Q4_K", "Q8_0", "F32"] { #expect(drawing.text.contains(text)) }
  }

  @Test("kernels: without --json there is a table for each shape")
  func kernelTables() async throws {
    let outcome = try await ForetokenProcess.run(
      "bench", "kernels", "--shapes", "16x256,24x512", "--formats", "q5_0", "--batches", "4",
      "--repeats", "2")
    try #require(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.isEmpty)
    let lines = outcome.text.split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("Q5_0 ") }.count == 2)
    #expect(lines.contains("16 × 256") && lines.contains("24 × 512"))
    #expect(lines.contains { $0.contains("GMAC/S AT 4") })
  }

  @Test("model: speeds, stages that add up, and the cost of wider passes")
  func model() async throws {
    _ = try await DefaultModel.url()
    let folder = try TemporaryFolder()
    let svg = folder.path + "model.svg"
    let outcome = try await ForetokenProcess.run(
      "bench", "model", "--at", "64,0", "--prefill", "9", "--rows", "3", "--rows-at", "70",
      "--repeats", "2",
      "--threads", "2", "--json", "--svg", svg)
    let found = try object(outcome)
    #expect(found["model"]?.stringValue == DefaultModel.alias)
    #expect(found["prefill_tokens"]?.intValue == 9)
    // Packed weights are about as large as the file's tensors.
    #expect((80e6...120e6).contains(try number(found, "weight_bytes")))
    // 135 M parameters, 28 M of them in the vocabulary's matrix.
    #expect((100e6...110e6).contains(try number(found, "layer_multiply_adds")))
    let contexts = try #require(found["contexts"]?.arrayValue)
    #expect(contexts.map { $0["context"]?.intValue } == [0, 64])
    for context in contexts {
      for kind in ["prefill", "decode"] {
        let rate = try number(context[kind], "tokens_per_second", "median")
        let stages = try #require(context[kind]?["microseconds_per_token"]?.objectValue)
        #expect(
          stages.keys == ["matrices", "attention", "norms", "sampling", "overhead"])
        let values = stages.entries.compactMap { $0.value.doubleValue }
        #expect(values.allSatisfy { $0 >= 0 })
        #expect(values[0] > 0 && values[1] > 0)
        // Means of the runs, between the slowest and the fastest.
        let total = values.reduce(0, +) * 1e-6
        #expect(try 1 / total <= number(context[kind], "tokens_per_second", "max") * 1.001)
        #expect(try 1 / total >= number(context[kind], "tokens_per_second", "min") * 0.999)
        #expect(rate > 0)
      }
      #expect(try number(context, "decode", "microseconds_per_token", "sampling") > 0)
      #expect(try number(context, "prefill", "microseconds_per_token", "sampling") == 0)
    }
    let passes = try #require(found["passes"]?.arrayValue)
    #expect(passes.map { $0["rows"]?.intValue } == [1, 2, 3])
    #expect(try number(passes[0], "ratio") == 1)
    #expect(try passes.allSatisfy { try number($0, "milliseconds", "median") > 0 })
    #expect(try passes.allSatisfy { try number($0, "microseconds", "attention") > 0 })
    #expect(found["pass_context"]?.intValue == 70)
    let drawing = try Reader(svg)
    // A bar for decode and prefill at each context, each of four parts or more; five in the legend.
    #expect(try #require(drawing.names["rect"]) >= 1 + 5 + 4 * 3)
    for text in ["decode at 64", "prefill at 0", "attention", DefaultModel.alias] {
      #expect(drawing.text.contains(text))
    }
  }

  @Test("a chart that cannot be written is refused before anything is measured")
  func badFile() async throws {
    for kind in ["kernels", "model"] {
      let outcome = try await ForetokenProcess.run("bench", kind, "--svg", "no/such/folder/a.svg")
      #expect(outcome.status == 1)
      #expect(outcome.error.contains("there is no folder"))
      #expect(outcome.output.isEmpty)
    }
  }
}
