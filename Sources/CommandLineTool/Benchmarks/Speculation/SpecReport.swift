import Foretoken

/// The figures of a benchmark of speculation.
struct SpecReport {
  /// A method on a category of prompts.
  struct Row {
    let model: String
    let temperature: Double
    let variant: SpecVariant
    /// nil for all categories together.
    let category: String?
    let prompts: Int
    /// Tokens per second, and plain decoding's.
    let rate: Double
    let plainRate: Double
    let tokensPerForward: Double?
    /// Drafted nodes of a forward pass.
    let nodesPerForward: Double?
    /// Share of drafting in the time of the steps.
    let draftShare: Double
    /// Speed as a multiple of plain decoding's, all prompts together.
    let ratio: Double
    /// The ratios of single prompts.
    let ratios: Samples
    /// Prompts whose tokens differ from plain decoding's; nil where the method does not promise
    /// the same tokens.
    let mismatches: Int?
    /// What a planner could get at most at this machine's prices (`SpecPricing.bound`), and what
    /// could be got by knowing what is accepted.
    let bound: Double?
    let clairvoyant: Double?
    /// The same steps at the prices of another machine, and their bound: a simulation.
    let simulated: Double?
    let simulatedBound: Double?

    var ofBound: Double? { bound.map { ratio / $0 } }
  }

  let settings: SpecSettings
  let costs: [String: RelativeCost]
  let rows: [Row]
  /// Whether every prompt was run.
  let isComplete: Bool
  /// Prompts that were left out, with the reason.
  let skipped: [(prompt: String, reason: String)]

  init(settings: SpecSettings, costs: [String: RelativeCost], cells: [SpecCell]) {
    self.settings = settings
    self.costs = costs
    isComplete =
      cells.count
      == settings.models.count * settings.temperatures.count * settings.promptCount
    skipped = cells.compactMap { cell in cell.skipped.map { (cell.prompt, $0) } }
    let used = cells.filter { $0.skipped == nil }
    rows = settings.models.flatMap { model in
      settings.temperatures.flatMap { temperature in
        let own = used.filter { $0.model == model && $0.temperature == temperature }
        return settings.variants.flatMap { variant in
          Self.rows(own, model, temperature, variant, costs[model])
        }
      }
    }
  }

  /// The rows of one method, its categories first, then all together.
  private static func rows(
    _ cells: [SpecCell], _ model: String, _ temperature: Double, _ variant: SpecVariant,
    _ cost: RelativeCost?
  ) -> [Row] {
    var categories: [String?] = []
    for cell in cells where !categories.contains(cell.category) {
      categories.append(cell.category)
    }
    if categories.count > 1 { categories.append(nil) }
    return categories.compactMap { category in
      let own = cells.filter { category == nil || $0.category == category }
      return row(own, model, temperature, variant, category, cost)
    }
  }

  private static func row(
    _ cells: [SpecCell], _ model: String, _ temperature: Double, _ variant: SpecVariant,
    _ category: String?, _ cost: RelativeCost?
  ) -> Row? {
    let pairs = cells.compactMap { cell -> (own: SpecRun, plain: SpecRun)? in
      guard let own = cell.runs.first(where: { $0.variant == variant }),
        let plain = cell.runs.first(where: { $0.variant == .plain })
      else { return nil }
      return (own, plain)
    }
    guard !pairs.isEmpty, let cost else { return nil }
    let own = Totals(pairs.map(\.own))
    let plain = Totals(pairs.map(\.plain))
    // What is accepted shows best where as much was drafted as could be: both planners count.
    let records = [PlannerMode.on, .off].map { planner in
      let variant = SpecVariant(method: variant.method, planner: planner, tree: variant.tree)
      return cells.flatMap { cell in cell.runs.first { $0.variant == variant }?.steps ?? [] }
    }
    func pricing(_ steps: [SpecStep], _ cost: RelativeCost) -> SpecPricing {
      SpecPricing(
        steps: steps, plainForward: plain.forward / max(plain.steps, 1),
        choice: plain.verify / max(plain.steps, 1), cost: cost)
    }
    let isBitwise = pairs.allSatisfy { $0.own.guarantee == .bitwise }
    return Row(
      model: model, temperature: temperature, variant: variant, category: category,
      prompts: pairs.count, rate: own.rate, plainRate: plain.rate,
      tokensPerForward: own.steps > 0 ? own.emitted / own.steps : nil,
      nodesPerForward: own.steps > 0 ? own.nodes / own.steps : nil,
      draftShare: own.draft / max(own.draft + own.forward + own.verify, 1),
      ratio: plain.rate > 0 ? own.rate / plain.rate : 0,
      ratios: Samples(
        pairs.compactMap { pair in
          let (one, other) = (Totals([pair.own]).rate, Totals([pair.plain]).rate)
          return one > 0 && other > 0 ? one / other : nil
        }),
      mismatches: isBitwise ? pairs.count { $0.own.mismatch != nil } : nil,
      bound: records.compactMap { pricing($0, cost).bound }.max(),
      clairvoyant: records.compactMap { pricing($0, cost).clairvoyant }.max(),
      simulated: pricing(pairs.flatMap(\.own.steps), .eightCores).recorded,
      simulatedBound: records.compactMap { pricing($0, .eightCores).bound }.max())
  }

  /// Sums over runs.
  private struct Totals {
    var steps = 0.0
    var emitted = 0.0
    var nodes = 0.0
    var draft = 0.0
    var forward = 0.0
    var verify = 0.0
    var tokens = 0.0
    var milliseconds = 0.0

    init(_ runs: [SpecRun]) {
      for run in runs {
        tokens += Double(run.tokens)
        milliseconds += run.decodeMilliseconds
        for step in run.steps {
          steps += 1
          emitted += Double(step.accepted.count + 1)
          nodes += Double(step.nodes)
          draft += Double(step.draft)
          forward += Double(step.forward)
          verify += Double(step.verify)
        }
      }
    }

    var rate: Double { milliseconds > 0 ? tokens * 1000 / milliseconds : 0 }
  }

  // MARK: Output

  /// Groups of rows with a title each: a method on a model at a temperature.
  var groups: [(title: String, rows: [Row])] {
    var groups: [(title: String, rows: [Row])] = []
    for row in rows {
      let title = "\(row.model), temperature \(readable(row.temperature)): \(row.variant.name)"
      if groups.last?.title == title {
        groups[groups.count - 1].rows.append(row)
      } else {
        groups.append((title, [row]))
      }
    }
    return groups
  }

  /// Prompts of all methods whose tokens differ although they must not.
  var mismatches: Int {
    rows.filter { $0.category == nil || isOnly($0) }.reduce(0) { $0 + ($1.mismatches ?? 0) }
  }

  private func isOnly(_ row: Row) -> Bool {
    rows.count {
      $0.model == row.model && $0.temperature == row.temperature && $0.variant == row.variant
    } == 1
  }

  func lines(for stream: TextStream) -> [String] {
    var lines = settings.suite == .trees ? treeLines(for: stream) : []
    for (title, rows) in groups where settings.suite != .trees {
      var table = Table(
        .init("CATEGORY"), .init("PROMPTS", .right), .init("TOKENS/PASS", .right),
        .init("DRAFTING", .right), .init("TOKENS/S", .right), .init("RATIO", .right, style: .bold),
        .init("MIDDLE HALF", .right), .init("BOUND", .right), .init("OF BOUND", .right),
        .init("DIFFER", .right), .init("8 CORES*", .right, style: .dim),
        .init("BOUND*", .right, style: .dim))
      for row in rows {
        table.append(
          row.category ?? "all", "\(row.prompts)", readableRatio(row.tokensPerForward),
          Self.percent(row.draftShare), readableNumber(row.rate), readableRatio(row.ratio),
          "\(readableRatio(row.ratios.quantile(0.25))) – \(readableRatio(row.ratios.quantile(0.75)))",
          readableRatio(row.bound), row.ofBound.map(Self.percent) ?? "–",
          row.mismatches.map(String.init) ?? "–", readableRatio(row.simulated),
          readableRatio(row.simulatedBound))
      }
      lines += [stream.styled(title, .bold)] + table.lines(for: stream) + [""]
    }
    lines += comparisonLines(for: stream)
    for (model, cost) in costs.sorted(by: { $0.key < $1.key }) {
      lines.append("cost of a pass, \(model): \(Self.text(cost))")
    }
    for (prompt, reason) in skipped { lines.append("left out: \(prompt): \(reason)") }
    if !isComplete { lines.append("interrupted: not every prompt was run") }
    let explanation = settings.suite == .trees ? [Self.treeExplanation] : Self.explanation
    return lines + explanation.map { stream.styled($0, .dim) }
  }

  static let explanation = [
    "RATIO is the speed as a multiple of plain decoding's in the same run, MIDDLE HALF that of "
      + "single prompts. BOUND is what the best limit on the drafts would give at the measured "
      + "cost of a pass and the recorded acceptance, were drafting free.",
    "* SIMULATION, not measured: the recorded steps at the prices of an 8-core Zen 3 with "
      + "DDR4-3200 (44.8 GB/s, 150 GMAC/s per core), with what was drafted here, and its bound.",
  ]

  static func percent(_ share: Double) -> String { "\(Int((share * 100).rounded()))%" }

  private static func text(_ cost: RelativeCost) -> String {
    cost.points.map { "\($0.rows): \(readableRatio($0.cost))" }.joined(separator: ", ")
  }

  var json: JSONValue {
    [
      "models": .array(settings.models.map { .string($0) }),
      "temperatures": .array(settings.temperatures.map { .number($0) }),
      "prompts": .integer(settings.promptCount), "max_tokens": .integer(settings.maxTokens),
      "seed": .string("\(settings.seed)"), "mismatches": .integer(mismatches),
      "complete": .bool(isComplete),
      "costs": .object(
        JSONObject(
          costs.sorted { $0.key < $1.key }.map { model, cost in
            (
              model,
              .array(
                cost.points.map { ["rows": .integer($0.rows), "cost": rounded($0.cost)] })
            )
          })),
      "rows": .array(rows.map(\.json)),
      "comparisons": comparisonJSON,
      "skipped": .array(
        skipped.map { ["prompt": .string($0.prompt), "reason": .string($0.reason)] }),
    ]
  }
}

extension SpecReport.Row {
  fileprivate var json: JSONValue {
    func optional(_ value: Double?) -> JSONValue { value.map(rounded) ?? .null }
    return [
      "model": .string(model), "temperature": .number(temperature),
      "method": .string(variant.method), "planner": .string(variant.planner.rawValue),
      "category": .string(category ?? "all"), "prompts": .integer(prompts),
      "tree": variant.tree?.json ?? .null, "nodes_per_forward": optional(nodesPerForward),
      "tokens_per_forward": optional(tokensPerForward), "draft_share": rounded(draftShare),
      "tokens_per_second": rounded(rate), "plain_tokens_per_second": rounded(plainRate),
      "ratio": rounded(ratio), "ratio_of_prompts": ratios.json,
      "bound": optional(bound), "of_bound": optional(ofBound),
      "clairvoyant_bound": optional(clairvoyant),
      "mismatches": mismatches.map { .integer($0) } ?? .null,
      "simulated_8_cores": [
        "ratio": optional(simulated), "bound": optional(simulatedBound),
      ],
    ]
  }
}
