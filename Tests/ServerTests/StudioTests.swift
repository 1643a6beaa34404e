import Foretoken
import Foundation
import Testing

@testable import Server

/// The page and what only the page asks for. `make studio-test` drives it in a browser.
@Suite(.serialized) struct StudioTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Sources/Server/Studio").standardized

  @Test("the program holds the page's files as they are")
  func contents() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path())
    #expect(StudioFiles.contents.map(\.name) == names.sorted())
    for (name, _, text) in StudioFiles.contents {
      let file = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
      #expect(text == file, "\(name) has changed: run make studio")
    }
  }

  @Test("the page loads nothing from elsewhere, and may not")
  func isSelfContained() async throws {
    for (name, _, text) in StudioFiles.contents where name != "icon.svg" {
      let strangers = text.matches(of: /https?:\/\/[^"'\s]+/).map(\.output)
        .filter { !$0.hasPrefix("http://www.w3.org/") }
      #expect(strangers.isEmpty, "\(name) names \(strangers)")
      #expect(!text.contains("innerHTML"), "\(name) would read text as markup")
    }
    try await TestServer.with { server in
      let page = try await server.ask("GET", "/")
      #expect(page.status == 200)
      #expect(page.fields["content-type"] == "text/html; charset=utf-8")
      #expect(page.fields["content-security-policy"]?.hasPrefix("default-src 'self';") == true)
      for match in page.body.matches(of: /(?:src|href)="(\/[^"]*)"/) {
        let file = try await server.ask("GET", String(match.output.1))
        #expect(file.status == 200, "\(match.output.1) is missing")
      }
    }
  }

  @Test("the catalogue is told as the registry has it")
  func methods() async throws {
    try await TestServer.with { server in
      let methods = try #require(
        try await server.ask("GET", "/foretoken/methods").json["methods"]?.arrayValue)
      #expect(methods.count == MethodRegistry.all.count)
      for (told, method) in zip(methods, MethodRegistry.all) {
        #expect(told["card"]?.stringValue == method.card)
        #expect(told["status"]?.stringValue == method.status.rawValue)
        #expect(told["guarantee"]?.stringValue == method.guarantee.rawValue)
        #expect(told["paper"]?["url"]?.stringValue == method.paper?.url)
      }
    }
  }

  @Test("the model's facts are those of its file, without the file's place")
  func modelFacts() async throws {
    let model = try await TestServer.model.value
    let file = try GGUFFile(path: model.url.path(percentEncoded: false))
    try await TestServer.with { server in
      let answer = try await server.ask("GET", "/foretoken/model")
      let facts = answer.json
      #expect(facts["layers"]?.intValue == model.configuration.layerCount)
      #expect(facts["vocabulary"]?.intValue == model.configuration.vocabularyCount)
      #expect(facts["served_context"]?.intValue == 4096)
      #expect(facts["bytes"]?.intValue == file.file.count)
      let tensors = try #require(facts["tensors"]?.arrayValue)
      #expect(tensors.map { $0["name"]?.stringValue } == file.tensors.map(\.name))
      let bytes = tensors.reduce(0) { $0 + ($1["bytes"]?.intValue ?? 0) }
      #expect(bytes == file.tensors.reduce(0) { $0 + $1.range.count })
      #expect(!answer.body.contains(model.url.deletingLastPathComponent().path()))
    }
  }

  @Test("with keys, only the page itself is public")
  func keys() async throws {
    var options = ServerOptions()
    options.keys = ["secret-key"]
    try await TestServer.with(options) { server in
      for path in ["/", "/studio.js"] {
        let answer = try await server.ask("GET", path)
        #expect(answer.status == 200)
      }
      for path in ["/foretoken/methods", "/foretoken/model"] {
        let without = try await server.ask("GET", path)
        #expect(without.status == 401)
        let with = try await server.ask(
          "GET", path, headers: ["authorization": "Bearer secret-key"])
        #expect(with.status == 200)
      }
    }
  }
}
