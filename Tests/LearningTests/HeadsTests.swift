import Autograd
import Compute
import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Learning

@Suite("Draft heads")
struct HeadsTests {
  /// Texts of a made-up model: hidden states are the unit vector of the next token, so that the head
  /// is the identity. Texts repeat their own four tokens.
  private struct Toy {
    static let vocabulary = 32
    let folder: TemporaryFolder
    let cache: HiddenStateCache
    let texts: [HeadsText]

    init() async throws {
      folder = try TemporaryFolder()
      var generator = SeededGenerator(seed: 8)
      var order = Array(0..<Int32(Self.vocabulary))
      order.shuffle(using: &generator)
      // Cycles of four: what follows a token is certain.
      var texts: [[Int32]] = []
      for text in 0..<64 {
        let cycle = Array(order[4 * (text % 8)..<4 * (text % 8) + 4])
        texts.append((0..<24).map { cycle[($0 + text / 8) % 4] })
      }
      let path = folder.path("states.bin")
      try await HiddenStateCache.write(
        to: path, texts: texts, hiddenSize: Self.vocabulary, progress: { _ in }
      ) { tokens in
        (0..<tokens.count).flatMap { index -> [Float] in
          let next = index + 1 < tokens.count ? tokens[index + 1] : tokens[index - 3]
          return (0..<Self.vocabulary).map { $0 == Int(next) ? 8 : 0 }
        }
      }
      cache = try HiddenStateCache(path: path)
      self.texts = (0..<64).map { HeadsText(promptCount: 2, isValidation: $0 / 8 % 4 == 3) }
    }

    func training(_ method: String, _ recipe: HeadsRecipe) throws -> HeadsTraining {
      let size = Self.vocabulary
      let unit = (0..<size * size).map { Float($0 / size == $0 % size ? 1 : 0) }
      return try HeadsTraining(
        method: method, recipe: recipe, cache: cache, texts: texts,
        tokens: Array(0..<Int32(size)),
        backbone: .init(
          headRows: unit, embeddings: unit, embeddedTokens: Array(0..<Int32(size))))
    }
  }

  private var recipe: HeadsRecipe {
    var recipe = HeadsRecipe()
    (recipe.rank, recipe.batch, recipe.steps, recipe.warmUp) = (64, 64, 150, 10)
    (recipe.rate, recipe.heads, recipe.floor) = (0.01, 3, 0.1)
    return recipe
  }

  @Test(
    "heads learn texts that repeat, from what they say of the next token",
    arguments: ["medusa", "hydra"], [HeadsRecipe.Target.token, .teacher])
  func learns(_ method: String, _ target: HeadsRecipe.Target) async throws {
    let toy = try await Toy()
    var recipe = recipe
    recipe.target = target
    let training = try toy.training(method, recipe)
    // Untrained, each head repeats the next token, and in a cycle of four that is never right.
    #expect(training.accuracy().map { $0[0] } == [0, 0, 0])
    let trainer = Trainer(AdamW(training.model.parameters), plan: recipe.plan)
    try trainer.run(loss: { step, _ in training.loss(step) }, report: { _ in })
    for (index, accuracy) in training.accuracy().enumerated() {
      #expect(accuracy[0] > 0.95, "\(method), head \(index): \(accuracy)")
      #expect(accuracy[0] > training.baselines()[index].unigram)
    }
  }

  @Test("a file of heads comes back as it was written, in 16 bits")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let heads = (0..<2).map { index in
      DraftHeadsFile.Head(
        down: (0..<32 * 64 * (index + 2)).map { Float($0 % 100) / 64 },
        bias: (0..<32).map { Float($0) * 0.1 }, up: (0..<64 * 32).map { Float($0 % 7) - 3 })
    }
    let file = DraftHeadsFile(
      method: "hydra", model: "toy", modelBytes: 12, hiddenSize: 64, rank: 32,
      tokens: [1, 5, 9], heads: heads, accuracy: [[0.5, 0.25], [0.125]], record: ["source": "test"])
    let path = folder.path("heads.safetensors")
    try file.write(to: path)
    let read = try DraftHeadsFile(path: path)
    #expect(read.method == "hydra" && read.modelBytes == 12 && read.tokens == [1, 5, 9])
    #expect(read.accuracy == file.accuracy && read.record["source"] == "test")
    for (a, b) in zip(read.heads, heads) {
      #expect(a.down == b.down && a.bias == b.bias && a.up == b.up)
    }
    let bytes = try Data(contentsOf: URL(filePath: path))
    try bytes.dropLast(5).write(to: URL(filePath: path))
    #expect(throws: (any Error).self) { try DraftHeadsFile(path: path) }
  }

  @Test("half precision is exact where it can be, and nearest elsewhere")
  func half() {
    for bits in UInt16(0)...0xFFFF where bits & 0x7C00 != 0x7C00 {
      #expect(HalfPrecision.bits(HalfPrecision.value(bits)) == bits)
    }
    #expect(HalfPrecision.bits(1 + 1 / 2048) == 0x3C00, "ties go to the even one")
    #expect(HalfPrecision.bits(1 + 3 / 2048) == 0x3C02)
    #expect(HalfPrecision.bits(65520) == 0x7C00)
    #expect(HalfPrecision.bits(-.infinity) == 0xFC00)
    #expect(HalfPrecision.value(HalfPrecision.bits(.nan)).isNaN)
  }

  @Test("the cache of hidden states is bounded, and a damaged one is refused")
  func cache() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path("states.bin")
    try await HiddenStateCache.write(
      to: path, texts: [[1, 2, 3], [4, 5], [6]], hiddenSize: 4, mostBytes: 72,
      progress: { _ in }
    ) { tokens in tokens.flatMap { [Float($0), 0.5, -1, 2] } }
    let cache = try HiddenStateCache(path: path)
    #expect(cache.texts == [[1, 2, 3], [4, 5]])
    #expect(cache.starts == [0, 3, 5])
    #expect(cache.states([4, 0]) == [5, 0.5, -1, 2, 1, 0.5, -1, 2])
    let bytes = try Data(contentsOf: URL(filePath: path))
    for length in 0..<bytes.count {
      try bytes.prefix(length).write(to: URL(filePath: path))
      #expect(throws: (any Error).self) { try HiddenStateCache(path: path) }
    }
  }

  @Test("recipes are read, and mistakes in them are named with their line")
  func recipes() throws {
    let recipe = try HeadsRecipe(
      yaml: "# ours\nheads: 2\nrate: 0.01 # high\n\ntarget: token\n", name: "r.yaml")
    #expect(recipe.heads == 2 && recipe.rate == 0.01 && recipe.target == .token)
    for (text, part) in [
      ("heads 2", "line 1"), ("\nheads: many", "line 2"), ("colour: red", "known are"),
      ("rank: 33", "rank"), ("target: luck", "token or teacher"), ("heads: 99", "1 to 8"),
    ] {
      #expect {
        try HeadsRecipe(yaml: text, name: "r.yaml")
      } throws: {
        "\($0)".contains(part)
      }
    }
  }

  @Test("a text is held out by what it is, not by where it stands")
  func split() {
    let names = (0..<2000).map { "text \($0)" }
    let heldOut = names.filter { DataSplit(of: $0, validation: 0.2) == .validation }
    #expect((340...460).contains(heldOut.count), "\(heldOut.count)")
    #expect(
      names.reversed().filter { DataSplit(of: $0, validation: 0.2) == .validation }.count
        == heldOut.count)
    #expect(names.allSatisfy { DataSplit(of: $0, validation: 0) == .training })
  }

  @Test("prompts are read from JSON lines and from plain text")
  func prompts() throws {
    let folder = try TemporaryFolder()
    let lines = folder.path("a.jsonl")
    try Data(#"{"question_id": 7, "turns": ["x", "y"]}"#.utf8 + Data("\n{\"text\": \"z\"}\n".utf8))
      .write(to: URL(filePath: lines))
    #expect(
      try TrainingPrompt.read(lines) == [
        TrainingPrompt(id: "7", turns: ["x", "y"]), TrainingPrompt(id: "line 2", turns: ["z"]),
      ])
    let text = folder.path("a.txt")
    try Data("one\ntwo\n\nthree\n".utf8).write(to: URL(filePath: text))
    #expect(try TrainingPrompt.read(text).map(\.turns) == [["one\ntwo"], ["three"]])
    try Data("{}\n".utf8).write(to: URL(filePath: lines))
    #expect(throws: LearningError.self) { try TrainingPrompt.read(lines) }
    #expect(throws: LearningError.self) { try TrainingPrompt.read(folder.path("none.jsonl")) }
  }

  @Test(
    "from prompts to a file of heads that draft, with every token that of plain decoding",
    arguments: ["medusa", "hydra"])
  func workshop(_ method: String) async throws {
    let url = try await TestModels.path("smollm2-135m")
    let model = try await LanguageModel.load(url, reference: "smollm2-135m")
    let folder = try TemporaryFolder()
    var recipe = HeadsRecipe()
    (recipe.rank, recipe.vocabulary, recipe.answerTokens) = (32, 256, 24)
    (recipe.batch, recipe.steps, recipe.warmUp, recipe.validation) = (16, 6, 2, 0.3)
    let prompts = (0..<12).map { index in
      (
        id: "count-\(index)",
        tokens: model.tokenizer.encode(
          "Count: \(index), \(index + 1),", addSpecial: true, parseSpecial: false)
      )
    }
    let workshop = HeadsWorkshop(
      method: method, recipe: recipe, folder: folder.path("work"), threads: 1)
    let first = try await workshop.run(
      prompts, generator: model.generator, model: "smollm2-135m", record: [:], progress: { _ in })
    #expect(first.losses.count == 6)
    let path = folder.path("heads.safetensors")
    try first.file.write(to: path)
    // A second run finds everything done.
    var answered = 0
    let second = try await workshop.run(
      prompts, generator: model.generator, model: "smollm2-135m", record: [:]
    ) { if case .answering = $0 { answered += 1 } }
    #expect(answered == 0)
    #expect(second.losses == first.losses)
    let log = try String(contentsOfFile: folder.path("work/\(method)/log.jsonl"), encoding: .utf8)
    #expect(log.split(separator: "\n").count == 6)

    for planner in [PlannerMode.off, .on] {
      var options = GenerationOptions(maxTokens: 24, speculation: .none)
      let plain = try await tokens(model, prompts[0].tokens, options)
      options.speculation = SpeculationMethod(rawValue: method)
      options.heads = path
      options.planner = planner
      let drafted = try await tokens(model, prompts[0].tokens, options)
      #expect(drafted.tokens == plain.tokens)
      if planner == .off { #expect(drafted.drafted > 0) }
    }
  }

  @Test("heads of another model, of another method, or of none, are errors that say what to do")
  func mistakes() async throws {
    let url = try await TestModels.path("smollm2-135m")
    let model = try await LanguageModel.load(url, reference: "smollm2-135m")
    let folder = try TemporaryFolder()
    let path = folder.path("heads.safetensors")
    var file = DraftHeadsFile(
      method: "medusa", model: "other", modelBytes: 5, hiddenSize: 576, rank: 32, tokens: [1],
      heads: [
        .init(
          down: .init(repeating: 0, count: 32 * 576), bias: .init(repeating: 0, count: 32),
          up: .init(repeating: 0, count: 32 * 576))
      ], accuracy: [[0.5]])
    var options = GenerationOptions(maxTokens: 4, speculation: "medusa")
    options.heads = path
    func message() async -> String {
      do {
        _ = try await tokens(model, [1, 2], options)
        return ""
      } catch { return "\(error)" }
    }
    #expect(await message().contains("heads.safetensors"))
    try file.write(to: path)
    #expect(await message().contains("trained on other"))
    file.modelBytes = await model.generator.modelBytes
    try file.write(to: path)
    #expect(await message().isEmpty)
    options.speculation = "hydra"
    #expect(await message().contains("--speculate medusa"))
  }

  private func tokens(
    _ model: LanguageModel, _ prompt: [Int32], _ options: GenerationOptions
  ) async throws -> (tokens: [Int32], drafted: Int) {
    var result = (tokens: [Int32](), drafted: 0)
    for try await event in model.generate(tokens: prompt, options: options) {
      if case .text(let piece) = event { result.tokens += piece.tokens }
      if case .finish(let summary) = event { result.drafted = summary.draftedTokens }
    }
    return result
  }
}
