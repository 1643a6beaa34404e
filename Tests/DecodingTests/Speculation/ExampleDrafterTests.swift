import Foretoken
import Foundation
import TestSupport
import Testing

@Suite struct ExampleDrafterTests {
  @Test("the drafter in CONTRIBUTING.md is the one that the tests compile")
  func documented() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    let source = try String(
      contentsOf: folder.appending(path: "ExampleDrafter.swift"), encoding: .utf8)
    let page = try String(
      contentsOf: Goldens.directory.deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "CONTRIBUTING.md"), encoding: .utf8)
    let start = try #require(source.range(of: "/// Drafts what followed"))
    let code = String(source[start.lowerBound...])
    #expect(page.contains(code))
    #expect(code.split(separator: "\n").count <= 30)
  }
}

extension RealModelTests {
  @Test("the example drafter drafts, and changes no token")
  func exampleDrafter() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    var options = GenerationOptions(maxTokens: 60, planner: .off)
    let prompt = "one two three one two three one two three one two"
    options.speculation = .none
    let plain = try await Collected(model.generate(prompt, options: options))
    options.customDrafter = DrafterKind(name: "last-successor", defaultNodes: 8) { _ in
      LastSuccessorDrafter()
    }
    let drafted = try await Collected(model.generate(prompt, options: options))
    #expect(drafted.tokens == plain.tokens)
    let summary = try #require(drafted.summary)
    #expect(summary.method == "last-successor")
    #expect(3 * summary.forwards < 2 * (plain.summary?.forwards ?? 0))
  }
}
