import Foretoken
import Foundation
import TestSupport
import Testing

extension RealModelTests {
  /// The proof behind the word "bitwise": every available method that is selected by `--speculate`
  /// against plain decoding, token for token.
  ///
  /// Every method meets every prompt, greedy and sampled. Tree budgets, thread counts and key/value
  /// types go round so that each prompt meets another combination and each method meets all of
  /// them. The draft model is the 0.5B one for the 1.5B one, for the others a copy of the target
  /// that is a little out of tune. `FORETOKEN_LOSSLESS_MODELS` (aliases with commas, or `all`) names
  /// the models; the default model otherwise. `FORETOKEN_LOSSLESS_METHODS` leaves all methods out
  /// but those it names.
  @Test(
    "bitwise methods give the tokens of plain decoding", arguments: LosslessnessHarness.models)
  func losslessness(_ alias: String) async throws {
    let harness = try await LosslessnessHarness(alias)
    #expect(harness.prompts.count >= 40)
    let methods = LosslessnessHarness.methods
    #expect(!methods.isEmpty)
    for kv in KVType.allCases {
      for threads in [1, 2] { try await harness.run(methods, kv: kv, threads: threads) }
    }
    #expect(harness.runs >= 2 * methods.count * harness.prompts.count)
    // Draft models were right and wrong, both often.
    let (drafted, accepted) = harness.draftModel
    if methods.contains("draft-model") {
      #expect(harness.treesMet == Set(LosslessnessHarness.trees))
      let share = Double(accepted) / Double(max(drafted, 1))
      #expect((0.15...0.9).contains(share), "\(accepted) of \(drafted)")
      print("draft model: \(accepted) of \(drafted)")
    }
  }
}

/// Runs methods beside plain decoding, and reports every token that differs.
final class LosslessnessHarness {
  /// Most nodes of a step, in turn. Large trees come less often: on two cores a pass of 65 rows
  /// takes as long as twenty single ones.
  static let budgets = [4, 16, 1, 64, 16, 4, 1, 4]
  static let tokenCount = 96

  static var models: [String] {
    switch ProcessInfo.processInfo.environment["FORETOKEN_LOSSLESS_MODELS"] {
    case nil, "": ["smollm2-135m"]
    case "all": goldenModels
    case .some(let list): list.split(separator: ",").map(String.init)
    }
  }

  /// Most nodes of a step with a draft model, which takes a pass of its own for each level.
  static let draftModelBudgets = [4, 6, 1, 4, 16, 3, 5, 2]
  /// Trees of the draft model, in turn, and their sizes; every other prompt meets one.
  static let trees = TreeMethod.allCases.filter { $0 != .chain }
  static let treeBudgets = [6, 14, 3, 9, 31]

  private static var chosenMethods: [String]? {
    ProcessInfo.processInfo.environment["FORETOKEN_LOSSLESS_METHODS"]
      .map { $0.split(separator: ",").map(String.init) }
  }

  /// Drafts of any kind.
  static var methods: [SpeculationMethod] {
    MethodRegistry.all
      .filter { $0.guarantee == .bitwise && $0.status == .available }
      .compactMap(\.selector).filter { $0.option == "--speculate" }.flatMap(\.values)
      .filter { $0 != "none" && (chosenMethods?.contains($0) ?? true) }
      .map(SpeculationMethod.init(rawValue:))
  }

  let alias: String
  let prompts: [SpeculationPrompt]
  private(set) var runs = 0
  /// Drafted and accepted tokens of draft models.
  private(set) var draftModel = (drafted: 0, accepted: 0)
  /// Trees that were compared.
  private(set) var treesMet: Set<TreeMethod> = []
  private let url: URL
  private let draft: String
  private let bent: BentModel?
  private let store: ModelStore
  private let folder: TemporaryFolder
  private var plain: [String: [Int32]] = [:]

  init(_ alias: String) async throws {
    self.alias = alias
    url = try await TestModels.path(alias)
    if alias == "qwen2.5-coder-1.5b" {
      bent = nil
      draft = try await TestModels.path("qwen2.5-coder-0.5b").path(percentEncoded: false)
    } else {
      let bent = try BentModel(url)
      self.bent = bent
      draft = bent.path
    }
    // What the bent model costs is of no use to anyone else.
    folder = try TemporaryFolder()
    store = ModelStore(root: folder.url)
    let model = try await LoadedModels.shared.model(alias)
    prompts = try SpeculationPrompt.all(for: alias, model)
  }

  /// The part of the proof that falls to one way of loading the model.
  func run(_ methods: [SpeculationMethod], kv: KVType, threads: Int) async throws {
    let model = try await LanguageModel.load(
      url, reference: alias, options: .init(threads: threads, kv: kv, draft: draft), store: store)
    for (index, prompt) in prompts.enumerated() {
      // Six ways to load the model; each prompt is met by one of them for each temperature.
      let turn = KVType.allCases.firstIndex(of: kv).map { 2 * $0 + threads - 1 } ?? 0
      for (place, sampling) in Self.samplings(index).enumerated()
      where (index + 3 * place) % 6 == turn {
        for (order, method) in methods.enumerated() {
          let budgets = method == "draft-model" ? Self.draftModelBudgets : Self.budgets
          let budget = budgets[(index + index / 6 + place + order) % budgets.count]
          let planner: PlannerMode = (index + order).isMultiple(of: 5) ? .on : .off
          try await compare(model, prompt, sampling, method, budget: budget, planner: planner)
        }
        guard methods.contains("draft-model"), (index + place).isMultiple(of: 2) else { continue }
        let tree = Self.trees[(index / 2 + 3 * place) % Self.trees.count]
        let budget = Self.treeBudgets[(index / 2 + place) % Self.treeBudgets.count]
        try await compare(
          model, prompt, sampling, "draft-model", tree: tree, budget: budget,
          planner: index.isMultiple(of: 7) ? .on : .off)
      }
    }
  }

  /// Greedy, and temperature 0.8 with a seed; now and then with penalties or truncation.
  private static func samplings(_ index: Int) -> [SamplingOptions] {
    var sampled = SamplingOptions(temperature: 0.8, seed: UInt64(1000 + index))
    switch index % 4 {
    case 1: (sampled.topK, sampled.topP) = (40, 0.95)
    case 2: (sampled.repetitionPenalty, sampled.frequencyPenalty) = (1.1, 0.2)
    case 3: sampled.minP = 0.05
    default: break
    }
    var greedy = SamplingOptions.greedy
    if index % 6 == 5 { (greedy.presencePenalty, greedy.penaltyWindow) = (0.5, nil) }
    return [greedy, sampled]
  }

  private func compare(
    _ model: LanguageModel, _ prompt: SpeculationPrompt, _ sampling: SamplingOptions,
    _ method: SpeculationMethod, tree: TreeMethod? = nil, budget: Int, planner: PlannerMode
  ) async throws {
    var options = GenerationOptions(maxTokens: Self.tokenCount, sampling: sampling)
    options.speculation = .none
    let expected = try await plainTokens(model, prompt, options)
    options.speculation = method
    options.tree = tree
    options.maximumDraft = budget
    options.planner = planner
    if ["medusa", "hydra"].contains(method.rawValue) {
      options.heads = try await heads(method.rawValue, model)
      options.usesStaticTree = budget == 4
    }
    let found = try await Collected(model.generate(tokens: prompt.tokens, options: options))
    runs += 1
    if let tree { treesMet.insert(tree) }
    if method == "draft-model" {
      draftModel.drafted += found.summary?.draftedTokens ?? 0
      draftModel.accepted += found.summary?.acceptedTokens ?? 0
    }
    guard found.tokens != expected else { return }
    try await report(model, prompt, options, expected: expected, found: found.tokens)
  }

  /// Untrained heads, the same in every run: whether trained ones are at hand makes no difference.
  private func heads(_ method: String, _ model: LanguageModel) async throws -> String {
    let path = folder.path("\(method).safetensors")
    if !FileManager.default.fileExists(atPath: path) {
      try await RandomHeads.write(method, for: model, to: path)
    }
    return path
  }

  private func plainTokens(
    _ model: LanguageModel, _ prompt: SpeculationPrompt, _ options: GenerationOptions
  ) async throws -> [Int32] {
    let key = "\(prompt.name) \(options.sampling.temperature) \(model.generator.kv)"
    if let known = plain[key] { return known }
    let tokens = try await Collected(
      model.generate(tokens: prompt.tokens, options: options)
    ).tokens
    plain[key] = tokens
    return tokens
  }

  /// Says where the two part, and how sure the model was there in each of the runs.
  private func report(
    _ model: LanguageModel, _ prompt: SpeculationPrompt, _ options: GenerationOptions,
    expected: [Int32], found: [Int32]
  ) async throws {
    let step = zip(expected, found).prefix { $0 == $1 }.count
    var margins: [String] = []
    for method in [.none, options.speculation] {
      var options = options
      options.speculation = method
      options.logProbabilities = 2
      let run = try await Collected(model.generate(tokens: prompt.tokens, options: options))
      let entries = run.pieces.flatMap { $0.logProbabilities ?? [] }
      guard entries.indices.contains(step), entries[step].top.count == 2 else { continue }
      let top = entries[step].top
      margins.append("\(method.rawValue) \(top[0].logProbability - top[1].logProbability)")
    }
    Issue.record(
      """
      \(options.speculation.rawValue) differs from plain decoding: \(alias), \(prompt.name), \
      temperature \(options.sampling.temperature), tree \(options.tree?.rawValue ?? "none"), \
      budget \(options.maximumDraft ?? 0), planner \(options.planner.rawValue), \(model.generator.kv), \(model.generator.threads) \
      threads, step \(step): \(expected.dropFirst(step).prefix(3)) became \
      \(found.dropFirst(step).prefix(3)); margins: \(margins.joined(separator: ", "))
      """)
  }
}
