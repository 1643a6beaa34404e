import Foundation
import TestSupport
import Testing

@testable import Decoding

@Suite struct MethodRegistryTests {
  @Test("the catalogue has the systems 1 to 49, each once")
  func numbers() {
    #expect(MethodRegistry.systems.map(\.number) == (1...49).map { $0 })
    #expect(Set(MethodRegistry.all.map(\.card)).count == 53)
    #expect(Set(MethodRegistry.all.map(\.name)).count == 53)
  }

  @Test("every system names its paper, with an identifier of the arXiv")
  func papers() throws {
    let identifier = /\d{4}\.\d{5}/
    for method in MethodRegistry.systems {
      let paper = try #require(method.paper)
      #expect(paper.arxiv.wholeMatch(of: identifier) != nil, "\(method.card)")
      #expect(paper.title.count > 20)
    }
    let papers = MethodRegistry.systems.compactMap(\.paper)
    #expect(Set(papers.map(\.arxiv)).count == 49)
  }

  @Test("summaries are sentences, examples are commands")
  func texts() {
    for method in MethodRegistry.all {
      #expect(method.summary.hasSuffix("."))
      #expect(method.summary.first?.isUppercase == true)
      #expect(method.example.hasPrefix("foretoken "))
      for value in method.selector?.values ?? [] {
        #expect(method.example.contains(method.selector?.option ?? ""), "\(method.card)")
        #expect(!value.isEmpty)
      }
    }
  }

  @Test("no two methods are selected by the same words")
  func selectors() {
    let words = MethodRegistry.all.flatMap { method in
      (method.selector?.values ?? []).map { "\(method.selector?.option ?? "") \($0)" }
    }
    #expect(Set(words).count == words.count)
  }

  @Test("what is available can be selected, what is planned cannot")
  func selection() throws {
    for method in MethodRegistry.all {
      guard let selector = method.selector else { continue }
      for value in selector.values {
        switch method.status {
        case .available:
          #expect(try MethodRegistry.select(option: selector.option, value: value) == method)
        case .planned:
          #expect(
            throws: MethodError.planned(
              option: selector.option, value: value, method: method.name,
              available: MethodRegistry.availableValues(of: selector.option))
          ) { try MethodRegistry.select(option: selector.option, value: value) }
        }
      }
    }
  }

  @Test("options with a method that is planned or unknown are refused before anything runs")
  func options() throws {
    #expect(try GenerationOptions(speculation: .auto).method().card == "auto")
    #expect(try GenerationOptions(speculation: .none).method().card == "none")
    for method in MethodRegistry.systems where method.status == .planned {
      for value in method.selector?.values ?? [] {
        var options = GenerationOptions()
        switch method.selector?.option {
        case "--speculate": options.speculation = SpeculationMethod(rawValue: value)
        case "--decode": options.decoding = DecodingMethod(rawValue: value)
        default: continue
        }
        #expect(throws: MethodError.self) { try options.validate(vocabularyCount: 10) }
      }
    }
    let unknown = GenerationOptions(speculation: "medusa2")
    #expect(throws: MethodError.self) { try unknown.validate(vocabularyCount: 10) }
  }

  @Test("a planned method's error says so and names what there is")
  func errorText() {
    let error = #expect(throws: MethodError.self) {
      try MethodRegistry.select(option: "--speculate", value: "chimera")
    }
    #expect(error?.description.contains("planned") == true)
    #expect(error?.description.contains("auto, none") == true)
  }

  @Test("the table in Docs/Methods/README.md is the registry's own")
  func documentation() throws {
    let url = Goldens.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Docs/Methods/README.md")
    let text = try String(contentsOf: url, encoding: .utf8)
    #expect(text.contains(MethodRegistry.markdownTable()), "\n\(MethodRegistry.markdownTable())")
  }
}
