import Compute
import Foretoken
import Foundation
import TestSupport
import Testing

/// Logits of llama.cpp, which rounds activations to 8 bits.
private struct LlamaGoldens: Decodable {
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

/// Logits of NumPy in float32 (`make_float_logits.py`), for the same prompts in the same order.
private struct FloatGoldens: Decodable {
  struct Float: Decodable {
    /// -log p(token | tokens before it) of tokens 1....
    let nll: [Double]
    let top20: [[Double]]
    /// Logits of the tokens that llama.cpp lists.
    let listed: [Double]
  }
  struct Rounded: Decodable {
    let nll: [Double]
    /// Missing for long prompts.
    let listed: [Double]?
  }
  struct Case: Decodable {
    let id: String
    let tokens: [Int32]
    let float: Float
    /// The same with llama.cpp's rounding.
    let rounded: Rounded
  }
  let cases: [Case]
}

/// A prompt with what the others say about it.
private struct Prompt {
  let llama: LlamaGoldens.Case
  let numpy: FloatGoldens.Case

  static func all(_ alias: String) throws -> [Prompt] {
    let llama = try goldens(LlamaGoldens.self, "logits_\(alias)").cases
    let numpy = try goldens(FloatGoldens.self, "float_\(alias)").cases
    try #require(llama.map(\.id) == numpy.map(\.id) && llama.map(\.tokens) == numpy.map(\.tokens))
    return zip(llama, numpy).map { Prompt(llama: $0, numpy: $1) }
  }

  var id: String { llama.id }
  var tokens: [Int32] { llama.tokens }

  /// Mean absolute difference from the logits that llama.cpp lists.
  func distance(_ listed: [Double]) -> Double {
    zip(listed, llama.top20).reduce(0) { $0 + abs($1.0 - $1.1[1]) } / 20
  }

  /// Mean absolute difference from NumPy's 20 largest logits.
  func distanceFromExact(_ logits: [Float]) -> Double {
    numpy.float.top20.reduce(0) { $0 + abs(Double(logits[Int($1[0])]) - $1[1]) } / 20
  }

  /// Lead of llama.cpp's best token.
  var llamaMargin: Double { llama.top20[0][1] - llama.top20[1][1] }

  /// Whether llama.cpp's own rounding decides the best token: NumPy has llama.cpp's logits with it,
  /// and prefers another token by more than 0.5 without it.
  var isDecidedByRounding: Bool {
    guard llamaMargin > 0.5, let rounded = numpy.rounded.listed, distance(rounded) < 0.05 else {
      return false
    }
    let best = numpy.float.top20[0]
    return best[0] != llama.top20[0][0] && best[1] - numpy.float.listed[0] > 0.5
  }

  /// -log p of the tokens 1..., summed; 0 for a single token.
  var llamaSum: Double { (llama.meanNll ?? 0) * Double(tokens.count - 1) }

  /// The same without token 1, which is predicted from token 0 alone: llama.cpp lists means only, so
  /// what NumPy gives token 1 with llama.cpp's rounding is taken off.
  var llamaRest: Double { llamaSum - (numpy.rounded.nll.first ?? 0) }
}

/// What an engine says about a text.
private struct Reading {
  /// Logits after the last token.
  var last: [Float] = []
  /// -log p(token | tokens before it) of tokens 1....
  var nll: [Double] = []

  var best: Int? { last.indices.max { last[$0] < last[$1] } }

  init(_ tokens: [Int32], _ engine: ForwardEngine) throws {
    let cache = engine.makeCache()
    defer { cache.release() }
    var batch = ForwardBatch()
    for start in stride(from: 0, to: tokens.count, by: 64) {
      let chunk = tokens[start..<min(start + 64, tokens.count)]
      batch.removeAll()
      batch.append(chain: chunk, to: cache, logits: .all)
      let output = try engine.forward(batch)
      for (row, index) in chunk.indices.enumerated() where index + 1 < tokens.count {
        let entry = try TokenLogProbabilities(
          logits: output.logits(row), token: tokens[index + 1], topCount: 0, position: index + 1)
        nll.append(-Double(entry.chosen.logProbability))
      }
      if chunk.endIndex == tokens.count { last = Array(output.logits(chunk.count - 1)) }
      try cache.commitAll()
    }
  }
}

extension RealModelTests {
  private func engine(_ alias: String, reference: Bool, kv: KVType) async throws -> ForwardEngine {
    let file = try GGUFFile(path: try await TestModels.path(alias).path)
    return try ForwardEngine(model: Transformer(file: file, reference: reference), kv: kv)
  }

  /// The two differ by the order of summation and four digits of the file: 0.00008 was measured.
  @Test(
    "exact activations give the logits of an independent float implementation",
    arguments: goldenModels)
  func floatLogits(_ alias: String) async throws {
    let engine = try await engine(alias, reference: true, kv: .f32)
    var (worstLogit, worstNLL) = (0.0, 0.0)
    for prompt in try Prompt.all(alias) where prompt.tokens.count <= 20 {
      let reading = try Reading(prompt.tokens, engine)
      let expected = prompt.numpy.float
      #expect(reading.nll.count == expected.nll.count, "\(prompt.id)")
      for pair in expected.top20 {
        worstLogit = max(worstLogit, abs(Double(reading.last[Int(pair[0])]) - pair[1]))
      }
      for (ours, theirs) in zip(reading.nll, expected.nll) {
        worstNLL = max(worstNLL, abs(ours - theirs))
      }
    }
    #expect(worstLogit < 0.001)
    #expect(worstNLL < 0.001)
  }

  /// What rounding activations to 8 bits costs differs from model to model, and the goldens carry
  /// llama.cpp's rounding beside ours. Even NumPy with llama.cpp's rounding, which differs from it by
  /// little more than the order of summation, lies up to 0.39 (SmolLM2) and 0.46 (Gemma) from its
  /// logits in the mean of a prompt's 20, so single prompts of these two may exceed 0.25: of 32,
  /// 6 and 8 do with us, the worst by 0.46 and 0.54.
  ///
  /// Qwen 1.5B meets llama.cpp's scales for 256 columns in every product, and has no BOS: the first
  /// token's activations are so large that the other 255 drown. What is predicted from the first
  /// token alone is then llama.cpp's rounding. After `<|im_start|>`, where three quarters of the
  /// prompts begin, it gives the second token 20.2 nats, exact activations 14.4, we (32 columns)
  /// 15.4. NumPy shows both: rounding like llama.cpp it has llama.cpp's likelihood within 0.1%,
  /// without rounding that of our float path. So the second token is compared with exact
  /// activations, all others with llama.cpp: over all tokens we are 1.7% off, without the second
  /// ones 0.2%.
  private struct Bounds {
    /// Mean distance of 20 logits on a single prompt, from llama.cpp and from exact activations.
    var distance = 0.25
    var fromExact = 0.25
    /// Prompts that may lie farther than 0.25 from llama.cpp.
    var outliers = 0
    /// Nats of the second token between us and exact activations.
    var secondToken = 0.5

    init(_ alias: String) {
      switch alias {
      case "smollm2-135m", "gemma3-270m": (distance, fromExact, outliers) = (0.65, 0.45, 10)
      case "qwen2.5-coder-1.5b": secondToken = 1.2
      default: break
      }
    }
  }

  @Test("logits agree with other implementations', prompt by prompt", arguments: goldenModels)
  func logits(_ alias: String) async throws {
    let engine = try await engine(alias, reference: false, kv: .f16)
    let bounds = Bounds(alias)
    var (distances, exactDistances): ([Double], [Double]) = ([], [])
    var (sums, rests) = (Sums(), Sums())
    var settledByExact: [String] = []
    for prompt in try Prompt.all(alias) {
      let reading = try Reading(prompt.tokens, engine)
      let fromExact = prompt.distanceFromExact(reading.last)
      if prompt.isDecidedByRounding {
        settledByExact.append(prompt.id)
        #expect(reading.best == Int(prompt.numpy.float.top20[0][0]), "\(prompt.id)")
        #expect(fromExact < 1, "\(prompt.id)")
      } else {
        if prompt.llamaMargin > 0.5 {
          #expect(reading.best == Int(prompt.llama.top20[0][0]), "\(prompt.id)")
        }
        let distance = prompt.distance(prompt.llama.top20.map { Double(reading.last[Int($0[0])]) })
        #expect(distance < bounds.distance, "\(prompt.id)")
        #expect(fromExact < bounds.fromExact, "\(prompt.id)")
        distances.append(distance)
        exactDistances.append(prompt.distance(prompt.numpy.float.listed))
      }
      guard let second = reading.nll.first, let exact = prompt.numpy.float.nll.first else {
        continue
      }
      #expect(abs(second - exact) < bounds.secondToken, "\(prompt.id)")
      let sum = reading.nll.reduce(0, +)
      #expect(
        abs(sum - second - prompt.llamaRest) / Double(reading.nll.count) < 0.08, "\(prompt.id)")
      sums.add(sum, llama: prompt.llamaSum, exact: prompt.numpy.float.nll.reduce(0, +))
      rests.add(sum - second, llama: prompt.llamaRest, exact: 0)
    }
    #expect(settledByExact == (alias == "qwen2.5-coder-1.5b" ? ["one"] : []))
    #expect(distances.filter { $0 >= 0.25 }.count <= bounds.outliers)
    let mean = distances.reduce(0, +) / Double(distances.count)
    let exactMean = exactDistances.reduce(0, +) / Double(distances.count)
    #expect(mean < 0.25)
    #expect(exactMean < mean + 0.01)
    #expect(abs(sums.ours / sums.exact - 1) < 0.005)
    #expect(abs(rests.ours / rests.llama - 1) < 0.01)
    if settledByExact.isEmpty { #expect(abs(sums.ours / sums.llama - 1) < 0.01) }
  }

  /// -log p of many tokens, by implementation.
  private struct Sums {
    var (ours, llama, exact) = (0.0, 0.0, 0.0)

    mutating func add(_ ours: Double, llama: Double, exact: Double) {
      self.ours += ours
      self.llama += llama
      self.exact += exact
    }
  }
}
