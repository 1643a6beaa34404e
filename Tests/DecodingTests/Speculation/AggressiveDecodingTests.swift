import Foretoken
import TestSupport
import Testing

@testable import Decoding

@Suite struct AggressiveDecodingTests {
  private let vocabulary = 600

  private func replay(
    _ source: [Int32], _ output: [Int32], _ settings: InputSettings, budget: Int = 16
  ) throws -> DrafterReplay {
    try DrafterReplay(
      InputDrafter(source: InputSource(tokens: source), settings: settings), prompt: [599],
      output: output, budget: budget, vocabularyCount: vocabulary)
  }

  /// Text of words whose frequencies fall like those of a language.
  private func text(_ count: Int, _ random: inout SeededGenerator) -> [Int32] {
    (0..<count).map { _ in
      let share = Double(random.unit())
      return Int32((share * share * share * 500).rounded(.down))
    }
  }

  /// Replaces, drops and inserts tokens at a rate.
  private func damaged(
    _ text: [Int32], rate: Double, _ random: inout SeededGenerator
  ) -> [Int32] {
    var result: [Int32] = []
    for token in text {
      guard Double(random.unit()) < rate else {
        result.append(token)
        continue
      }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: break
      case 1: result += [Int32(500 + Int.random(in: 0..<90, using: &random)), token]
      default: result.append(Int32(500 + Int.random(in: 0..<90, using: &random)))
      }
    }
    return result
  }

  @Test("an unchanged text comes out in blocks of the cap", arguments: [1, 4, 16])
  func identity(_ budget: Int) throws {
    let source = (0..<100).map { Int32($0) }
    for settings in [InputSettings(), .paper] {
      let found = try replay(source, source, settings, budget: budget)
      // The prompt's pass gives the first token; each other pass a block and one token.
      #expect(found.steps.count == (99 + budget) / (budget + 1))
    }
    let capped = try replay(source, source, .init(length: 8))
    #expect(capped.steps.count == (99 + 8) / 9)
  }

  @Test("after a replaced, a dropped and an added token drafting goes on where the text does")
  func resynchronises() throws {
    let source = (0..<60).map { Int32($0) }
    var edited = source
    edited[20] = 500
    edited.remove(at: 35)
    edited.insert(501, at: 50)
    let paper = try replay(source, edited, .paper)
    let ours = try replay(source, edited, .init())
    #expect(paper.output == edited && ours.output == edited)
    // The first pass takes 16 tokens. Every edit ends one block; a token that the source lacks
    // costs the paper's rule a plain step before the next token speaks for a place.
    #expect(paper.steps.count { $0.tree.isEmpty } == 2)
    #expect(paper.tokensPerForward > 5 && ours.tokensPerForward > 5)
    #expect(ours.steps.count { $0.tree.isEmpty } <= 1)
  }

  @Test("the paper's rule takes the shortest end of the output that is unique in the source")
  func uniqueness() throws {
    // 9 is there three times; 1 9 twice; 2 1 9 once.
    let source: [Int32] = [0, 9, 4, 3, 1, 9, 5, 2, 1, 9, 6, 7, 8]
    func draft(_ output: [Int32], _ settings: InputSettings) throws -> [Int32] {
      let drafter = InputDrafter(source: InputSource(tokens: source), settings: settings)
      let history = TokenHistory([599] + output)
      let context = DrafterReplay.context(history, 1)
      drafter.begin(context)
      var tree = TokenTree()
      drafter.propose(DraftBudget(nodes: 16, depth: 16), context: context, into: &tree)
      return tree.tokens
    }
    #expect(try draft([50, 2, 1, 9], .paper) == [6, 7, 8])
    #expect(try draft([50, 1, 9], .paper) == [])
    #expect(try draft([50, 9], .paper) == [])
    #expect(try draft([50, 3], .paper) == [1, 9, 5, 2, 1, 9, 6, 7, 8])
    #expect(try draft([50], .paper) == [])
    // Ours: the nearest place; one token alone speaks for a few tokens only.
    #expect(try draft([50, 9], .init()) == [4, 3, 1, 9])
    #expect(try draft([50, 1, 9], .init()) == [5, 2, 1, 9, 6, 7, 8])
  }

  @Test("the more a text is changed the fewer tokens a pass gives, never fewer than one")
  func falls() throws {
    var random = SeededGenerator(seed: 3)
    let source = text(1500, &random)
    for settings in [InputSettings(), .paper] {
      var series: [Double] = []
      for rate in [0, 0.03, 0.08, 0.15, 0.3] {
        let output = damaged(source, rate: rate, &random)
        series.append(try replay(source, output, settings).tokensPerForward)
      }
      for (less, more) in zip(series, series.dropFirst()) { #expect(less > more, "\(series)") }
      #expect(series[0] > 16 && series[4] > 1.2, "\(series)")
    }
  }

  @Test("a wrong source costs passes of plain decoding, and no token")
  func wrongSource() throws {
    var random = SeededGenerator(seed: 5)
    let source = (0..<300).map { _ in Int32.random(in: 0..<200, using: &random) }
    let output = (0..<200).map { _ in Int32.random(in: 200..<400, using: &random) }
    for settings in [InputSettings(), .paper] {
      let found = try replay(source, output, settings)
      #expect(found.tokensPerForward == 1)
    }
    let empty = try replay([], output, .init())
    #expect(empty.steps.allSatisfy { $0.tree.isEmpty })
  }

  @Test("an output that ends before its source stops there, at the bifurcation")
  func earlyEnd() throws {
    let source = (0..<80).map { Int32($0) }
    let output = Array(source[..<30])
    let drafter = InputDrafter(source: InputSource(tokens: source), settings: .init())
    let found = try DrafterReplay(drafter, prompt: [599], limit: 80, stops: [598]) { context in
      var logits = [Float](repeating: 0, count: 600)
      logits[context.count - 1 < output.count ? Int(output[context.count - 1]) : 598] = 1
      return logits
    }
    #expect(found.output == output)
    #expect(found.steps.count <= 3)
  }
}

// MARK: - Real models

extension RealModelTests {
  @Test("a source is written as the beginning of an output writes it, with a space and without")
  func inputForms() async throws {
    for alias in ["smollm2-135m", "gemma3-270m"] {
      let tokenizer = try await LoadedModels.shared.model(alias).tokenizer
      let text = "Hello there, world.\n\nA second paragraph."
      let forms = InputSource.forms(of: Array(text.utf8), tokenizer)
      let written = forms.map { tokenizer.decode($0, isStartOfText: false) }
      #expect(Set(written) == [text, " " + text], "\(alias)")
      // All forms end alike, so a place in one is a place in the other.
      let ends = forms.map { Array($0.suffix(6)) }
      #expect(Set(ends).count == 1)
    }
  }

  @Test(
    "without a prediction the source is the last message, and its text may begin in several ways")
  func inputFromPrompt() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let letter = "Dear Sir,\nI write to you."
    let prompt = try model.encode(
      [ChatMessage(role: "user", content: "Correct the spelling:\n\n\(letter)")])
    var source = InputSource(prediction: nil, tokenizer: model.tokenizer)
    source.begin(prompt: prompt[...], first: nil)
    let text = model.tokenizer.decode(source.tokens, isStartOfText: false)
    #expect(text.hasSuffix(letter) && !text.contains("assistant") && !text.contains("system"))
    let starts = source.starts.map { model.tokenizer.decode($0, isStartOfText: false) }
    #expect(starts.first == letter)
    #expect(starts.contains(" " + letter))
    let raw = model.tokenizer.encode("no template here", addSpecial: true, parseSpecial: false)
    source = InputSource(prediction: nil, tokenizer: model.tokenizer)
    source.begin(prompt: raw[...], first: nil)
    #expect(source.tokens.suffix(3).elementsEqual(raw.suffix(3)))
  }

  @Test("a right, a wrong and an empty prediction give the same text; the right one saves passes")
  func inputPredictions() async throws {
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let question = "Write three sentences about the sea."
    let options = GenerationOptions(maxTokens: 60, speculation: .none)
    let prompt = try model.encode([ChatMessage(role: "user", content: question)])
    let answer = try await Collected(model.generate(tokens: prompt, options: options)).text
    for temperature in [0, 0.8] {
      for prediction in [answer, "def sort(xs):\n    return sorted(xs)\n", "", nil] {
        for budget in [1, nil] {
          let found = try await PlainComparison(
            model, chat: question, tokens: 40, .input(), temperature: temperature,
            prediction: prediction, budget: budget)
          if prediction == answer, temperature == 0, budget == nil {
            #expect(found.tokensPerForward > 8, "\(found.tokensPerForward)")
          }
        }
      }
    }
  }
}
