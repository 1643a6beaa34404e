import Foretoken
import Foundation
import TestSupport
import Testing

/// Greedy text of another implementation.
private struct GreedyGoldens: Decodable {
  struct Case: Decodable {
    let id: String
    let promptTokens: [Int32]
    let tokens: [Int32]
    /// Lead of the best over the second best logit at each step.
    let margins: [Double]
  }
  let cases: [Case]
}

func goldens<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  let url = Goldens.directory.appending(path: "\(name).json")
  return try decoder.decode(type, from: Data(contentsOf: url))
}

extension RealModelTests {
  @Test(
    "greedy text leaves another implementation's only where its margin is small",
    arguments: goldenModels)
  func greedy(_ alias: String) async throws {
    let model = try await LoadedModels.shared.model(alias)
    var prefixes: [Int] = []
    var reference: ForwardEngine?
    for golden in try goldens(GreedyGoldens.self, "greedy_\(alias)").cases {
      let found = try await Collected(
        model.generate(tokens: golden.promptTokens, options: .init(maxTokens: 64)))
      var tokens = found.tokens
      if case .stopToken(let end) = found.summary?.finishReason { tokens.append(end) }
      let common = zip(tokens, golden.tokens).prefix { $0 == $1 }.count
      if common < golden.tokens.count {
        if golden.margins[common] >= 0.5, let own = tokens.dropFirst(common).first {
          if reference == nil { reference = try await exactEngine(alias) }
          let lead = try exactLead(
            #require(reference), over: own, after: golden.promptTokens + tokens[..<common])
          #expect(
            lead < 0.5,
            """
            \(golden.id): differs at step \(common), margin \(golden.margins[common]), exact lead \
            \(lead)
            """)
        } else {
          #expect(tokens.count > common, "\(golden.id): ends at step \(common)")
        }
      } else {
        #expect(tokens.count == golden.tokens.count, "\(golden.id)")
      }
      prefixes.append(common)
    }
    let median = prefixes.sorted()[prefixes.count / 2]
    #expect(median >= 16, "common prefixes \(prefixes)")
  }

  private func exactEngine(_ alias: String) async throws -> ForwardEngine {
    let file = try GGUFFile(path: try await TestModels.path(alias).path)
    return try ForwardEngine(model: Transformer(file: file, reference: true))
  }

  /// By how much the best token leads over `token` with exact activations: where the goldens are
  /// clear and yet differ from us, it says whose rounding it is.
  private func exactLead(
    _ engine: ForwardEngine, over token: Int32, after tokens: [Int32]
  ) throws -> Float {
    let logits = try engine.prefill(tokens, into: engine.makeCache()).logits(0)
    return (logits.max() ?? .infinity) - logits[Int(token)]
  }
}
